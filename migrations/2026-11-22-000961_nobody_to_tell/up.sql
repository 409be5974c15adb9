-- Every event asks for its receivers. Where there are none, as mostly, that is all that is asked.
CREATE OR REPLACE FUNCTION tell_event_receivers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM event_receivers WHERE disabled_at IS NULL) THEN
        RETURN NULL;
    END IF;
    INSERT INTO outbox (kind, lane, payload, next_try_at, created_at)
    SELECT receiver.kind, receiver.kind || '/' || name, jsonb_build_object('to', name, 'event', to_jsonb(event)), event.at, event.at
    FROM event_receivers AS receiver
    JOIN written AS event ON receiver.events && ARRAY[event.kind, split_part(event.kind, '.', 1) || '.*', '*']
    WHERE disabled_at IS NULL
      -- A hook after a sign-in is told of sign-ins: an event without a session is of somebody whom a backend made.
      AND (receiver.kind <> 'after_sign_in' OR event.session_id IS NOT NULL)
      -- A receiver that cannot be reached is not told of that, nor that messages are sent again: that would be one message
      -- more that cannot be delivered, or is sent again.
      AND event.kind <> 'delivery.retried'
      AND (event.kind <> 'delivery.failed' OR event.detail->>'kind' NOT IN ('webhook', 'after_sign_in'))
    ORDER BY event.id;
    RETURN NULL;
END $$;
