"""Who talks to coding agents inside sandboxes; `base` says what each promises."""
