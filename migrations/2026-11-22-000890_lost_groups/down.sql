DROP TRIGGER group_lost ON group_members;
DROP FUNCTION tell_clients_of_lost_group();
