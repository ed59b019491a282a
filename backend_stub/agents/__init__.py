"""Who talks to coding agents inside sandboxes; `domain/agent.py` says what each promises."""
