DROP TRIGGER audit_events_told ON audit_events;
CREATE OR REPLACE FUNCTION tell_event_receivers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (kind, lane, payload, next_try_at, created_at)
    SELECT kind, kind || '/' || name, jsonb_build_object('to', name, 'event', to_jsonb(NEW)), NEW.at, NEW.at
    FROM event_receivers
    WHERE disabled_at IS NULL AND events && ARRAY[NEW.kind, split_part(NEW.kind, '.', 1) || '.*', '*']
      AND (kind <> 'after_sign_in' OR NEW.session_id IS NOT NULL);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_events_told AFTER INSERT ON audit_events FOR EACH ROW
    WHEN (NEW.kind <> 'delivery.retried'
        AND (NEW.kind <> 'delivery.failed' OR NEW.detail->>'kind' NOT IN ('webhook', 'after_sign_in')))
    EXECUTE FUNCTION tell_event_receivers();
