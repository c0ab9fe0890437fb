"""Style, types, the layer contract, and the rules of HACKING.md that no linter knows."""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "daemonless").rglob("*.py"))
TOOLS = {
    "ruff check": ["ruff", "check", "--quiet"],
    "ruff format": ["ruff", "format", "--check", "--quiet"],
    "mypy": ["mypy"],
    "lint-imports": ["lint-imports"],
}


@pytest.mark.parametrize("command", TOOLS.values(), ids=TOOLS)
def test_tool(command: list[str]) -> None:
    program = Path(sys.executable).parent / command[0]
    done = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


# --- rules about single calls and names -----------------------------------------------------


@functools.cache
def parse(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text())


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call with its name as it is written: `open`, `os.open`, `path.write_text`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def mode_of(call: ast.Call) -> str:
    """Return the mode of a call of open(); one that is computed counts as writing."""
    given = [*call.args[1:2], *(k.value for k in call.keywords if k.arg == "mode")]
    if not given:
        return "r"
    return given[0].value if isinstance(given[0], ast.Constant) and isinstance(given[0].value, str) else "w"


def writes_files(tree: ast.AST) -> set[str]:
    found = set()
    for name, call in calls(tree):
        last = name.rpartition(".")[2]
        if name in ("open", "io.open", "os.fdopen") and set(mode_of(call)) & set("wax+"):
            found.add(name)
        if last in ("write_text", "write_bytes", "touch", "NamedTemporaryFile", "mkstemp", "mkdtemp"):
            found.add(last)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "O_CREAT":
            found.add("O_CREAT")
    return found


def forbidden_calls(tree: ast.AST) -> set[str]:
    """Find what turns foreign data into code, into a program, or into a path of the host."""
    found = {
        module for module in imported(tree) if module in ("pickle", "marshal", "shelve", "ctypes", "yaml")
    }
    for name, call in calls(tree):
        last = name.rpartition(".")[2]
        if name in (
            "eval",
            "exec",
            "compile",
            "os.system",
            "os.popen",
            "os.path.realpath",
        ):
            found.add(name)
        if last in ("extractall", "extract") and "tar" in name:
            found.add(name)
        if name.startswith("shutil.") and last != "which":
            found.add(name)
        if name.startswith("subprocess.") and any(
            k.arg == "shell" and not (isinstance(k.value, ast.Constant) and k.value.value is False)
            for k in call.keywords
        ):
            found.add(f"{name}(shell=...)")
    return found


def parsed(module: str) -> ast.Module:
    return parse(module)


# Who may create files other than through files.write_atomic, and why that is no state of ours.
CREATORS = {
    "daemonless/events.py": "the event log grows by appending; it decides nothing",
    "daemonless/build/contents.py": "files that COPY copies, by descriptor in their directory",
    "daemonless/build/fetching.py": "what ADD fetches, in a directory of the build's own",
    "daemonless/build/mountsources.py": "secrets and here-documents, in a file system in memory",
    "daemonless/files.py": "the primitive itself, and lock files, which have no content",
    "daemonless/supervisor/logs.py": "the log grows by appending; a torn last record is tolerated",
    "daemonless/isolation/copying.py": "tmpcopyup and new volumes, before a container sees them",
    "daemonless/isolation/mounts.py": "mount points, by descriptor inside the new root",
    "daemonless/isolation/rootfs.py": "files to mount devices on, by descriptor in our own /dev",
    "daemonless/images/transports/output_directory.py": "what push writes for others, complete by a rename",
    "daemonless/layers/staging.py": "a lock file, beside a staging directory that a rename makes visible",
    "daemonless/layers/extract.py": "files that cp copies, by descriptor in their directory",
    "daemonless/layers/unpack.py": "the files of a layer, by descriptor in its staging directory",
    "daemonless/commands/compile.py": "the developer's command that writes the generated parse table",
    "daemonless/images/starter.py": "a temporary archive, read back as a layer",
    "daemonless/actions/output.py": "--output: an archive at a path of the command line",
    "daemonless/actions/create.py": "--cidfile and --pidfile: new files at paths of the command line",
}


def test_only_files_writes() -> None:
    """S-1: state is written by one primitive, so that a reader never sees a part of a file."""
    creators = {module for module in MODULES if writes_files(parsed(module))}
    assert creators == set(CREATORS)


def test_nothing_executes_or_follows_foreign_data() -> None:
    found = {module: forbidden_calls(parsed(module)) for module in MODULES}
    # what an import does, on a file that whoever can write it could have written as .pyc
    assert found.pop("daemonless/hotpath.py") == {"marshal", "exec", "compile"}
    # of a place that a person named: policy.json(5) has it without links
    assert found.pop("daemonless/registry/policy.py") == {"os.path.realpath"}
    # the safe loader, for descriptions of devices, which are an administrator's or the user's own
    assert found.pop("daemonless/containers/cdi.py") == {"yaml"}
    assert not {module: calls for module, calls in found.items() if calls}


def test_the_rules_find_what_they_forbid() -> None:
    """The twin of the two tests above: each construct is noticed when it is there."""
    for code in (
        *("open(x, 'w')", "open(x, mode='ab')", "open(x, m)", "p.write_text(t)", "os.open(x, os.O_CREAT)"),
        *("tempfile.mkstemp()", "io.open(x, 'r+')"),
    ):
        assert writes_files(ast.parse(code)), code
    for code in ("open(x)", "open(x, 'rb')", "os.open(x, os.O_RDONLY)", "tarfile.open(fileobj=f, mode='w')"):
        assert not writes_files(ast.parse(code)), code
    for code in (
        *("import pickle", "from ctypes import CDLL", "eval(x)", "os.path.realpath(x)", "shutil.rmtree(x)"),
        *("subprocess.run(x, shell=True)", "tar.extractall(x)", "tarfile.open(x).extract(y)"),
    ):
        assert forbidden_calls(ast.parse(code)), code
    assert not forbidden_calls(ast.parse("subprocess.run([x], shell=False); re.match(x, y)"))


@pytest.mark.parametrize("module", [m for m in MODULES if m.endswith("/__init__.py")])
def test_package_init_holds_a_docstring_only(module: str) -> None:
    """A program in a package's __init__ is paid for by every import of the package."""
    body = parse(module).body
    rest = [
        node
        for node in body[1:]
        if not (isinstance(node, ast.Assign | ast.AnnAssign) and module.count("/") == 1)
    ]
    assert isinstance(body[0], ast.Expr) and not rest


# --- rules about the whole tree -------------------------------------------------------------


_GENERATED = (".git", ".hypothesis", ".venv", "__pycache__", "_cache", ".egg-info")


def tree() -> Iterator[tuple[Path, str]]:
    """Yield every text file of the checkout."""
    for directory, names, files in os.walk(ROOT):
        names[:] = [name for name in names if not name.endswith(_GENERATED)]
        if Path(directory) == ROOT:
            names[:] = [name for name in names if name not in ("build", "dist")]
        for name in files:
            path = Path(directory, name)
            try:
                yield path.relative_to(ROOT), path.read_text()
            except UnicodeDecodeError:
                continue


# Which mirror or index to use is the machine's affair; and no path of a developer's machine.
_REGISTRY_HOST = re.compile(r"\b(pypi|pythonhosted|(deb|security|snapshot)\.debian)\.org\b")
_DEVELOPERS_PATH = re.compile(r"(?<![\w./}-])/(home/(?!(user|me)\b|\w+/\.local)\w+|root|work)/\w")


def test_no_package_registry_and_no_developers_path() -> None:
    found = [
        f"{path}:{number}: {line.strip()}"
        for path, text in tree()
        for number, line in enumerate(text.splitlines(), 1)
        if _REGISTRY_HOST.search(line) or _DEVELOPERS_PATH.search(line)
    ]
    assert not found, "\n".join(found)


def test_the_tree_rules_find_what_they_forbid() -> None:
    assert _REGISTRY_HOST.search("https://files." + "python" + "hosted.org/x")
    assert _REGISTRY_HOST.search("http://deb." + "debian.org/debian")
    assert not _REGISTRY_HOST.search("https://www.debian.org/")
    assert _DEVELOPERS_PATH.search("cd /ro" + "ot/src")
    assert not _DEVELOPERS_PATH.search("/var/work/x")


def test_no_promises() -> None:
    promise = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b|NotImplemented" + r"Error")
    assert not [f"{path}" for path, text in tree() if promise.search(text)]
