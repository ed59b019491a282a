"""Who makes sandboxes: `demo` simulates, `local` makes git worktrees. `domain/provider.py` says what each promises."""
