-- name: add
INSERT INTO demo_world (task_id, once, body) VALUES (?, ?, ?) ON CONFLICT (once) DO NOTHING RETURNING number;

-- name: after
SELECT number, body FROM demo_world WHERE task_id = ? AND number > ? ORDER BY number;
