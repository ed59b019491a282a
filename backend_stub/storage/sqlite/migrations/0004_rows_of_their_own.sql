-- What a task has many of is kept in rows of its own alone: the next one costs no more than the first.

UPDATE tasks SET
    summary = CAST(json_remove(CAST(summary AS TEXT), '$.sessions') AS BLOB),
    detail = CAST(json_remove(CAST(detail AS TEXT), '$.sessions') AS BLOB);
ALTER TABLE sessions ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
UPDATE sessions SET
    revision = json_extract(CAST(body AS TEXT), '$.revision'),
    body = CAST(json_remove(CAST(body AS TEXT), '$.prompts') AS BLOB);
