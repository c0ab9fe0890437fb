"""secret rm: remove secrets."""

from __future__ import annotations

from daemonless import events
from daemonless.actions.each import for_each
from daemonless.errors import InvalidData, NotFound, UsageError
from daemonless.secretstore import SecretStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Remove each secret and print its id; containers keep the copies that they were given."""
    store = SecretStore(args.paths)
    if bool(args.secrets) == args.all:
        raise UsageError(
            "no secret was named" if not args.all else "--all goes with no name", "name some, or use --all"
        )

    def remove(text: str) -> str | None:
        try:
            try:
                secret = store.find(text)
                name, identity = secret.name, secret.id
            except InvalidData:  # found by its name, and broken
                name = identity = text
            store.remove(name)
        except NotFound:
            if args.ignore:
                return None
            raise
        events.record(args.paths, "secret", "remove", identity, name=name)
        return identity

    return for_each(store.names() if args.all else args.secrets, remove)
