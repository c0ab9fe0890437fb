"""An image that was built, as an archive or a layout: what `save` writes, of one that need not be listed."""

from __future__ import annotations

from daemonless.images.progress import Silent
from daemonless.images.push import Wish, check, push
from daemonless.images.transports.layout_destination import LayoutDirectory
from daemonless.images.transports.opening import open_images_archive
from daemonless.images.transports.output_directory import OutputDirectory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.build.outputs import Output
    from daemonless.config import Paths
    from daemonless.images.store import Image


def write_archive(paths: Paths, image: Image, output: Output, names: tuple[str, ...], fd: int) -> list[str]:
    """Write an archive to `fd`; the same image gives the same bytes. Raises what `push` raises."""
    with open_images_archive(output.kind, fd, output.dest) as place:
        for name in names or ("",):
            push(image, paths, place(name), _wish(output), Silent())
    return []


def write_layout(paths: Paths, image: Image, output: Output, names: tuple[str, ...], path: str) -> list[str]:
    """Put the image into the OCI layout at `path`, which may have others. Raises as `write_archive`."""
    directory = OutputDirectory(path)
    try:
        for name in names or ("",):
            push(image, paths, LayoutDirectory(directory, name), _wish(output), Silent())
    finally:
        directory.close()
    return []


def _wish(output: Output) -> Wish:
    wish = Wish(
        format=output.kind,
        compression="" if output.compression == "uncompressed" else output.compression,
        level=output.level,
        force=output.force,
        plain=output.compression == "uncompressed",
    )
    check(wish)
    return wish
