"""`python -m backend_stub.copying`: copies the database that FOUNDRY_COPY_FROM names into the one of FOUNDRY_COPY_TO.

Either is a data folder or the URL of a PostgreSQL database. Prints one JSON object {"tables": {name: {rows, digest}}}.
"""

import os
import sys

import anyio

from backend_stub.console import complain, say
from backend_stub.domain.errors import DatabaseUnusableError, StartError
from backend_stub.wiring import copy_database
from foundry_tui.contract.codec import encode


def main() -> int:
    """0 when all is copied and checked; 1, and nothing is there, when it cannot be."""
    try:
        copied = anyio.run(copy_database, os.environ["FOUNDRY_COPY_FROM"], os.environ["FOUNDRY_COPY_TO"])
    except (DatabaseUnusableError, StartError) as error:
        complain(str(error))
        return 1
    say(encode({"tables": copied}).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
