"""Processes on this machine: the backend in the background, and editors."""
