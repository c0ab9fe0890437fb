"""Image-spec documents: descriptors, manifests, indexes, configs and the choice of a platform.

OCI image-spec v1.1 and Docker image manifest v2 schema 2, which differ only in media types. Every
document comes from a stranger: each member is checked for its type, errors name the path of the
member, and what two parsers could read differently is refused (CVE-2021-41190): a document that
is both manifest and index, a media type that contradicts the transport's, and keys that differ
only in case, which Go reads as one and Python as two.
"""

from __future__ import annotations

import os

from daemonless import jsonio
from daemonless.errors import InvalidData, NotFound, Unsupported, UsageError, printable
from daemonless.oci.digest import Digest
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"

MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEXES = (OCI_INDEX, DOCKER_INDEX)
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # where an image has no PATH
REF_NAME = "org.opencontainers.image.ref.name"  # image-spec, annotations.md

MAX_DOCUMENT = 4 << 20  # bytes of a manifest, index or config: the bound of containers/image
MAX_LAYERS = 500  # as many lower directories as overlayfs stacks (OVL_MAX_STACK)
MAX_SIZE = 1 << 50  # bytes of one blob

_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+"
_LAYER_TYPES = {
    **{base + suffix: suffix[1:] for base in (OCI_LAYER,) for suffix in ("", "+gzip", "+zstd")},
    "application/vnd.oci.image.layer.nondistributable.v1.tar": "",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": "zstd",
    DOCKER_LAYER: "",
    DOCKER_LAYER + ".gzip": "gzip",
    DOCKER_LAYER + ".zstd": "zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": "gzip",
}
# The members Go gives a meaning to; another spelling of one of them is an attack, not an extension.
_KNOWN = {
    "schemaversion": "schemaVersion",
    "mediatype": "mediaType",
    "artifacttype": "artifactType",
    "fslayers": "fsLayers",
    **{
        name: name
        for name in (
            *("config", "layers", "manifests", "subject", "annotations", "digest", "size", "urls", "data"),
            *("platform", "os", "architecture", "variant", "os.version", "os.features", "features"),
            *("history", "signatures"),
        )
    },
}


class Platform(Record):
    """An operating system and an architecture in Go's names, e.g. linux/arm/v7."""

    os: str = "linux"
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class Descriptor(Record):
    """What a document says of the content it points to (image-spec, descriptor.md).

    `urls` is not kept: foreign locations are never fetched from.
    """

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    artifact_type: str = ""  # of a manifest that is no image: a signature, a list of components ...

    def annotation(self, name: str) -> str:
        """Return the value of an annotation, or an empty string."""
        return dict(self.annotations).get(name, "")

    def to_json(self) -> dict[str, Any]:
        """Return the descriptor in the spec's spelling."""
        document: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.artifact_type:
            document["artifactType"] = self.artifact_type
        if self.platform:
            document["platform"] = {k: v for k, v in self.platform.as_dict().items() if v}
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        return document


class Manifest(Record):
    """One image for one platform (image-spec, manifest.md)."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]


class Index(Record):
    """Descriptors of manifests, of several platforms or of several names (image-index.md)."""

    media_type: str
    manifests: tuple[Descriptor, ...]


class Fetched(Record):
    """A manifest or an index as it came: bytes, what the transport calls it, its digest."""

    data: bytes
    content_type: str  # empty if the transport says nothing
    digest: Digest


def layer_compression(media_type: str) -> str:
    """Return "", "gzip" or "zstd"; raises Unsupported for what is not a layer we can unpack."""
    try:
        return _LAYER_TYPES[media_type]
    except KeyError:
        raise Unsupported(
            f'a layer has the media type "{printable(media_type)}", which cannot be unpacked',
            "this may be an artifact that is not an image, or an encrypted image",
        ) from None


# --- documents --------------------------------------------------------------------------------


def parse_document(data: bytes, content_type: str = "", *, what: str = "manifest") -> Manifest | Index:
    """Parse a manifest or an index.

    `content_type` is what the transport says (empty if it says nothing); `what` names the
    document in errors. Raises InvalidData, or Unsupported for Docker's schema 1.
    """
    document = _object(jsonio.loads(data, what=what, limit=MAX_DOCUMENT), what)
    announced = content_type.partition(";")[0].strip().lower()
    stated = _string(document, "mediaType", what)
    version = _integer(document, "schemaVersion", what)
    if _SCHEMA_1 in announced or version == 1:
        raise Unsupported(
            f"{what} has Docker's schema 1, which registries gave up in 2019",
            "push the image again with a current tool, or ask for another tag",
        )
    _refuse_case(document, what)
    if version != 2:
        raise InvalidData(f"{what} has no schemaVersion 2")
    if announced in ("application/json", "application/octet-stream", "text/plain"):
        announced = ""  # says nothing about what the document is
    if stated and announced and stated != announced:
        raise InvalidData(
            f'{what} calls itself "{printable(stated)}" but was sent as "{printable(announced)}"'
        )
    media_type = stated or announced
    is_index = "manifests" in document
    is_manifest = "layers" in document or "config" in document
    if is_index and is_manifest:
        raise InvalidData(f"{what} is ambiguous: it is both a manifest and an index")
    if not media_type:
        media_type = OCI_INDEX if is_index else OCI_MANIFEST
    if media_type in INDEXES and not is_manifest:
        return Index(media_type=media_type, manifests=_descriptors(document, "manifests", what))
    if media_type in MANIFESTS and not is_index:
        layers = _descriptors(document, "layers", what)
        if len(layers) > MAX_LAYERS:
            raise InvalidData(f"{what} has {len(layers)} layers; at most {MAX_LAYERS} can be stacked")
        config = parse_descriptor(document.get("config"), f"{what}: config")
        return Manifest(media_type=media_type, config=config, layers=layers)
    if media_type in INDEXES or media_type in MANIFESTS:
        raise InvalidData(f'{what} does not have the shape of its media type "{media_type}"')
    raise Unsupported(f'{what} has the media type "{printable(media_type)}", which is not an image')


def parse_descriptor(value: object, what: str) -> Descriptor:
    """Check one descriptor. Raises InvalidData naming `what`."""
    document = _object(value, what)
    _refuse_case(document, what)
    size = _integer(document, "size", what)
    if size is None or not 0 <= size <= MAX_SIZE:
        raise InvalidData(f"{what}.size is not a size in bytes")
    try:
        digest = Digest(_string(document, "digest", what))
    except InvalidData as error:
        raise InvalidData(f"{what}.digest: {error.message}") from None
    annotations = string_map(document, "annotations", what)
    return Descriptor(
        media_type=_string(document, "mediaType", what),
        digest=digest,
        size=size,
        platform=_platform(document.get("platform"), f"{what}.platform"),
        annotations=tuple(annotations.items()),
        artifact_type=_string(document, "artifactType", what),
    )


def parse_config(data: bytes, *, what: str = "image config") -> dict[str, Any]:
    """Parse an image config and check the types of all members that daemonless reads.

    The result is the document itself, with `config` always an object. Raises InvalidData.
    """
    document = _object(jsonio.loads(data, what=what, limit=MAX_DOCUMENT), what)
    rootfs = _object(document.get("rootfs"), f"{what}: rootfs")
    settings = _object(document.get("config") or {}, f"{what}: config")
    for value in (document, rootfs, settings):
        _refuse_twins(value, what)
    for name in ("os", "architecture", "variant", "created", "author"):
        _string(document, name, what)
    for name in ("User", "WorkingDir", "StopSignal", "Hostname"):
        _string(settings, name, f"{what}: config")
    for name in ("Env", "Entrypoint", "Cmd", "Shell"):
        _strings(settings, name, f"{what}: config")
    string_map(settings, "Labels", f"{what}: config")
    for name in ("Volumes", "ExposedPorts"):
        _object(settings.get(name) or {}, f"{what}: config.{name}")
    if rootfs.get("type") != "layers":
        raise InvalidData(f'{what}: rootfs.type is not "layers"')
    for diff_id in _strings(rootfs, "diff_ids", f"{what}: rootfs"):
        Digest(diff_id)
    document["config"] = settings
    return document


def diff_ids(config: dict[str, Any]) -> tuple[Digest, ...]:
    """Return the digests of the uncompressed layers, bottom first, of a parsed config."""
    return tuple(Digest(diff_id) for diff_id in config["rootfs"].get("diff_ids") or ())


# --- platforms --------------------------------------------------------------------------------

_MACHINES = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386", ""),
    "i386": ("386", ""),
    "ppc64le": ("ppc64le", ""),
    "s390x": ("s390x", ""),
    "riscv64": ("riscv64", ""),
    "loongarch64": ("loong64", ""),
}
# What people type for what Go calls otherwise.
_ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "i386": "386"}
# Go's names of all that images are made for.
_ARCHITECTURES = {
    *("386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle"),
    *("ppc64", "ppc64le", "riscv64", "s390x", "wasm"),
}


def host_platform() -> Platform:
    """Return the platform whose programs this machine's kernel runs natively."""
    machine = os.uname().machine
    architecture, variant = _MACHINES.get(machine, (machine, ""))
    return Platform(architecture=architecture, variant=variant)


def parse_platform(text: str) -> Platform:
    """Parse `[os/]architecture[/variant]`; `linux` alone is this machine's; raises UsageError."""
    parts = text.lower().split("/")
    if parts == ["linux"]:
        return host_platform()
    if len(parts) == 1 and _ALIASES.get(parts[0], parts[0]) in _ARCHITECTURES:
        parts = ["linux", *parts]
    if not 1 < len(parts) < 4 or not all(part.isalnum() or part in _ALIASES for part in parts):
        raise UsageError(f'"{printable(text)}" is not a platform', "for example: linux/arm64")
    architecture = _ALIASES.get(parts[1], parts[1])
    variant = parts[2] if len(parts) == 3 else ""
    return Platform(os=parts[0], architecture=architecture, variant=variant)


def asked_platform(text: str, *, os: str = "", architecture: str = "", variant: str = "") -> Platform | None:
    """Return the platform that options ask for, or None if they ask for none.

    `text` is as for `parse_platform`, and `os` alone names this machine's; the others change parts of
    it. Raises UsageError.
    """
    if not (text or os or architecture or variant):
        return None
    platform = parse_platform(text) if text else host_platform()
    if architecture:
        platform = parse_platform(f"{platform.os}/{architecture}")
    if os or variant:
        platform = parse_platform(
            f"{os or platform.os}/{platform.architecture}/{variant or platform.variant}".rstrip("/")
        )
    return platform


def runnable_variants(wanted: Platform) -> tuple[str, ...]:
    """Return the variants that satisfy `wanted`, best first.

    arm runs every older variant, and arm64 without a variant is v8. amd64 levels above the base
    are only taken when named, because not every processor has them.
    """
    if wanted.architecture == "arm":
        newest = wanted.variant or "v7"
        return (*(v for v in ("v8", "v7", "v6", "v5") if v <= newest), "")
    if wanted.architecture == "arm64":
        return (wanted.variant or "v8", "")
    if wanted.architecture == "amd64":
        return (wanted.variant, "", "v1") if wanted.variant else ("", "v1")
    return (wanted.variant, "") if wanted.variant else ("",)


def is_suitable(wanted: Platform, offered: Platform) -> bool:
    """Return whether content for `offered` may be used where `wanted` is asked for."""
    return (
        offered.os == wanted.os
        and offered.architecture == wanted.architecture
        and offered.variant in runnable_variants(wanted)
    )


def choose_manifest(index: Index, wanted: Platform, *, what: str) -> Descriptor:
    """Return the index's manifest for a platform, the best variant first.

    An entry without a platform counts only if it is alone: its config is still checked. Raises
    NotFound naming what is offered; another architecture is never chosen (R-5).
    """
    for variant in runnable_variants(wanted):
        exact = wanted.replace(variant=variant)
        for entry in index.manifests:
            if entry.platform == exact:
                return entry
    if len(index.manifests) == 1 and index.manifests[0].platform is None:
        return index.manifests[0]
    # provenance documents stand in indexes as unknown/unknown
    offered = sorted({str(e.platform) for e in index.manifests if e.platform and e.platform.os != "unknown"})
    listed = printable(", ".join(offered)) or "nothing"
    raise NotFound(
        f"{what} does not exist for {wanted}: it offers {listed}",
        f"choose one with --platform, e.g. --platform {printable(offered[0])}" if offered else "",
    )


def platform_of_config(config: dict[str, Any]) -> Platform | None:
    """Return the platform a parsed config states, or None if it states no architecture."""
    if not config.get("architecture"):
        return None
    return Platform(
        os=config.get("os") or "linux",
        architecture=config["architecture"],
        variant=config.get("variant") or "",
    )


# --- typed access to foreign JSON --------------------------------------------------------------


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidData(f"{what} is not an object")
    return value


def _string(document: dict[str, Any], name: str, what: str) -> str:
    value = document.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidData(f"{what}.{name} is not a string")
    return value


def _integer(document: dict[str, Any], name: str, what: str) -> int | None:
    value = document.get(name)
    if value is not None and type(value) is not int:
        raise InvalidData(f"{what}.{name} is not a whole number")
    return value


def _strings(document: dict[str, Any], name: str, what: str) -> list[str]:
    value = document.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidData(f"{what}.{name} is not a list of strings")
    return value


def string_map(document: dict[str, Any], name: str, what: str) -> dict[str, str]:
    """Return a member that maps strings to strings, empty if it is missing."""
    value = document.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise InvalidData(f"{what}.{name} does not map strings to strings")
    return value


def _descriptors(document: dict[str, Any], name: str, what: str) -> tuple[Descriptor, ...]:
    value = document.get(name)
    if not isinstance(value, list):
        raise InvalidData(f"{what}.{name} is not a list")
    return tuple(parse_descriptor(item, f"{what}: {name}[{number}]") for number, item in enumerate(value))


def _platform(value: object, what: str) -> Platform | None:
    if value is None:
        return None
    document = _object(value, what)
    _refuse_case(document, what)
    return Platform(
        os=_string(document, "os", what),
        architecture=_string(document, "architecture", what),
        variant=_string(document, "variant", what),
    )


def _refuse_case(document: dict[str, Any], what: str) -> None:
    _refuse_twins(document, what)
    for name in document:
        if _KNOWN.get(name.casefold(), name) != name:
            raise InvalidData(f'{what} is ambiguous: it spells a member "{printable(name, 40)}"')


def _refuse_twins(document: dict[str, Any], what: str) -> None:
    if len({name.casefold() for name in document}) != len(document):
        raise InvalidData(f"{what} is ambiguous: two members differ only in case")
