"""Foundry TUI: the terminal app and the command line."""
