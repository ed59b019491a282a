-- What was asked to be done with tasks' work; the last ones stand in their tasks' documents as well.

CREATE TABLE operations (
    operation_id TEXT PRIMARY KEY,
    task_id TEXT NOT NULL,
    state TEXT NOT NULL,
    revision INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX operations_under_way ON operations (task_id) WHERE state IN ('queued', 'running');
CREATE INDEX operations_of_task ON operations (task_id, seq);
