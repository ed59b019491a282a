"""Real coding agents: one sandbox-agent server per sandbox, spoken to in ACP over HTTP."""
