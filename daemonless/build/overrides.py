"""What options of `build` change in the configuration of the image, after its last instruction."""

from __future__ import annotations

from daemonless.dockerfile.settings import set_variables, variables_of
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Overrides(Record):
    """What is set, and what is left out."""

    labels: tuple[tuple[str, str], ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    without_variables: tuple[str, ...] = ()

    def apply(self, config: dict[str, Any]) -> None:
        """Change a `config` section."""
        if self.labels:
            config["Labels"] = {**(config.get("Labels") or {}), **dict(self.labels)}
        if self.variables:
            set_variables(config, [*self.variables])
        if self.without_variables:
            kept = variables_of(config)
            for name in self.without_variables:
                kept.pop(name, None)
            config["Env"] = [f"{name}={value}" for name, value in kept.items()]
