CREATE INDEX outbox_lane ON outbox (lane, id) WHERE delivered_at IS NULL AND given_up_at IS NULL;
DROP INDEX outbox_lane_first;
CREATE INDEX outbox_kind_due ON outbox (kind, next_try_at) WHERE delivered_at IS NULL AND given_up_at IS NULL;
DROP INDEX outbox_kind_first;
