-- A branch cannot stand beside one that differs from it in case alone, where the file system tells no case.

CREATE INDEX branches_by_name ON branches (repo_id, branch COLLATE NOCASE);
