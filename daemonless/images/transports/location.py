"""Where an image is, in the words of containers/image: `TRANSPORT:DETAILS`.

    [docker://]NAME[:TAG][@DIGEST]              a registry
    oci:DIRECTORY[:IMAGE]                       an OCI image layout (image-layout.md)
    oci-archive:FILE[:IMAGE]                    one in a tar archive
    docker-archive:FILE[:NAME[:TAG]|:@INDEX]    what `docker save` writes
    dir:DIRECTORY                               one image, a file for each blob

A path ends at its first colon, but for that of dir: which has none to end it. What begins with
none of these words is a name.
"""

from __future__ import annotations

from daemonless.errors import Unsupported, UsageError, printable
from daemonless.oci.reference import Reference, has_transport, parse_reference
from daemonless.record import Record

DOCKER, OCI, OCI_ARCHIVE, DOCKER_ARCHIVE, DIRECTORY = "docker", "oci", "oci-archive", "docker-archive", "dir"
_FOREIGN = {
    "containers-storage": ("podman's own storage", "podman push IMAGE oci-archive:FILE"),
    "docker-daemon": ("the Docker daemon", "docker save -o FILE IMAGE"),
}
_ALPHANUMERIC = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_SEPARATORS = frozenset(("-", ".", "_", ":", "@", "+", "--"))


class Location(Record):
    """One place; the fields that its transport has no use for are empty."""

    transport: str
    path: str = ""
    reference: Reference | None = None  # docker, docker-archive
    image: str = ""  # oci, oci-archive: what the annotation org.opencontainers.image.ref.name says
    index: int | None = None  # docker-archive: counted from 0

    def __str__(self) -> str:
        if self.transport == DOCKER:
            return f"docker://{self.reference}"
        detail = str(self.reference) if self.reference else self.image
        if self.index is not None:
            detail = f"@{self.index}"
        return f"{self.transport}:{self.path}" + (f":{detail}" if detail else "")


def parse_location(text: str) -> Location:
    """Parse what a person typed; raises UsageError, or Unsupported for places we cannot use."""
    if not has_transport(text):
        return Location(transport=DOCKER, reference=parse_reference(text))
    transport, _, details = text.partition(":")
    if transport in _FOREIGN:
        what, command = _FOREIGN[transport]
        raise Unsupported(
            f"{transport}: is {what}, which daemonless does not use",
            f"go through a file, for example: {command}",
        )
    if transport == DOCKER:
        return Location(transport=DOCKER, reference=parse_reference(details[2:]))
    path, colon, detail = (details, "", "") if transport == DIRECTORY else details.partition(":")
    if not path:
        raise _invalid(text, "it has no path")
    if "\0" in path:
        raise _invalid(text, "its path has a NUL")
    if not colon:
        return Location(transport=transport, path=path)
    if transport == DOCKER_ARCHIVE:
        return _docker_archive(text, path, detail)
    if not _is_image_name(detail):
        raise _invalid(text, f'"{printable(detail, 80)}" is not the name of an image in a layout')
    return Location(transport=transport, path=path, image=detail)


def _docker_archive(text: str, path: str, detail: str) -> Location:
    if detail.startswith("@"):
        if not (detail[1:].isascii() and detail[1:].isdigit() and len(detail) < 10):
            raise _invalid(text, "after @ stands the number of an image, counted from 0")
        return Location(transport=DOCKER_ARCHIVE, path=path, index=int(detail[1:]))
    reference = parse_reference(detail)
    if reference.digest:
        raise _invalid(text, "an archive of docker has names with tags only, no digests")
    return Location(transport=DOCKER_ARCHIVE, path=path, reference=reference)


def _invalid(text: str, reason: str) -> UsageError:
    return UsageError(
        f'"{printable(text, 100)}" is not a place of an image: {reason}',
        "for example: oci-archive:/tmp/image.tar:name",
    )


def _is_image_name(text: str) -> bool:
    """Return whether `text` is components of alphanumeric runs and single separators, with slashes."""
    return all(_is_component(component) for component in text.split("/"))


def _is_component(text: str) -> bool:
    if not text or text[0] not in _ALPHANUMERIC or text[-1] not in _ALPHANUMERIC:
        return False
    separator = ""
    for char in text:
        if char not in _ALPHANUMERIC:
            separator += char
        elif separator:
            if separator not in _SEPARATORS:
                return False
            separator = ""
    return True
