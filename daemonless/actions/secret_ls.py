"""secret ls: list the secrets."""

from __future__ import annotations

from daemonless.actions.format import Listing
from daemonless.actions.secret_row import listed
from daemonless.errors import UsageError, printable
from daemonless.secretstore import Secret, SecretStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemonless.actions.args import Args

_DEFAULT = "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.CreatedAt}}\t{{.UpdatedAt}}"
_HEADINGS = {"CreatedAt": "CREATED", "UpdatedAt": "UPDATED"}


def main(args: Args) -> int:
    """Print the secrets that the filters let through, newest first; a broken one is named on stderr."""
    store = SecretStore(args.paths)
    ids, names = _filters(args.filter)
    rows = [listed(secret) for secret in store.secrets() if _passes(secret, ids, names)]
    for name in store.broken():
        args.warn(f"secret {name} is broken; to remove it: daemonless secret rm {name}")
    if args.quiet:
        print("".join(f"{row['ID']}\n" for row in rows), end="")
        return 0
    template = args.format or _DEFAULT
    print(Listing(rows, _HEADINGS).render(template, noheading=args.noheading), end="")
    return 0


def _filters(filters: Sequence[str]) -> tuple[list[str], list[str]]:
    found: dict[str, list[str]] = {"id": [], "name": []}
    for text in filters:
        key, equals, value = text.partition("=")
        if key not in found or not equals:
            raise UsageError(f"{printable(text)!r} is not a filter", "write id=BEGINNING or name=PART")
        found[key].append(value)
    return found["id"], found["name"]


def _passes(secret: Secret, ids: list[str], names: list[str]) -> bool:
    has_id = not ids or any(secret.id.startswith(value) for value in ids)
    return has_id and (not names or any(value in secret.name for value in names))
