-- name: having
-- A list comes as one JSON array.
SELECT task_id FROM tasks WHERE status IN (SELECT value FROM json_each(?)) ORDER BY created_at, task_id;

-- name: living_having
-- The same for statuses of tasks that have not ended.
SELECT task_id FROM tasks
WHERE ended = 0 AND status IN (SELECT value FROM json_each(?))
ORDER BY created_at, task_id;

-- name: in_turn
SELECT DISTINCT tasks.task_id
FROM tasks CROSS JOIN prompts ON prompts.task_id = tasks.task_id
WHERE tasks.ended = 0 AND tasks.status = ? AND prompts.state = ?;

-- name: all_before
-- Two walks along the index, side by side.
SELECT created_at, task_id, summary FROM tasks WHERE ended = 0 AND (created_at, task_id) < (?, ?)
UNION ALL
SELECT created_at, task_id, summary FROM tasks WHERE ended = 1 AND (created_at, task_id) < (?, ?)
ORDER BY created_at DESC, task_id DESC LIMIT ?;
