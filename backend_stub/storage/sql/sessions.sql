-- name: write
-- Nothing is written over a session of another task, nor over a revision that is as new.
INSERT INTO sessions (session_id, task_id, seq, body, revision, offer) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (session_id) DO UPDATE SET
    seq = excluded.seq, body = excluded.body, revision = excluded.revision, offer = excluded.offer
WHERE sessions.task_id = excluded.task_id AND sessions.revision < excluded.revision;

-- name: task
SELECT task_id FROM sessions WHERE session_id = ?;

-- name: body
SELECT body, offer FROM sessions WHERE session_id = ?;

-- name: body_after
SELECT seq, body, offer FROM sessions WHERE session_id = ? AND seq > ?;

-- name: offers
SELECT session_id, offer FROM sessions WHERE task_id = ?;

-- name: ids_of_task
SELECT session_id FROM sessions WHERE task_id = ?;

-- name: forget
DELETE FROM sessions WHERE task_id = ?;
