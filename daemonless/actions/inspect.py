"""inspect: everything about containers and images, in the words docker and podman share."""

from __future__ import annotations

from daemonless.actions.each import report
from daemonless.actions.format import Template, pretty
from daemonless.actions.values import Struct
from daemonless.containers.store import ContainerStore
from daemonless.errors import DaemonlessError, NotFound, UsageError
from daemonless.images.store import ImageStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Print the objects that exist, report the others; 125 if there are any of these."""
    if not args.names:
        raise UsageError("no name was given", "name a container or an image")
    found: list[Struct] = []
    errors: list[DaemonlessError] = []
    for name in args.names:
        try:
            found.append(_describe(args, name))
        except DaemonlessError as error:
            errors.append(error)
    if args.format is None or args.format.strip() == "json":
        print(pretty(found))
    else:
        template = Template(args.format)
        for value in found:
            print(template.render(value))
    for missing in errors:
        report(missing)
    return errors[-1].exit_status if errors else 0


def _describe(args: Args, name: str) -> Struct:
    """Return what is known of the object; raises NotFound, or InvalidData if it is damaged."""
    images = ImageStore(args.paths.data)
    if args.type != "image":
        try:
            container = ContainerStore(args.paths).find(name)
        except NotFound:
            if args.type == "container":
                raise
        else:
            from daemonless.actions.inspect_container import describe_container  # noqa: PLC0415 - one of two

            return describe_container(container, images)
    try:
        image = images.resolve(name)
    except (NotFound, UsageError):
        if args.type == "image":
            raise
        raise NotFound(
            f'no such object: "{name}"', "daemonless ps --all and daemonless images list what there is"
        ) from None
    from daemonless.actions.inspect_image import describe_image  # noqa: PLC0415 - the other of two

    return describe_image(image, args.paths.data)
