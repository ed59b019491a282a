-- name: write
-- The version of the task guards it.
INSERT INTO leftovers (task_id, body) VALUES (?, ?) ON CONFLICT (task_id) DO UPDATE SET body = excluded.body;

-- name: all
SELECT body FROM leftovers;

-- name: one
SELECT body FROM leftovers WHERE task_id = ?;

-- name: forget
DELETE FROM leftovers WHERE task_id = ?;
