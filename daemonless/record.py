"""Frozen records for the hot path.

`dataclasses` costs 9 to 20 ms to import and about 0.75 ms per class, which is as much as the
kernel needs to start a container. `Record` keeps what the code wants of a frozen dataclass -
keyword-only construction, equality, a readable repr, no assignment - in a few lines, and a type
checker sees it as one (PEP 681).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, dataclass_transform
else:

    def dataclass_transform(**_options):
        """Stand in for typing.dataclass_transform, whose import would cost what Record saves."""
        return lambda cls: cls


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Record:
    """Base of immutable value classes; fields are the class annotations, in order.

    A field without a default is required. Defaults are shared between instances, so they must
    be immutable themselves (tuples, not lists).
    """

    __fields__: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        own = (name for name in cls.__dict__.get("__annotations__", ()) if name[0] != "_")
        cls.__fields__ = (*cls.__fields__, *(name for name in own if name not in cls.__fields__))

    if not TYPE_CHECKING:  # the checker synthesises the precise signature from the fields

        def __init__(self, **values):
            for name in self.__fields__:
                if name not in values and not hasattr(type(self), name):
                    raise TypeError(f"{type(self).__name__} needs {name}")
            for name in values:
                if name not in self.__fields__:
                    raise TypeError(f"{type(self).__name__} has no field {name}")
            self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(tuple(self.as_dict().values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.as_dict().items())
        return f"{type(self).__name__}({fields})"

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as a dict, in declaration order."""
        return {name: getattr(self, name) for name in self.__fields__}

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return type(self)(**{**self.as_dict(), **changes})
