-- The tables as they were at first. `seq` is that of the row's last change, so that what a client missed is whatever
-- rows have a higher one. `body`, `summary`, `detail`, `private` and `offer` are JSON, kept as bytes: PostgreSQL's own
-- types refuse the character NUL, which texts of agents may have. Words are compared by their bytes.

CREATE TABLE meta (
    only_row BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (only_row),
    database TEXT NOT NULL, seq BIGINT NOT NULL DEFAULT 0, ended BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
INSERT INTO meta (database) VALUES (substr(replace(gen_random_uuid()::TEXT, '-', ''), 21));

-- What was committed last, for whoever follows from another process; pruned by age.
CREATE TABLE events (
    seq BIGINT PRIMARY KEY, name TEXT COLLATE "C" NOT NULL, task_id TEXT COLLATE "C" NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL, body BYTEA NOT NULL, at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX events_by_age ON events (at);

CREATE TABLE repos (
    repo_id TEXT COLLATE "C" PRIMARY KEY, seq BIGINT NOT NULL, body BYTEA NOT NULL
);

CREATE TABLE tasks (
    task_id TEXT COLLATE "C" PRIMARY KEY, repo_id TEXT COLLATE "C" NOT NULL, status TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL, revision BIGINT NOT NULL, seq BIGINT NOT NULL, summary BYTEA NOT NULL,
    detail BYTEA NOT NULL, private BYTEA NOT NULL, request BYTEA NOT NULL, version BIGINT NOT NULL DEFAULT 1,
    ended BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX tasks_by_seq ON tasks (seq);
CREATE INDEX tasks_by_age ON tasks (ended, created_at, task_id);

CREATE TABLE pruned (task_id TEXT COLLATE "C" PRIMARY KEY, seq BIGINT NOT NULL, at BIGINT NOT NULL);
CREATE INDEX pruned_by_seq ON pruned (seq);

CREATE TABLE branches (
    repo_id TEXT COLLATE "C" NOT NULL, branch TEXT COLLATE "C" NOT NULL, task_id TEXT COLLATE "C" NOT NULL UNIQUE,
    PRIMARY KEY (repo_id, branch)
);
-- A branch cannot stand beside one that differs from it in case alone, where the file system tells no case. In this
-- collation only the letters of ASCII have one.
CREATE INDEX branches_by_name ON branches (repo_id, lower(branch));

CREATE TABLE sessions (
    session_id TEXT COLLATE "C" PRIMARY KEY, number BIGINT GENERATED ALWAYS AS IDENTITY,
    task_id TEXT COLLATE "C" NOT NULL, seq BIGINT NOT NULL, body BYTEA NOT NULL, revision BIGINT NOT NULL,
    offer BYTEA NOT NULL
);
CREATE INDEX sessions_by_task ON sessions (task_id, number);

CREATE TABLE prompts (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, prompt_id TEXT COLLATE "C" NOT NULL UNIQUE,
    session_id TEXT COLLATE "C" NOT NULL, task_id TEXT COLLATE "C" NOT NULL, state TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL
);
CREATE INDEX prompts_by_task ON prompts (task_id, number);

-- What goes with prompts can have megabytes: rows of its own, which nobody reads but who hands the prompt over.
CREATE TABLE attachments (
    prompt_id TEXT COLLATE "C" PRIMARY KEY, task_id TEXT COLLATE "C" NOT NULL, body BYTEA NOT NULL
);
CREATE INDEX attachments_by_task ON attachments (task_id);

CREATE TABLE permissions (permission_id TEXT COLLATE "C" PRIMARY KEY, task_id TEXT COLLATE "C" NOT NULL);
CREATE INDEX permissions_by_task ON permissions (task_id);

CREATE TABLE transcript (
    session_id TEXT COLLATE "C" NOT NULL, number BIGINT NOT NULL, task_id TEXT COLLATE "C" NOT NULL,
    item_id TEXT COLLATE "C" NOT NULL, revision BIGINT NOT NULL, seq BIGINT NOT NULL, body BYTEA NOT NULL,
    PRIMARY KEY (session_id, number)
);
CREATE INDEX transcript_by_seq ON transcript (session_id, seq);
CREATE INDEX transcript_by_task ON transcript (task_id, seq);

CREATE TABLE history (seq BIGINT PRIMARY KEY, task_id TEXT COLLATE "C" NOT NULL, body BYTEA NOT NULL);
CREATE INDEX history_by_task ON history (task_id, seq);

CREATE TABLE stage_log (
    task_id TEXT COLLATE "C" NOT NULL, number BIGINT NOT NULL, stage TEXT COLLATE "C" NOT NULL, seq BIGINT NOT NULL,
    body BYTEA NOT NULL, PRIMARY KEY (task_id, number)
);

CREATE TABLE operations (
    operation_id TEXT COLLATE "C" PRIMARY KEY, task_id TEXT COLLATE "C" NOT NULL, state TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL, seq BIGINT NOT NULL, body BYTEA NOT NULL
);
CREATE INDEX operations_under_way ON operations (task_id) WHERE state IN ('queued', 'running');
CREATE INDEX operations_of_task ON operations (task_id, seq);

CREATE TABLE leftovers (task_id TEXT COLLATE "C" PRIMARY KEY, body BYTEA NOT NULL);
