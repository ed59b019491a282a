-- The tables as they were at first. `seq` is that of the row's last change, so that what a client missed is whatever
-- rows have a higher one. `body`, `summary`, `detail` and `private` are JSON.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE repos (
    repo_id TEXT PRIMARY KEY, seq INTEGER NOT NULL, body BLOB NOT NULL
);

CREATE TABLE tasks (
    task_id TEXT PRIMARY KEY, repo_id TEXT NOT NULL, status TEXT NOT NULL, created_at INTEGER NOT NULL,
    revision INTEGER NOT NULL, seq INTEGER NOT NULL, summary BLOB NOT NULL, detail BLOB NOT NULL,
    private BLOB NOT NULL, request BLOB NOT NULL
);
CREATE INDEX tasks_by_seq ON tasks (seq);
CREATE INDEX tasks_by_status ON tasks (status, created_at);

CREATE TABLE pruned (task_id TEXT PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL);
CREATE INDEX pruned_by_seq ON pruned (seq);

CREATE TABLE branches (
    repo_id TEXT NOT NULL, branch TEXT NOT NULL, task_id TEXT NOT NULL UNIQUE, PRIMARY KEY (repo_id, branch)
) WITHOUT ROWID;

CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY, task_id TEXT NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX sessions_by_task ON sessions (task_id);

CREATE TABLE prompts (
    number INTEGER PRIMARY KEY, prompt_id TEXT NOT NULL UNIQUE, session_id TEXT NOT NULL, task_id TEXT NOT NULL,
    state TEXT NOT NULL, body BLOB NOT NULL
);
CREATE INDEX prompts_by_task ON prompts (task_id, number);
CREATE INDEX prompts_open ON prompts (task_id) WHERE state IN ('queued', 'delivered');

CREATE TABLE permissions (permission_id TEXT PRIMARY KEY, task_id TEXT NOT NULL);
CREATE INDEX permissions_by_task ON permissions (task_id);

CREATE TABLE transcript (
    session_id TEXT NOT NULL, number INTEGER NOT NULL, task_id TEXT NOT NULL, item_id TEXT NOT NULL,
    revision INTEGER NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (session_id, number)
) WITHOUT ROWID;
CREATE INDEX transcript_by_seq ON transcript (session_id, seq);
CREATE INDEX transcript_by_task ON transcript (task_id);

CREATE TABLE history (seq INTEGER PRIMARY KEY, task_id TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX history_by_task ON history (task_id, seq);

CREATE TABLE stage_log (
    task_id TEXT NOT NULL, number INTEGER NOT NULL, stage TEXT NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (task_id, number)
) WITHOUT ROWID;

CREATE TABLE leftovers (task_id TEXT PRIMARY KEY, body BLOB NOT NULL);

INSERT INTO meta (key, value) VALUES ('database', ''), ('seq', '0');
