"""How the database is laid out, and how an older one becomes a newer one."""

VERSION = 4
"""Schema version of this program; a database with a higher one is refused."""

MIGRATIONS: dict[int, str] = {
    1: """
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
    """,
    # Each index is a page more that every commit writes.
    2: """
    DROP INDEX tasks_by_seq;
    DROP INDEX tasks_by_status;
    CREATE INDEX tasks_by_seq ON tasks (seq, status, created_at, task_id);
    DROP INDEX prompts_open;
    """,
    3: """
    CREATE INDEX branches_by_name ON branches (repo_id, branch COLLATE NOCASE);
    """,
    # What a task has many of is kept in rows of its own alone: the next one costs no more than the first.
    4: """
    UPDATE tasks SET
        summary = CAST(json_remove(CAST(summary AS TEXT), '$.sessions') AS BLOB),
        detail = CAST(json_remove(CAST(detail AS TEXT), '$.sessions') AS BLOB);
    ALTER TABLE sessions ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
    UPDATE sessions SET
        revision = json_extract(CAST(body AS TEXT), '$.revision'),
        body = CAST(json_remove(CAST(body AS TEXT), '$.prompts') AS BLOB);
    """,
}
"""What leads to each version from the one before."""
