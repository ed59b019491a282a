-- name: having
SELECT task_id FROM tasks WHERE status = ANY (?) ORDER BY created_at, task_id;

-- name: living_having
-- The same for statuses of tasks that have not ended.
SELECT task_id FROM tasks WHERE ended = 0 AND status = ANY (?) ORDER BY created_at, task_id;

-- name: in_turn
SELECT DISTINCT tasks.task_id
FROM tasks JOIN prompts ON prompts.task_id = tasks.task_id
WHERE tasks.ended = 0 AND tasks.status = ? AND prompts.state = ?;
