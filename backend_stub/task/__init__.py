"""A task's life: `actor` writes its rows, `provision` prepares it, `sessions` talks to its agent, `release` ends it."""
