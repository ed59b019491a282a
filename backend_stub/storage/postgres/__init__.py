"""Storage in a PostgreSQL database, which several backends may share."""

from backend_stub.storage.postgres.shared import Shared, open_shared
from backend_stub.storage.postgres.storage import PostgresStorage, open_storage

__all__ = ["PostgresStorage", "Shared", "open_shared", "open_storage"]
