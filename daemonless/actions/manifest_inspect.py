"""manifest inspect: a list as it is, of this machine or of a registry."""

from __future__ import annotations

from daemonless import jsonio
from daemonless.actions.format import pretty
from daemonless.errors import NotFound
from daemonless.images.lists import ImageList
from daemonless.images.store import ImageStore
from daemonless.oci.image import parse_document
from daemonless.oci.reference import has_transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args

_OURS = ("daemonless.local/", "localhost/")  # no registry has these


def main(args: Args) -> int:
    """Print the document: of a list that is here, or else of what a registry has by that name."""
    print(pretty(jsonio.loads(_here(args) or _there(args))))
    return 0


def _here(args: Args) -> bytes:
    """Return the list, or the manifest of an image that no registry can be asked for; or nothing."""
    if has_transport(args.list):
        return b""
    store = ImageStore(args.paths.data)
    try:
        found = store.find(args.list)
    except NotFound:
        return b""
    if isinstance(found, ImageList):
        return found.data
    name = store.name_of(found, args.list)
    return store.blobs.read(found.digest) if not name or name.startswith(_OURS) else b""


def _there(args: Args) -> bytes:
    from daemonless.actions.list_members import open_source  # noqa: PLC0415 - HTTP: 100 ms

    source = open_source(args, args.list)
    try:
        fetched = source.fetch_manifest()
    finally:
        source.close()
    parse_document(fetched.data, fetched.content_type, what=f"the manifest of {args.list}")
    return fetched.data
