"""top: the processes of a container."""

from __future__ import annotations

from daemonless.actions import columns
from daemonless.actions.selection import first_container
from daemonless.actions.top_columns import choose
from daemonless.containers.processes import Processes
from daemonless.containers.store import ContainerStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Print a table of the processes. Raises Conflict if the container does not run."""
    store = ContainerStore(args.paths)
    words = list(args.words)
    container = first_container(store, words, latest=args.latest, ways="--latest")
    choice = choose(words)
    print(columns.table(choice.rows(Processes(container))), end="")
    return 0
