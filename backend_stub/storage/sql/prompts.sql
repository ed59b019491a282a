-- name: write
-- The revision of its session guards a prompt, which has none of its own.
INSERT INTO prompts (prompt_id, session_id, task_id, state, body) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (prompt_id) DO UPDATE SET state = excluded.state, body = excluded.body
WHERE prompts.session_id = excluded.session_id AND prompts.task_id = excluded.task_id;

-- name: of_task
SELECT body FROM prompts WHERE task_id = ? ORDER BY number;

-- name: of_session
-- There is an index by task.
SELECT body FROM prompts WHERE task_id = ? AND session_id = ? ORDER BY number;

-- name: forget
DELETE FROM prompts WHERE task_id = ?;
