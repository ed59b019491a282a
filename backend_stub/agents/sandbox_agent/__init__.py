"""Real coding agents: one sandbox-agent server per sandbox, spoken to in ACP over HTTP."""

import sys
from types import ModuleType

# httpx imports its own command line where click is installed, and with it rich: half its time, and most of its memory.
# It does without where that module lacks `main`.
sys.modules.setdefault("httpx._main", ModuleType("httpx._main"))
