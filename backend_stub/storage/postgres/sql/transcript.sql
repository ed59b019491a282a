-- name: last_message
-- Texts in JSON have no bare quotation marks: these words are there as field and value alone. A few, since an item of
-- another kind may have a field of its own like that.
SELECT body FROM transcript
WHERE task_id = ? AND position('"kind":"message"'::BYTEA IN body) > 0
ORDER BY seq DESC LIMIT 20;
