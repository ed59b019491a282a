"""`replace(record, field=value)`: a copy of a Struct with other values, where mypy sees a wrong field or type.

It is msgspec's own function, whose signature takes anything; that of dataclasses says what a record can have.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import replace as replace
else:
    from msgspec.structs import replace as replace
