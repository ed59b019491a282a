-- Tasks that have ended pile up: what is asked for of the living ones, or of the newest, looks at no other rows.
-- The column is written twice in a task's life, so that the index costs other commits nothing.

ALTER TABLE tasks ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;
UPDATE tasks SET ended = 1 WHERE status IN ('archived', 'killed');
CREATE INDEX tasks_by_age ON tasks (ended, created_at, task_id);
INSERT INTO meta (key, value) SELECT 'ended', CAST(count(*) AS TEXT) FROM tasks WHERE ended = 1;
