"""dir: - one image written to a directory as skopeo does (see directory)."""

from __future__ import annotations

from daemonless.errors import UsageError
from daemonless.images.transports.destination import Accepts, Advance, Open, verified
from daemonless.images.transports.directory import MANIFEST, manifest_name
from daemonless.images.transports.files import Directory, read
from daemonless.images.transports.output_directory import OutputDirectory
from daemonless.oci.digest import digest_of, is_hex
from daemonless.oci.image import Descriptor

_VERSION = b"Directory Transport Version: 1.1\n"
_START = b"Directory Transport Version: "


class DirectoryDestination:
    """A directory, empty or with an older image in it that the new one takes the place of.

    Raises UsageError if something else is there.
    """

    accepts = Accepts(compresses=False, at_once=2)

    def __init__(self, output: OutputDirectory) -> None:
        self.name = f"dir:{output.name}"
        self._output = output
        self._kept: set[str] = set()  # what the new image consists of
        if output.names():
            files = Directory(output.fd, output.name)
            if not files.has("version") or not read(files, "version", 4096).startswith(_START):
                raise UsageError(
                    f"{output.name} is neither empty nor an image's", "name a directory that is not there yet"
                )

    def find_blob(self, descriptor: Descriptor) -> str:
        """Look for it in the directory."""
        self._kept.add(descriptor.digest.hex)
        return "already there" if self._output.has(descriptor.digest.hex, descriptor.size) else ""

    def put_blob(self, descriptor: Descriptor, open_at: Open, progress: Advance) -> None:
        """Copy it."""
        self._output.write(descriptor.digest.hex, verified(descriptor, open_at, progress))

    def put_manifest(self, data: bytes, media_type: str) -> None:
        """Write the manifest or the list, and remove what only the older image had."""
        self._output.write("version", [_VERSION])
        self._output.write(MANIFEST, [data])
        for name in self._output.names():
            if name not in self._kept and is_hex(name.partition(".")[0]) and len(name) >= 64:
                self._output.remove(name)

    def put_member(self, data: bytes, media_type: str) -> None:
        """Write the manifest."""
        name = manifest_name(digest_of(data))
        self._kept.add(name)
        self._output.write(name, [data])
