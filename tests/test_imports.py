"""What a hot command may import: each module on this list costs as much as starting a container.

Every command is dispatched for real in a fresh interpreter, without site-packages as the installed
program is, as far as it goes without an image: that loads the parser, the action and all below.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from daemonless.config import Paths

FORBIDDEN = {
    "argparse", "asyncio", "collections", "contextlib", "ctypes", "dataclasses", "datetime", "enum",
    "functools", "gotpl", "http", "inspect", "isal", "json", "logging", "pathlib", "pydantic", "re",
    "requests", "rich", "shutil", "signal", "socket", "ssl", "subprocess", "tarfile", "tempfile",
    "threading", "traceback", "typer", "typing", "urllib", "zstandard",
}  # fmt: skip
ROOT = str(Path(__file__).resolve().parent.parent)
PROGRAM = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from daemonless.__main__ import guarded
status = guarded(sys.argv[1:])
sys.stdout.flush()
print(status, *(name for name in sys.modules if "." not in name))
"""


def modules_after(*words: str) -> tuple[int, set[str]]:
    """Run a command line; return its status and the top-level modules it loaded."""
    done = subprocess.run(
        [sys.executable, "-ISE", "-c", PROGRAM, ROOT, *words], capture_output=True, text=True, check=True
    )
    assert "internal error" not in done.stderr
    status, *names = done.stdout.splitlines()[-1].split()
    return int(status), set(names)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["ps"], 0),
        (["ps", "--all", "--filter", "name=x", "--format", "table {{.ID}}\t{{json .Names}}"], 0),
        (["images"], 0),
        (["inspect", "nothing"], 125),
        (["inspect", "--format", "{{.State.Status}}", "nothing"], 125),
        (["run", "--rm", "--pull=never", "nothing", "true"], 125),
        (["create", "--pull=never", "nothing"], 125),
        (["start", "nothing"], 125),
        (["exec", "nothing", "true"], 125),
        (["stop", "nothing"], 125),
        (["kill", "nothing"], 125),
        (["restart", "nothing"], 125),
        (["init", "nothing"], 125),
        (["wait", "nothing"], 125),
        (["rm", "nothing"], 1),
        (["logs", "nothing"], 125),
        (["attach", "nothing"], 125),
        (["port", "nothing"], 125),
        (["top", "nothing"], 125),
        (["rename", "nothing", "something"], 125),
        (["container", "exists", "nothing"], 1),
        (["container", "prune", "--force", "--filter", "until=1h"], 0),
        (["image", "exists", "nothing"], 1),
        (["image", "inspect", "nothing"], 125),
        (["image", "tree", "nothing"], 125),
        (["image", "prune", "--force"], 0),
        (["images", "--all", "--filter", "dangling=true", "--filter", "containers=false"], 0),
        (["history", "nothing"], 125),
        (["tag", "nothing", "name"], 125),
        (["untag", "nothing"], 125),
        (["rmi", "nothing"], 1),
        (["healthcheck", "run", "nothing"], 125),
        (["diff", "nothing"], 125),
        (["events", "--no-stream", "--filter", "type=container", "--format", "{{.ID}}"], 0),
        (["version"], 0),
        (["volume", "create", "data"], 0),
        (["volume", "ls", "--filter", "name=x"], 0),
        (["volume", "exists", "nothing"], 1),
        (["volume", "rm", "nothing"], 1),
        (["secret", "ls"], 0),
        (["secret", "create", "name", "/dev/null"], 125),
        (["secret", "exists", "nothing"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_hot_commands_import_nothing_slow(words: list[str], status: int, paths: Paths) -> None:
    ended, loaded = modules_after("--root", paths.data, "--runroot", paths.run, *words)
    assert ended == status
    assert not loaded & FORBIDDEN


def test_the_test_notices_what_is_loaded(paths: Paths) -> None:
    """The twin of the test above: a general template needs gotpl, which brings half the list."""
    template = "{{range .}}{{end}}"
    program = PROGRAM.replace("import sys\n", f"import sys\nsys.path[:] = {sys.path!r}\n", 1)
    done = subprocess.run(
        [sys.executable, "-ISE", "-c", program, ROOT, "version", "--format", template],
        capture_output=True,
        text=True,
        check=False,
    )
    assert {"gotpl", "re", "typing"} <= set(done.stdout.split())


def test_what_a_pull_imports_beside_http(tmp_path):
    """Its unpacker imports the decompressors, in another process; bars are for a terminal, ssl for TLS."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import daemonless.actions.pull, daemonless.actions.pulling\n"
        "from daemonless.registry.registries import load_registries\n"
        "load_registries({}, sys.argv[2]).spelled_out('quay.io/x/y')\n"
        "print(*sys.modules)"
    )
    drop_ins = tmp_path / "containers/registries.conf.d"
    drop_ins.mkdir(parents=True)
    (drop_ins / "shortnames.conf").write_text('[aliases]\na = "quay.io/a/a"\n')
    argv = [sys.executable, "-ISE", "-c", program, ROOT, str(tmp_path)]
    loaded = set(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split())
    assert "http.client" in loaded
    assert not loaded & {"typing", "tomllib", "pathlib", "zstandard", "isal", "rich", "requests", "ssl"}
