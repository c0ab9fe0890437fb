"""secret inspect: everything about secrets but what they say."""

from __future__ import annotations

from daemonless.actions import columns
from daemonless.actions.inspection import inspect_each, show_values
from daemonless.actions.secret_row import described
from daemonless.secretstore import Secret, SecretStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Print the secrets that exist, report the others; 125 if there are any of these."""
    store = SecretStore(args.paths)

    def show(found: list[Secret]) -> None:
        if args.pretty:
            print("".join(_pretty(secret) for secret in found), end="")
        else:
            show_values([described(secret, store) for secret in found], args.format)

    return inspect_each(args.secrets, store.find, show)


def _pretty(secret: Secret) -> str:
    lines = {
        "ID": secret.id,
        "Name": secret.name,
        **({"Labels": " ".join(f"{k}={v}" for k, v in secret.labels.items())} if secret.labels else {}),
        "Driver": "file",
        "Created at": columns.go_time(secret.created),
        "Updated at": columns.go_time(secret.updated),
    }
    return "".join(f"{name + ':':<18} {value}\n" for name, value in lines.items())
