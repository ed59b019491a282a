"""Sandboxes on this machine: a git worktree for each task, and real agents in it."""

from backend_stub.providers.local.provider import LocalProvider
from backend_stub.providers.local.settings import LocalSettings

__all__ = ["LocalProvider", "LocalSettings"]
