-- What one kind has waiting is not read to find what is due of another, and what was delivered is not read to list and count
-- what was not.
CREATE INDEX outbox_kind_due ON outbox (kind, next_try_at) WHERE delivered_at IS NULL AND given_up_at IS NULL;
DROP INDEX outbox_due;
CREATE INDEX outbox_undelivered ON outbox (id) WHERE delivered_at IS NULL;
CREATE INDEX outbox_given_up ON outbox (given_up_at) WHERE given_up_at IS NOT NULL;
CREATE INDEX outbox_delivered ON outbox (delivered_at) WHERE delivered_at IS NOT NULL;

-- A hook after a sign-in is told of sign-ins: an event without a session is of somebody whom a backend made.
CREATE OR REPLACE FUNCTION tell_event_receivers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (kind, lane, payload, next_try_at, created_at)
    SELECT kind, kind || '/' || name, jsonb_build_object('to', name, 'event', to_jsonb(NEW)), NEW.at, NEW.at
    FROM event_receivers
    WHERE disabled_at IS NULL AND events && ARRAY[NEW.kind, split_part(NEW.kind, '.', 1) || '.*', '*']
      AND (kind <> 'after_sign_in' OR NEW.session_id IS NOT NULL);
    RETURN NULL;
END $$;

-- Nor is a receiver told that messages are sent again: that would be one message more to be sent again.
DROP TRIGGER audit_events_told ON audit_events;
CREATE TRIGGER audit_events_told AFTER INSERT ON audit_events FOR EACH ROW
    WHEN (NEW.kind <> 'delivery.retried'
        AND (NEW.kind <> 'delivery.failed' OR NEW.detail->>'kind' NOT IN ('webhook', 'after_sign_in')))
    EXECUTE FUNCTION tell_event_receivers();
