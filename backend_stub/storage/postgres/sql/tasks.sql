-- name: having
SELECT task_id FROM tasks WHERE status = ANY (?) ORDER BY created_at, task_id;

-- name: living_having
-- The same for statuses of tasks that have not ended.
SELECT task_id FROM tasks WHERE ended = 0 AND status = ANY (?) ORDER BY created_at, task_id;

-- name: in_turn
SELECT DISTINCT tasks.task_id
FROM tasks JOIN prompts ON prompts.task_id = tasks.task_id
WHERE tasks.ended = 0 AND tasks.status = ? AND prompts.state = ?;

-- name: all_before
-- Each walk along the index has its own end, `LOOKED_AT_ONCE` of `lists`: else all that there is would be sorted.
SELECT created_at, task_id, summary FROM (
    SELECT created_at, task_id, summary FROM tasks WHERE ended = 0 AND (created_at, task_id) < (?, ?)
    ORDER BY created_at DESC, task_id DESC LIMIT 500
) AS living
UNION ALL
SELECT created_at, task_id, summary FROM (
    SELECT created_at, task_id, summary FROM tasks WHERE ended = 1 AND (created_at, task_id) < (?, ?)
    ORDER BY created_at DESC, task_id DESC LIMIT 500
) AS ended
ORDER BY created_at DESC, task_id DESC LIMIT ?;
