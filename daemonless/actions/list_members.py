"""Images for lists, as the command line names them: of this machine, of a registry, or of a file."""

from __future__ import annotations

from daemonless.actions.access import registry_access
from daemonless.errors import DaemonlessError, NotFound, UsageError, printable
from daemonless.images.lists import describe
from daemonless.images.members import Choice, of_source, of_stored
from daemonless.images.progress import make_progress
from daemonless.images.transports.location import DOCKER, parse_location
from daemonless.images.transports.opening import open_local
from daemonless.images.transports.registry import open_registry_source
from daemonless.oci.digest import Digest
from daemonless.oci.image import asked_platform
from daemonless.oci.reference import has_transport, is_short, parse_reference
from daemonless.registry.errors import Unauthorized
from daemonless.registry.registries import load_registries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from daemonless.actions.args import Args
    from daemonless.images.leases import Lease
    from daemonless.images.lists import ImageList, Member
    from daemonless.images.store import ImageStore
    from daemonless.images.transports.registry import RegistrySource
    from daemonless.oci.reference import Reference


def gather(args: Args, store: ImageStore, lease: Lease, name: str, choice: Choice) -> list[Member]:
    """Return what `name` stands for as members of a list, all of which are leased.

    A name that nothing here has is a registry's. Raises as `images.pull.pull` does.
    """
    if not has_transport(name):
        try:
            return of_stored(store, lease, store.find(name), choice)
        except NotFound:
            pass
    location = parse_location(name)
    progress = make_progress(name, quiet=True)
    if location.reference and location.transport == DOCKER:
        source = open_source(args, name)
        try:
            origin = str(source.references[0])
            return of_source(source, store.blobs, lease, choice, origin=origin, progress=progress)
        finally:
            source.close()
    with open_local(location) as local:
        return of_source(local.only, store.blobs, lease, choice, progress=progress)


def open_source(args: Args, name: str, *, with_credentials: bool = True) -> RegistrySource:
    """Return the image or index of a registry that a name stands for, the first of several that is there.

    `--creds` is for it only `with_credentials`. Raises as `fetch_manifest` of a source does.
    """
    access = registry_access(args)
    if not with_credentials:
        access = access.replace(credentials="")
    name = name.removeprefix("docker://")
    meant: Sequence[Reference]
    meant = load_registries().spelled_out(name) if is_short(name) else (parse_reference(name),)
    for reference in meant:
        source = open_registry_source(reference, access.connect)
        try:
            source.probe()
        except DaemonlessError as error:
            source.close()
            if reference is meant[-1] or not isinstance(error, (NotFound, Unauthorized)):
                raise
        else:
            return source
    raise NotFound(f"no registry is known for {printable(name)}")


def find_digest(store: ImageStore, found: ImageList, name: str) -> str:
    """Return the digest of an image on a list: by it, by its name here, or by the one it was added by.

    Raises NotFound, or UsageError if the name stands for several of them.
    """
    if name.startswith("sha256:"):
        return Digest(name)
    plain = name.removeprefix("docker://")
    listed = [each.digest for each in found.index.manifests]
    try:
        image = store.find(plain)
        if image.digest in listed:
            return image.digest
    except DaemonlessError:
        pass  # it need not be here
    reference = parse_reference(plain)
    digests = [digest for digest in listed if found.origins.get(digest) == str(reference)]
    if not digests:
        raise NotFound(
            f"the list {found.shown} has no image {printable(name)}",
            f"what it has: daemonless manifest inspect {found.shown}",
        )
    if len(digests) > 1:
        raise UsageError(
            f"{printable(name)} stands for {len(digests)} images of the list {found.shown}",
            f"name one by its digest, for example {digests[0]}",
        )
    return digests[0]


def choice(args: Args) -> Choice:
    """Return which images of an index `--all`, or `--os`, `--arch` and `--variant`, mean."""
    wanted = asked_platform("", os=args.os or "", architecture=args.arch or "", variant=args.variant or "")
    if args.all and wanted:
        raise UsageError("--all goes with no option about the platform", "change it later: manifest annotate")
    return Choice(every=args.all, wanted=wanted)


def apply_options(args: Args, descriptor: dict[str, Any]) -> None:
    """Have a descriptor say what the options about its platform and its annotations say."""
    platform: dict[str, Any] = {
        "os": args.os,
        "architecture": args.arch,
        "variant": args.variant,
        "os.version": args.os_version,
        "os.features": _words(args.os_features),
        "features": _words(args.features),
    }
    describe(descriptor, {key: value for key, value in platform.items() if value}, pairs(args.annotation))


def annotate(document: dict[str, Any], annotations: dict[str, str]) -> None:
    """Have a list say so of itself."""
    document["annotations"] = {**(document.get("annotations") or {}), **annotations}


def warn_of(args: Args, gone: Sequence[str]) -> None:
    """Tell of images that had to make room on a list."""
    for digest in gone:
        args.warn(f"{digest} is on the list no more: another image has its platform")


def pairs(texts: Sequence[str] | None) -> dict[str, str]:
    """Return the annotations of `--annotation KEY=VALUE`; raises UsageError."""
    found = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f'"{printable(text)}" is not an annotation', "write it like key=value")
        found[key] = value
    return found


def _words(texts: Sequence[str] | None) -> list[str]:
    return [word for text in texts or () for word in text.split(",") if word]
