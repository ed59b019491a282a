-- name: add
-- Whoever listens hears of them at the commit.
WITH counted AS (
    UPDATE meta SET seq = ?::BIGINT RETURNING pg_notify('foundry_events', seq::TEXT)
)
INSERT INTO events (seq, name, task_id, session_id, body)
SELECT * FROM unnest(?::BIGINT[], ?::TEXT[], ?::TEXT[], ?::TEXT[], ?::BYTEA[]);

-- name: after
SELECT seq, name, task_id, session_id, body FROM events WHERE seq > ? ORDER BY seq LIMIT ?;

-- name: prune
DELETE FROM events WHERE at < clock_timestamp() - make_interval(secs => ?);
