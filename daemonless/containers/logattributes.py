"""What a container's log records tell beside its output: `--log-opt tag`, `labels` and `env`.

The names and the tag's templates are docker's.
"""

from __future__ import annotations

from daemonless.containers.request import LogOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from daemonless.containers.store import Container

_RESERVED = ("MESSAGE", "PRIORITY", "CONTAINER_PARTIAL_MESSAGE")


def attributes_of(container: Container, options: LogOptions) -> dict[str, str]:
    """Return the attributes of a container's records, by name. Raises InvalidData."""
    found = {}
    if options.labels:
        labels = container.record["labels"]
        found = {name: labels[name] for name in options.labels if name in labels}
    if options.env:
        entries = container.spec()["process"]["env"]
        values = dict(entry.split("=", 1) for entry in entries)
        found.update((name, values[name]) for name in options.env if name in values)
    if options.tag:
        found["tag"] = expand_tag(options.tag, container.record)
    return found


def expand_tag(tag: str, record: dict[str, Any]) -> str:
    """Return a tag with its `{{.Name}}` and the like replaced, from the container's record."""
    for field, value in _tag_fields(record).items():
        for written in (f"{{{{.{field}}}}}", f"{{{{ .{field} }}}}"):
            tag = tag.replace(written, value)
    return tag


def tag_problem(tag: str) -> str:
    """Return what in a tag cannot be expanded; nothing if all can."""
    names = ("id", "name", "image", "imageId")
    rest = expand_tag(tag, dict.fromkeys(names, ""))
    return rest[rest.find("{{") :] if "{{" in rest else ""


def _tag_fields(record: dict[str, Any]) -> dict[str, str]:
    image_id = record["imageId"]
    return {
        "ID": record["id"][:12],
        "FullID": record["id"],
        "Name": record["name"],
        "ImageID": image_id.removeprefix("sha256:")[:12],
        "ImageFullID": image_id,
        "ImageName": record["image"],
        "DaemonName": "daemonless",
    }


def journal_fields(container: Container, attributes: dict[str, str]) -> dict[str, str]:
    """Return the fields of a container's journal entries, with conmon's and docker's names."""
    record = container.record
    tag = attributes.get("tag", "")
    fields = {
        "CONTAINER_ID": record["id"][:12],
        "CONTAINER_ID_FULL": record["id"],
        "CONTAINER_NAME": record["name"],
        "IMAGE_NAME": record["image"],
        "SYSLOG_IDENTIFIER": tag or record["name"],
    }
    if tag:
        fields["CONTAINER_TAG"] = tag
    for name, value in attributes.items():
        field = _field_name(name)
        if field and name != "tag" and field not in _RESERVED:
            fields.setdefault(field, value)
    return fields


def _field_name(name: str) -> str:
    """Return a name as the journal takes it (systemd.journal-fields(7)): of a user's, A-Z0-9_ from A-Z on."""
    letters = (char if char.isascii() and char.isalnum() else "_" for char in name)
    return "".join(letters).upper().lstrip("_0123456789")[:64]
