-- name: add
-- The numbers of a task's lines rise in the order of their commits: whoever has read up to one reads on from there.
WITH alone AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtextextended('demo_world ' || ?, 0)))
INSERT INTO demo_world (task_id, once, body) SELECT ?, ?, ? FROM alone
ON CONFLICT (once) DO NOTHING RETURNING number;

-- name: after
SELECT number, body FROM demo_world WHERE task_id = ? AND number > ? ORDER BY number;
