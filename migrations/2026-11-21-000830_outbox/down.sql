DROP TRIGGER audit_events_told ON audit_events;
CREATE TRIGGER audit_events_told AFTER INSERT ON audit_events FOR EACH ROW
    WHEN (NEW.kind <> 'delivery.failed' OR NEW.detail->>'kind' NOT IN ('webhook', 'after_sign_in'))
    EXECUTE FUNCTION tell_event_receivers();
CREATE OR REPLACE FUNCTION tell_event_receivers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (kind, lane, payload, next_try_at, created_at)
    SELECT kind, kind || '/' || name, jsonb_build_object('to', name, 'event', to_jsonb(NEW)), NEW.at, NEW.at
    FROM event_receivers
    WHERE disabled_at IS NULL AND events && ARRAY[NEW.kind, split_part(NEW.kind, '.', 1) || '.*', '*'];
    RETURN NULL;
END $$;
CREATE INDEX outbox_due ON outbox (next_try_at) WHERE delivered_at IS NULL AND given_up_at IS NULL;
DROP INDEX outbox_delivered;
DROP INDEX outbox_given_up;
DROP INDEX outbox_undelivered;
DROP INDEX outbox_kind_due;
