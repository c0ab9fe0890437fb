"""`typing.Protocol` for a type checker, and next to nothing for Python: importing typing takes 3 ms."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol as Protocol
else:
    Protocol = object
