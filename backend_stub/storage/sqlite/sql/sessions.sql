-- name: write
-- Nothing is written over a session of another task, nor over a revision that is as new.
INSERT INTO sessions (session_id, task_id, seq, body, revision, offer) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (session_id) DO UPDATE SET
    seq = excluded.seq, body = excluded.body, revision = excluded.revision, offer = excluded.offer
WHERE task_id = excluded.task_id AND revision < excluded.revision;

-- name: task
SELECT task_id FROM sessions WHERE session_id = ?;

-- name: body
SELECT body, offer FROM sessions WHERE session_id = ?;

-- name: body_after
SELECT seq, body, offer FROM sessions WHERE session_id = ? AND seq > ?;

-- name: of_task
-- In the order in which they were asked for.
SELECT body FROM sessions WHERE task_id = ? ORDER BY rowid;

-- name: offers
SELECT session_id, offer FROM sessions WHERE task_id = ?;

-- name: of_living_tasks
SELECT task_id, body FROM sessions
WHERE task_id IN (SELECT task_id FROM tasks WHERE ended = 0)
ORDER BY rowid;

-- name: ids_of_task
SELECT session_id FROM sessions WHERE task_id = ?;

-- name: forget
DELETE FROM sessions WHERE task_id = ?;
