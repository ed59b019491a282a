-- name: add
-- Counts as written for the task that it belongs to already.
INSERT INTO permissions (permission_id, task_id) VALUES (?, ?)
ON CONFLICT (permission_id) DO UPDATE SET task_id = excluded.task_id
WHERE permissions.task_id = excluded.task_id;

-- name: task
SELECT task_id FROM permissions WHERE permission_id = ?;

-- name: forget
DELETE FROM permissions WHERE task_id = ?;
