"""What `inspect` tells of an image."""

from __future__ import annotations

from daemonless.actions.image_names import repo_digests
from daemonless.actions.values import Struct
from daemonless.layers.store import LayerStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from daemonless.images.store import Image

_MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"


class _Described(Struct):
    """An image, whose parent is looked for when it is asked for: all images have to be read."""

    def __init__(self, image: Image, data: str, **fields: Any) -> None:
        super().__init__(**fields)
        self._image = image
        self._data = data

    def __missing__(self, field: str) -> str:
        if field != "Parent":
            raise KeyError(field)
        from daemonless.images.family import Family  # noqa: PLC0415 - as said above
        from daemonless.images.store import ImageStore  # noqa: PLC0415 - as above

        parent = Family(ImageStore(self._data).images()).parent(self._image)
        found = parent.id.removeprefix("sha256:") if parent else ""
        self[field] = found
        return found

    def complete(self) -> dict[str, Any]:
        """Return all fields."""
        return {**self, "Parent": self["Parent"]}


def describe_image(image: Image, data: str) -> Struct:
    """Return the image under podman's and docker's keys."""
    config = image.config
    layers = LayerStore(data)
    lower = [layers.path(diff_id) for diff_id in reversed(image.diff_ids)]
    return _Described(
        image,
        data,
        Id=image.id.removeprefix("sha256:"),
        Digest=image.digest,
        RepoTags=[name for name in image.names if "@" not in name],
        RepoDigests=repo_digests(image),
        Comment=_last_comment(config),
        Created=image.created,
        Config=image_config(config),
        Version="",
        Author=config.get("author") or "",
        Architecture=config.get("architecture") or "",
        Variant=config.get("variant") or "",
        Os=config.get("os") or "",
        Size=image.size,
        VirtualSize=image.size,
        GraphDriver=Struct(
            Name="overlay", Data={"LowerDir": ":".join(lower[1:]), "UpperDir": lower[0] if lower else ""}
        ),
        RootFS=Struct(Type="layers", Layers=[*image.diff_ids]),
        Labels=config["config"].get("Labels") or {},
        Annotations=image.manifest.get("annotations") or {},
        ManifestType=image.manifest.get("mediaType") or _MEDIA_TYPE,
        User=config["config"].get("User") or "",
        Healthcheck=config["config"].get("Healthcheck"),
        History=config.get("history") or [],
        NamesHistory=[*image.names],
    )


def image_config(config: dict[str, Any]) -> Struct:
    """Return the `config` section with all of its fields present, so that templates can name them."""
    section = config["config"]
    return Struct(
        User=section.get("User") or "",
        ExposedPorts=section.get("ExposedPorts"),
        Env=section.get("Env"),
        Entrypoint=section.get("Entrypoint"),
        Cmd=section.get("Cmd"),
        Volumes=section.get("Volumes"),
        WorkingDir=section.get("WorkingDir") or "",
        Labels=section.get("Labels") or {},
        StopSignal=section.get("StopSignal") or "",
        Healthcheck=section.get("Healthcheck"),
        OnBuild=section.get("OnBuild"),
        Shell=section.get("Shell"),
    )


def _last_comment(config: dict[str, Any]) -> str:
    history = config.get("history") or [{}]
    last = history[-1]
    return (last.get("comment") or "") if isinstance(last, dict) else ""
