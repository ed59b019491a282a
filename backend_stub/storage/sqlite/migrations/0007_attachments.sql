-- What goes with prompts can have megabytes: rows of its own, which nobody reads but who hands the prompt over.

CREATE TABLE attachments (prompt_id TEXT PRIMARY KEY, task_id TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX attachments_by_task ON attachments (task_id);
