-- Each index is a page more that every commit writes.

DROP INDEX tasks_by_seq;
DROP INDEX tasks_by_status;
CREATE INDEX tasks_by_seq ON tasks (seq, status, created_at, task_id);
DROP INDEX prompts_open;
