-- name: write
INSERT INTO operations (operation_id, task_id, state, revision, seq, body) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (operation_id) DO UPDATE
SET state = excluded.state, revision = excluded.revision, seq = excluded.seq, body = excluded.body
WHERE operations.task_id = excluded.task_id AND operations.revision = excluded.revision - 1;

-- name: one
SELECT body FROM operations WHERE operation_id = ?;

-- name: task
SELECT task_id FROM operations WHERE operation_id = ?;

-- name: operating
SELECT task_id FROM operations WHERE state IN ('queued', 'running');

-- name: after
SELECT seq, body FROM operations WHERE task_id = ? AND seq > ? ORDER BY seq;

-- name: forget
DELETE FROM operations WHERE task_id = ?;
