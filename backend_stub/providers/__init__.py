"""Who makes sandboxes: `demo` simulates, `local` makes git worktrees; `base` says what either promises."""
