"""The command line: one file a command group, each importing only what it needs."""
