-- name: add
INSERT INTO events (seq, name, task_id, session_id, body)
SELECT * FROM unnest(?::BIGINT[], ?::TEXT[], ?::TEXT[], ?::TEXT[], ?::BYTEA[]);

-- name: tell
-- Whoever listens hears of it at the commit.
SELECT pg_notify('foundry_events', ?::BIGINT::TEXT);

-- name: after
SELECT seq, name, task_id, session_id, body FROM events WHERE seq > ? ORDER BY seq LIMIT ?;

-- name: prune
DELETE FROM events WHERE at < clock_timestamp() - make_interval(secs => ?);
