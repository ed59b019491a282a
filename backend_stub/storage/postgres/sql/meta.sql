-- name: take
-- Whoever has this row is the only one that commits, until the end of the transaction.
SELECT database, seq, pg_current_xact_id()::TEXT FROM meta FOR UPDATE;

-- name: free
-- Cuts off the host that keeps the row to itself and has said nothing for so long: it stands still, or is gone.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'foundry %' AND wait_event_type = 'Client'
AND state_change < clock_timestamp() - make_interval(secs => ?)
AND pid IN (SELECT pid FROM pg_locks WHERE relation = 'meta'::regclass AND mode = 'RowShareLock');

-- name: outcome
SELECT pg_xact_status(?::TEXT::XID8);

-- name: life
SELECT database, seq FROM meta;

-- name: begin_life
UPDATE meta SET database = ?;

-- name: seq
SELECT seq FROM meta;

-- name: set_seq
UPDATE meta SET seq = ?;

-- name: tell
-- Whoever listens hears of it at the commit.
UPDATE meta SET seq = ? RETURNING pg_notify('foundry_events', seq::TEXT);

-- name: tell_next
-- The same, where nobody has committed since that seq of that database.
UPDATE meta SET seq = ? WHERE database = ? AND seq = ? RETURNING pg_notify('foundry_events', seq::TEXT);

-- name: ended
SELECT ended FROM meta;

-- name: count_ended
-- How many tasks have ended: counting them would look at each.
UPDATE meta SET ended = ended + ?;

-- name: touch
-- Writes what is there, to find out whether anything can be written.
UPDATE meta SET seq = seq;

-- name: columns
-- Without those whose numbers are given out.
SELECT column_name FROM information_schema.columns
WHERE table_schema = ? AND table_name = ? AND is_identity = 'NO';
