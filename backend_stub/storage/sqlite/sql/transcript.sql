-- name: last_message
SELECT body FROM transcript WHERE task_id = ? AND body ->> '$.kind' = 'message' ORDER BY seq DESC LIMIT 1;
