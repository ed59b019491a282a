-- name: add
-- The bodies come as one value: psycopg takes milliseconds to make an array of them.
INSERT INTO events (seq, name, task_id, session_id, body)
SELECT seq, name, task_id, session_id, substr(bodies, start, length)
FROM (SELECT ?::BYTEA AS bodies) AS given, json_to_recordset(?::JSON)
AS rows (seq BIGINT, name TEXT, task_id TEXT, session_id TEXT, start INTEGER, length INTEGER);

-- name: after
SELECT seq, name, task_id, session_id, body FROM events WHERE seq > ? ORDER BY seq LIMIT ?;

-- name: has
SELECT 1 FROM events WHERE seq = ? AND task_id = ? AND body = ?;

-- name: prune
DELETE FROM events WHERE at < clock_timestamp() - make_interval(secs => ?);
