"""Storage in one SQLite file of the data folder, which one process owns."""

from backend_stub.storage.sqlite.opening import FILE_NAME
from backend_stub.storage.sqlite.side import open_side
from backend_stub.storage.sqlite.storage import SqliteStorage, open_storage

__all__ = ["FILE_NAME", "SqliteStorage", "open_side", "open_storage"]
