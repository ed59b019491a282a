"""Providers that clients treat otherwise than the rest."""

SIMULATED = "demo"
"""The provider that only plays a script: it makes no folder, and runs nothing of a repository."""
