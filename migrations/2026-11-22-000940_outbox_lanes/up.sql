-- However much waits, a claim reads only the beginning: of a kind what is due first, also where all of it was written at once
-- (somebody ended every session), and of a lane its oldest message. The order of bytes is that of the beginnings of lanes, too:
-- the messages of one session.
CREATE INDEX outbox_kind_first ON outbox (kind, next_try_at, id) WHERE delivered_at IS NULL AND given_up_at IS NULL;
DROP INDEX outbox_kind_due;
CREATE INDEX outbox_lane_first ON outbox (lane text_pattern_ops, id) WHERE delivered_at IS NULL AND given_up_at IS NULL;
DROP INDEX outbox_lane;
