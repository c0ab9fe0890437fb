"""top: the processes of a container."""

from __future__ import annotations

from daemonless.actions import columns
from daemonless.actions.top_columns import choose
from daemonless.containers.processes import Processes
from daemonless.containers.store import ContainerStore
from daemonless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Print a table of the processes. Raises Conflict if the container does not run."""
    store = ContainerStore(args.paths)
    words = list(args.words)
    if args.latest:
        container = store.latest()
    elif words:
        container = store.find(words.pop(0))
    else:
        raise UsageError("no container was named", "name one, or use --latest")
    chosen, headings = choose(words)
    processes = Processes(container)
    rows = [[column.heading for column in chosen]] if headings else []
    rows += [[column.cell(processes, process) for column in chosen] for process in processes.all]
    print(columns.table(rows), end="")
    return 0
