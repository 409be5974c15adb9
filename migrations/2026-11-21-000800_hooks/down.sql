DROP TRIGGER audit_events_told ON audit_events;
DROP FUNCTION tell_event_receivers();
DROP INDEX outbox_lane_due;
DROP TABLE event_receivers;
