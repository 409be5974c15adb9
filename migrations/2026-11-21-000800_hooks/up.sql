-- Who is told of events: webhooks, and hooks that are called after a sign-in.

CREATE TABLE event_receivers (
    kind text NOT NULL CHECK (kind IN ('webhook', 'after_sign_in')),
    name text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 63),
    events text[] NOT NULL CHECK (cardinality(events) > 0),
    managed_by text,
    disabled_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (kind, name));
COMMENT ON TABLE event_receivers IS 'Who is told of which audit events. Where they are, and with which secrets they are told, is in the configuration.';
COMMENT ON COLUMN event_receivers.kind IS 'What the outbox calls messages to them.';
COMMENT ON COLUMN event_receivers.events IS 'Names of events, groups of them (`session.*`), or `*`.';

-- Messages to one receiver keep no order among them; this finds those that are due without reading those that are not.
CREATE INDEX outbox_lane_due ON outbox (lane, next_try_at) WHERE delivered_at IS NULL AND given_up_at IS NULL;

-- A trigger and no line in each statement that writes an event: so a message exists exactly when its event does. A reader
-- that followed the numbers of events would have to know which of them are still to be committed.
CREATE FUNCTION tell_event_receivers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (kind, lane, payload, next_try_at, created_at)
    SELECT kind, kind || '/' || name, jsonb_build_object('to', name, 'event', to_jsonb(NEW)), NEW.at, NEW.at
    FROM event_receivers
    WHERE disabled_at IS NULL AND events && ARRAY[NEW.kind, split_part(NEW.kind, '.', 1) || '.*', '*'];
    RETURN NULL;
END $$;
COMMENT ON FUNCTION tell_event_receivers IS 'Puts a message for each receiver of an audit event into the outbox, in the transaction that writes the event.';
-- A receiver that cannot be reached is not told of that: it would be told of that message, too, without end.
CREATE TRIGGER audit_events_told AFTER INSERT ON audit_events FOR EACH ROW
    WHEN (NEW.kind <> 'delivery.failed' OR NEW.detail->>'kind' NOT IN ('webhook', 'after_sign_in'))
    EXECUTE FUNCTION tell_event_receivers();
