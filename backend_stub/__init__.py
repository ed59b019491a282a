"""The backend: owns the tasks, prepares their sandboxes, and tells clients what happens."""
