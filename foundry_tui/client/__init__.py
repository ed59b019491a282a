"""The app's and the command line's way to the backend: calls, streams, and the store that they end up in.

Nothing of ours is imported here, so that each command pays only for the modules that it uses.
"""

import sys
from types import ModuleType

# httpx imports its own command line where click is installed, and with it pygments and more: a third of its time.
# It does without where that module lacks `main`.
sys.modules.setdefault("httpx._main", ModuleType("httpx._main"))
