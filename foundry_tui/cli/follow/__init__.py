"""Following a task from a command until what is waited for has come."""
