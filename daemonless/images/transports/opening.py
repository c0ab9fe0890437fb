"""Open the images of a file or directory of this machine, to read or to write them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

from daemonless.errors import InvalidData, UsageError, printable
from daemonless.images.transports.destination import Destination
from daemonless.images.transports.directory import MANIFEST, DirectorySource
from daemonless.images.transports.directory_destination import DirectoryDestination
from daemonless.images.transports.docker_archive import docker_archive_sources
from daemonless.images.transports.docker_archive_destination import DockerArchive
from daemonless.images.transports.files import Archive, Directory, Files
from daemonless.images.transports.layout import layout_sources
from daemonless.images.transports.layout_destination import LayoutArchive, LayoutDirectory
from daemonless.images.transports.location import DIRECTORY, DOCKER_ARCHIVE, OCI, OCI_ARCHIVE, Location
from daemonless.images.transports.output_archive import OutputArchive
from daemonless.images.transports.output_directory import OutputDirectory
from daemonless.images.transports.source import Source
from daemonless.registry.policy import check_policy, scopes_of_path


class LocalImages:
    """The images that a location names; as a context manager it closes their files."""

    def __init__(self, files: Files, sources: Sequence[Source]) -> None:
        self.sources = sources
        self._files = files

    @property
    def only(self) -> Source:
        """The one image there is; raises UsageError if there are several to choose from."""
        if len(self.sources) > 1:
            shown = ", ".join(source.name for source in self.sources[:5])
            raise UsageError(f"{self._files.name} has {len(self.sources)} images", f"choose one: {shown}")
        return self.sources[0]

    def __enter__(self) -> LocalImages:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()


def open_local(location: Location) -> LocalImages:
    """Open what a location other than docker:// names: one image, or all that are there.

    Raises NotFound, InvalidData, Unsupported or UsageError.
    """
    files: Directory | Archive
    is_directory = location.transport in (OCI, DIRECTORY)
    files = Directory.at(location.path) if is_directory else Archive(location.path)
    try:
        sources: Sequence[Source]
        if isinstance(files, Directory) and location.transport == DIRECTORY:
            sources = [DirectorySource(files, location)]
        elif location.transport == DOCKER_ARCHIVE:
            sources = docker_archive_sources(files, location)
        else:
            sources = layout_sources(files, location)
        _check(location)
    except BaseException:
        files.close()
        raise
    return LocalImages(files, sources)


def open_archive(path: str, fd: int = -1) -> LocalImages:
    """Open all images of a file, or of `fd` that `path` is said of, whichever of the formats it has.

    What has an OCI layout is one, as docker writes both kinds of lists. Raises as `open_local`.
    """
    archive = Archive(path, fd)
    try:
        if archive.has("index.json"):
            location = Location(transport=OCI_ARCHIVE, path=path)
            _check(location)
            return LocalImages(archive, layout_sources(archive, location))
        if archive.has(MANIFEST):
            location = Location(transport=DOCKER_ARCHIVE, path=path)
            _check(location)
            return LocalImages(archive, docker_archive_sources(archive, location))
        raise InvalidData(
            f"{archive.name} is not an archive of images: it has neither index.json nor manifest.json",
            "an archive of a root filesystem is for: daemonless import",
        )
    except BaseException:
        archive.close()
        raise


def open_directory(path: str) -> LocalImages:
    """Open all images of a directory, an OCI layout or what skopeo calls dir:. Raises as `open_local`."""
    directory = Directory.at(path)
    has_layout, has_image = directory.has("index.json"), directory.has(MANIFEST)
    directory.close()
    if not has_layout and not has_image:
        raise InvalidData(f"{directory.name} has no images: neither index.json nor manifest.json is in it")
    return open_local(Location(transport=OCI if has_layout else DIRECTORY, path=path))


def _check(location: Location) -> None:
    """Raise unless policy.json allows an image from there; archives of docker have no narrower scope."""
    is_somewhere = location.transport != DOCKER_ARCHIVE and os.path.exists(location.path)
    scopes = scopes_of_path(location.path, location.image) if is_somewhere else ()
    check_policy(location.transport, scopes, str(location))


@contextmanager
def open_output_directory(location: Location) -> Iterator[Destination]:
    """Give the destination that an oci: or dir: location names; raises UsageError."""
    output = OutputDirectory(location.path)
    try:
        if location.transport == OCI:
            yield LayoutDirectory(output, location.image)
        else:
            yield DirectoryDestination(output)
    finally:
        output.close()


@contextmanager
def open_images_archive(form: str, fd: int, name: str) -> Iterator[Callable[[str], Destination]]:
    """Give what opens the place of an image, by its name or "", in an archive that is then completed.

    `form` is oci or docker, and `name` what messages call the archive.
    """
    output = OutputArchive(fd, printable(name))
    if form == "oci":
        layout = LayoutArchive(output)
        yield layout.image
        layout.finish()
    else:
        archive = DockerArchive(output)
        yield lambda image: archive.image((image,) if image else ())
        archive.finish()


@contextmanager
def open_output_archive(location: Location, fd: int, tags: tuple[str, ...]) -> Iterator[Destination]:
    """Give the destination that an archive's location names, to be written to `fd`, and complete it.

    `tags` are the names for docker-archive: that the location does not state.
    """
    output = OutputArchive(fd, printable(location.path))
    if location.transport == OCI_ARCHIVE:
        layout = LayoutArchive(output)
        yield layout.image(location.image)
        layout.finish()
    else:
        archive = DockerArchive(output)
        stated = (str(location.reference),) if location.reference else ()
        yield archive.image((*stated, *(tag for tag in tags if tag not in stated)))
        archive.finish()
