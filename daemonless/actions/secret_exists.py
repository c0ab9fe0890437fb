"""secret exists: an exit status that says whether there is such a secret."""

from __future__ import annotations

from daemonless.errors import NotFound
from daemonless.secretstore import SecretStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Return 0 if the secret exists and 1 if it does not."""
    try:
        SecretStore(args.paths).find(args.secret)
    except NotFound:
        return 1
    return 0
