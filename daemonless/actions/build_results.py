"""--iidfile and --metadata-file of `build`: files that say what was built, for the scripts that call it."""

from __future__ import annotations

import os

from daemonless import jsonio
from daemonless.actions.output import open_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from daemonless.actions.args import Args


def forget(args: Args) -> None:
    """Remove the files of an earlier build, which would be taken for this one's if it fails.

    Raises UsageError for a file that cannot be made, before the build takes its time.
    """
    for path in filter(None, (args.iidfile, args.metadata_file)):
        if os.path.isfile(path) or not os.path.exists(path):  # opening a FIFO would be noticed
            with open_output(path, ""):
                pass
        if os.path.isfile(path):
            os.unlink(path)


def tell(args: Args, identifier: str, metadata: dict[str, Any]) -> None:
    """Write the id of an image or a list, and what else there is to say. Raises UsageError, OSError."""
    for path, text in ((args.iidfile, identifier), (args.metadata_file, jsonio.dumps(metadata) + "\n")):
        if path:
            with open_output(path, "what was built") as output:
                os.write(output.fd, text.encode())
                output.keep()
