"""Units of service managers that run the backend from login on."""

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape


def systemd_unit(words: Sequence[str], config_file: Path) -> str:
    """A systemd user unit that runs these words."""
    command = " ".join(_systemd_word(word) for word in words)
    return f"""[Unit]
Description=Foundry backend
# settings: {config_file}

[Service]
Type=exec
ExecStart={command}
Restart=on-failure
RestartSec=2
TimeoutStopSec=10
# sandboxes and agents are children of the backend and are found again by the next one
KillMode=mixed

[Install]
WantedBy=default.target
"""


def _systemd_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if any(letter in ' \t"\\;' for letter in word) else escaped


def launchd_plist(words: Sequence[str], config_file: Path) -> str:
    """A launchd agent that runs these words."""
    arguments = "\n".join(f"        <string>{escape(word)}</string>" for word in words)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- settings: {escape(str(config_file)).replace("--", "- -")} -->
<plist version="1.0">
<dict>
    <key>Label</key>
    <string>foundry.backend</string>
    <key>ProgramArguments</key>
    <array>
{arguments}
    </array>
    <key>RunAtLoad</key>
    <true/>
    <key>KeepAlive</key>
    <dict>
        <key>SuccessfulExit</key>
        <false/>
    </dict>
    <key>ProcessType</key>
    <string>Background</string>
</dict>
</plist>
"""
