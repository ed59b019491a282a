-- name: of_task
-- In the order in which they were asked for.
SELECT body FROM sessions WHERE task_id = ? ORDER BY number;

-- name: of_living_tasks
SELECT task_id, body FROM sessions
WHERE task_id IN (SELECT task_id FROM tasks WHERE ended = 0)
ORDER BY number;

-- name: of_tasks
SELECT task_id, body FROM sessions WHERE task_id = ANY (?) ORDER BY number;
