"""What options of `build` change in the configuration of base images, and of the new one."""

from __future__ import annotations

from daemonless.dockerfile.settings import set_variables, variables_of
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Overrides(Record):
    """What is set, and what is left out."""

    labels: tuple[tuple[str, str], ...] = ()
    without_labels: tuple[str, ...] = ()
    inherit_labels: bool = True
    variables: tuple[tuple[str, str], ...] = ()
    without_variables: tuple[str, ...] = ()

    def inherited(self, config: dict[str, Any]) -> dict[str, Any]:
        """Return what of a base image's `config` section the first instruction finds."""
        labels = config.get("Labels")
        if not labels or (self.inherit_labels and not self.without_labels):
            return config
        kept = {key: value for key, value in labels.items() if key not in self.without_labels}
        return {**config, "Labels": kept if self.inherit_labels else {}}

    def apply(self, config: dict[str, Any]) -> None:
        """Change the `config` section that the last instruction has left."""
        if self.labels:
            config["Labels"] = {**(config.get("Labels") or {}), **dict(self.labels)}
        if self.variables:
            set_variables(config, [*self.variables])
        if self.without_variables:
            kept = variables_of(config)
            for name in self.without_variables:
                kept.pop(name, None)
            config["Env"] = [f"{name}={value}" for name, value in kept.items()]
