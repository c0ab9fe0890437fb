"""secret inspect: everything about secrets but what they say."""

from __future__ import annotations

from daemonless.actions import columns
from daemonless.actions.each import report
from daemonless.actions.format import Template, pretty
from daemonless.actions.secret_row import described
from daemonless.errors import DaemonlessError
from daemonless.secretstore import Secret, SecretStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Print the secrets that exist, report the others; 125 if there are any of these."""
    store = SecretStore(args.paths)
    found: list[Secret] = []
    errors: list[DaemonlessError] = []
    for name in args.secrets:
        try:
            found.append(store.find(name))
        except DaemonlessError as error:
            errors.append(error)
    values = [described(secret, store) for secret in found]
    if args.pretty:
        print("".join(_pretty(secret) for secret in found), end="")
    elif args.format is None or args.format.strip() == "json":
        print(pretty(values))
    else:
        template = Template(args.format)
        for value in values:
            print(template.render(value))
    for missing in errors:
        report(missing)
    return errors[-1].exit_status if errors else 0


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
