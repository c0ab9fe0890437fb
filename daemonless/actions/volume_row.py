"""The fields of a volume, for `volume ls` and `volume inspect`."""

from __future__ import annotations

from daemonless.actions.values import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from daemonless.containers.volumes import Users
    from daemonless.volumes.store import Volume


class VolumeRow(Struct):
    """A volume under podman's names; docker's, as far as they differ, are found too."""

    def __init__(self, volume: Volume, users: Users) -> None:
        record = volume.record
        uid, gid = record["owner"] or (0, 0)
        super().__init__(
            Name=volume.name,
            Driver=record["driver"],
            Mountpoint=volume.mountpoint,
            CreatedAt=record["created"],
            Labels=record["labels"],
            Scope="local",
            Options=record["options"],
            UID=uid,
            GID=gid,
            Anonymous=record["anonymous"],
            NeedsCopyUp=record["needsCopyUp"],
            NeedsChown=record["needsCopyUp"],
        )
        self.volume = volume
        self._users = users

    def __missing__(self, field: str) -> Any:
        if field == "Label":
            return self.label
        if field != "MountCount":
            raise KeyError(field)
        running = [user for user in self._users.of(self.volume.name) if user.is_supervised]
        self[field] = len(running)
        return self[field]

    def label(self, key: str) -> str:
        """Return the value of a label, empty if it is not set: docker's `{{.Label "key"}}`."""
        value: str = self["Labels"].get(key, "")
        return value

    def complete(self) -> dict[str, Any]:
        """Return the fields of podman, those that it leaves out at their zero left out as well."""
        optional = {"UID", "GID", "Anonymous"}
        count = self["MountCount"]
        shown = {name: value for name, value in self.items() if value or name not in optional}
        return {**shown, "MountCount": count}
