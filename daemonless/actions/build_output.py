"""Where the result of a build goes: --output, --load and --push."""

from __future__ import annotations

import os

from daemonless.actions.args import Args
from daemonless.actions.names import new_reference
from daemonless.actions.output import open_output
from daemonless.build.outputs import FILES, STDOUT, Output, check_together, parse_output
from daemonless.errors import UsageError, printable
from daemonless.images.store import ImageStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.build.building import Builder
    from daemonless.build.finishing import Finished
    from daemonless.isolation.userns import IdMap
    from daemonless.oci.reference import Reference


class Outputs:
    """All that the command line says of it, checked before anything is built."""

    def __init__(self, args: Args, tags: tuple[Reference, ...]) -> None:
        """Raise UsageError for what cannot be written; `tags` are those of --tag."""
        given = tuple(parse_output(text) for text in args.output)
        check_together(given)
        images = [output for output in given if not output.is_file]
        if args.push:
            images.append(Output(kind="image", push=True))
        self._args = args
        self.files = [output for output in given if output.is_file]
        self.is_listed = bool(tags or images or args.load or not given)
        self.to_stdout = any(output.dest == STDOUT for output in given)
        named = (new_reference(name) for output in images for name in output.names)
        self.tags = tuple(dict.fromkeys((*tags, *named)))
        self._pushed = [(output, _names(output, tags)) for output in images if output.push]
        if not all(names for _, names in self._pushed):
            raise UsageError("an image that is to be pushed needs a name", "give it one: --tag NAME")
        for output in self.files:
            _check_place(output)

    def write(self, builder: Builder, built: Finished, id_map: IdMap, directory: str) -> None:
        """Write what is not in the store; `directory` is empty and may be mounted on.

        A file gets its name when it is complete. Raises what the places raise.
        """
        for output in self.files:
            if output.kind in FILES:
                self._write_files(output, builder, id_map, directory)
            else:
                self._write_image(output, builder, built)

    def push(self, *, quiet: bool) -> None:
        """Push the image under each of the names that it is to be pushed under."""
        if not self._pushed:
            return
        from daemonless.actions.push import push_named  # noqa: PLC0415 - HTTP: 100 ms

        for output, names in self._pushed:
            given = {
                **vars(self._args),
                "quiet": quiet,
                "format": None,
                "digestfile": None,
                "compression_format": output.compression if output.compression != "uncompressed" else None,
                "compression_level": output.level,
                "force_compression": output.force,
                "disable_compression": output.compression == "uncompressed",
            }
            for name in names:
                push_named(Args(given, {}), name, "")

    def _write_files(self, output: Output, builder: Builder, id_map: IdMap, directory: str) -> None:
        from daemonless.build.exporting import write_files, write_tree  # noqa: PLC0415 - few builds do

        lowers, dest = builder.lowers, os.path.abspath(output.dest)
        if output.kind == "local":
            title = f"[export] files to {printable(output.dest)}"
            builder.perform(title, lambda: write_files(lowers, dest, id_map, directory))
            return
        with open_output("" if output.dest == STDOUT else dest, "an archive") as opened:
            title = f"[export] tar archive to {output.shown}"
            builder.perform(title, lambda: write_tree(lowers, opened.fd, id_map, directory))
            opened.keep()

    def _write_image(self, output: Output, builder: Builder, built: Finished) -> None:
        from daemonless.actions.build_archive import (  # noqa: PLC0415 - few builds do
            write_archive,
            write_layout,
        )

        paths = self._args.paths
        image = ImageStore(paths.data).unlisted(built.descriptor)
        names = _names(output, self.tags)
        dest = os.path.abspath(output.dest)
        if output.as_directory:
            title = f"[export] OCI layout to {printable(output.dest)}"
            builder.perform(title, lambda: write_layout(paths, image, output, names, dest))
            return
        with open_output("" if output.dest == STDOUT else dest, "an archive") as opened:
            title = f"[export] {output.kind} archive to {output.shown}"
            builder.perform(title, lambda: write_archive(paths, image, output, names, opened.fd))
            opened.keep()


def _names(output: Output, tags: tuple[Reference, ...]) -> tuple[str, ...]:
    return tuple(map(str, map(new_reference, output.names) if output.names else tags))


def _check_place(output: Output) -> None:
    """Raise UsageError for a place that can be seen to be none before the build."""
    if output.dest == STDOUT:
        if os.isatty(1):
            raise UsageError("refusing to write an archive to a terminal", "redirect it, or name a file")
        return
    dest = os.path.abspath(output.dest)
    if output.kind != "local" and not output.as_directory:
        if os.path.isdir(dest):
            raise UsageError(f"cannot write {printable(output.dest)}: it is a directory")
        above = os.path.dirname(dest)
        if not os.path.isdir(above):
            raise UsageError(f"cannot write {printable(output.dest)}: {printable(above)} is no directory")
    elif os.path.exists(dest) and not os.path.isdir(dest):
        raise UsageError(f"cannot write to {printable(output.dest)}: it is not a directory")
