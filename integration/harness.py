"""What the integration tests are made of: running the installed command, and finding what it left.

Nothing here imports daemonless: the tests see what a user sees.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

TIMEOUT = 60  # seconds for one command; the slowest here takes two


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it wrote."""

    args: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()

    def __str__(self) -> str:
        return (
            f"daemonless {' '.join(self.args)}\nstatus {self.status}\n"
            f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"
        )


@dataclass
class Cli:
    """The installed command with a data root and a run root of its own."""

    program: str
    root: Path
    runroot: Path
    env: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def environment(self, **extra: str) -> dict[str, str]:
        return {
            **self.env,
            "DAEMONLESS_ROOT": str(self.root),
            "DAEMONLESS_RUNROOT": str(self.runroot),
            **extra,
        }

    def __call__(
        self,
        *args: str,
        status: int | None = 0,
        input: str | bytes | None = None,
        timeout: float = TIMEOUT,
        env: dict[str, str] | None = None,
        cwd: str | Path | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> Result:
        """Run a command to its end; fail the test unless it ends with `status` (None: any)."""
        data = input.encode() if isinstance(input, str) else input
        done = subprocess.run(
            [self.program, *args],
            input=data,
            stdin=subprocess.DEVNULL if data is None else None,
            capture_output=True,
            timeout=timeout,
            env=self.environment(**(env or {})),
            cwd=cwd or "/",
            pass_fds=pass_fds,
        )
        result = Result(
            args,
            done.returncode,
            done.stdout.decode("utf-8", "surrogateescape"),
            done.stderr.decode("utf-8", "surrogateescape"),
        )
        if status is not None:
            assert result.status == status, str(result)
        assert "Traceback (most recent call last)" not in result.stderr, str(result)
        return result

    def start(self, *args: str, **options: object) -> subprocess.Popen[bytes]:
        """Start a command and leave it running, at most until `remove_all`."""
        given: dict[str, object] = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "env": self.environment(),
            "cwd": "/",
            **options,
        }
        process = subprocess.Popen([self.program, *args], **given)  # type: ignore[call-overload]
        self.started.append(process)
        return process  # type: ignore[no-any-return]

    def shell(self, script: str, *, status: int | None = 0, timeout: float = TIMEOUT) -> Result:
        """Run lines of shell in which `daemonless` is the installed command; stderr is kept apart."""
        path = f"{os.path.dirname(self.program)}:{self.env['PATH']}"
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environment(PATH=path),
            cwd="/",
        )
        result = Result(("# shell", script), done.returncode, done.stdout, done.stderr)
        if status is not None:
            assert result.status == status, str(result)
        return result

    def inspect(self, name: str, template: str) -> str:
        return self("inspect", "--format", template, name).stdout.strip()

    def ids(self) -> list[str]:
        return self("ps", "--all", "--quiet", "--no-trunc").lines

    def wait_until_running(self, name: str, timeout: float = 20) -> None:
        """Return once `ps` shows the container as running."""

        def running() -> bool:
            shown = self("ps", "--filter", f"name=^{name}$", "--format", "{{.Status}}", status=None).stdout
            return shown.startswith("Up")

        eventually(running, timeout, f"{name} never ran")

    # --- what is left -----------------------------------------------------------------------

    def leftovers(self, patience: float = 8) -> list[str]:
        """Return what no container should leave behind, once it had the time to go."""
        deadline = time.monotonic() + patience
        while (found := [*self._files(), *self._mounts(), *_running()]) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def _files(self) -> Iterator[str]:
        for directory in (
            self.root / "containers",
            self.root / "names",
            self.root / "tmp",
            self.root / "trash",
            self.root / "volumes",
            self.runroot / "containers",
        ):
            try:
                names = os.listdir(directory)
            except FileNotFoundError:
                continue
            yield from (f"file {directory}/{name}" for name in names)

    def _mounts(self) -> Iterator[str]:
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            if str(self.root) in line or str(self.runroot) in line:
                yield f"mount {line}"

    def remove_all(self) -> None:
        """Remove every container and volume, so that the next test meets none."""
        ids = self.ids()
        if ids:
            self("rm", "--force", "--time", "0", *ids)
        if (self.root / "volumes").is_dir() and os.listdir(self.root / "volumes"):
            self("volume", "rm", "--all")
        for process in self.started:
            process.kill()
            process.communicate()
        self.started.clear()


def eventually(condition: Callable[[], object], timeout: float = 10, message: str = "") -> None:
    """Wait until `condition()` is true; fail the test when it does not come true."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, message or f"not within {timeout} s: {condition}"
        time.sleep(0.02)


# --- processes ------------------------------------------------------------------------------

_PR_SET_CHILD_SUBREAPER = 36
_own: set[int] = set()  # processes of the fixtures


def adopt_orphans() -> None:
    """Go on in a child, and be to all that escapes from it what init is to a machine.

    The parent becomes a subreaper (PR_SET_CHILD_SUBREAPER): whatever a command leaves running is
    found among its descendants, and what ends there is reaped at once, as init would.
    """
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError("prctl")
    tests = os.fork()
    if tests == 0:
        _own.add(os.getpid())
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child handles it
    signal.signal(signal.SIGTERM, lambda number, _: os.kill(tests, number))
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == tests:
            os._exit(max(0, os.waitstatus_to_exitcode(status)) or int(bool(status)))


def is_ours(process: int) -> None:
    """Take a fixture's process, and what it starts, out of what counts as left behind."""
    _own.add(process)


def _stat(pid: str) -> tuple[int, str, str] | None:
    """Return parent, state and name of a process, or None if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    state, parent = rest.split()[:2]
    return int(parent), state, name


def processes() -> dict[int, str]:
    """Return the processes that tests have started, with their names, but not those of the fixtures."""
    parents: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if stat := _stat(pid):
            parents.setdefault(stat[0], []).append(int(pid))
            names[int(pid)] = f"{stat[2]} ({stat[1]})"
    todo = [*parents.get(os.getppid(), []), *parents.get(os.getpid(), [])]
    found: dict[int, str] = {}
    while todo:
        pid = todo.pop()
        if pid not in _own:
            found[pid] = names[pid]
            todo += parents.get(pid, [])
    return found


def _running() -> list[str]:
    return [f"process {pid} {name}" for pid, name in processes().items()]


def kill_all() -> None:
    """End whatever a failed test has left, so that it fails alone."""
    end(processes())


def end(pids: Iterable[int]) -> None:
    """Kill processes, and reap those among them that are the test's own children."""
    for pid in pids:
        kill(pid)
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass  # its parent is another one, or it has been waited for


def descendants_named(name: str) -> list[int]:
    return [pid for pid, shown in processes().items() if shown.startswith(f"{name} (")]


def descriptors_at_rest(pid: int) -> int:
    """Return how many descriptors a process has at least, of half a second: what it begins needs more."""
    counts = []
    for _ in range(50):
        counts.append(len(os.listdir(f"/proc/{pid}/fd")))
        time.sleep(0.01)
    return min(counts)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


# --- a terminal -----------------------------------------------------------------------------


class Terminal:
    """A shell in tmux: real line discipline, real resizes, and a screen that can be read back."""

    PROMPT = "ready> "

    def __init__(self, cli: Cli, socket: Path, *, columns: int = 100, lines: int = 30) -> None:
        self._tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        path = f"{os.path.dirname(cli.program)}:{cli.env['PATH']}"
        env = cli.environment(PATH=path, TERM="screen-256color", PS1=self.PROMPT, ENV="", SHELL="/bin/sh")
        size = ["-x", str(columns), "-y", str(lines)]
        subprocess.run([*self._tmux, "new-session", "-d", *size, "/bin/sh"], env=env, check=True, timeout=20)
        self.tmux("set-option", "-g", "window-size", "manual")
        self.server = int(self.tmux("display-message", "-p", "#{pid}"))
        self.shell_pid = int(self.tmux("display-message", "-p", "#{pane_pid}"))
        is_ours(self.server)
        self.wait_for(re.escape(self.PROMPT.strip()))

    def tmux(self, *args: str) -> str:
        done = subprocess.run([*self._tmux, *args], capture_output=True, text=True, check=True, timeout=20)
        return done.stdout.strip()

    def type(self, text: str) -> None:
        """Type a line and press return."""
        self.tmux("send-keys", "-l", text)
        self.press("Enter")

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: C-c, BSpace, Left."""
        self.tmux("send-keys", *keys)

    def screen(self, *, colours: bool = False) -> str:
        return self.tmux("capture-pane", "-p", "-S", "-200", *(["-e"] if colours else []))

    def wait_for(self, pattern: str, timeout: float = 15, *, colours: bool = False) -> str:
        """Return the screen once a line on it matches `pattern`."""
        seen = ""

        def shown() -> bool:
            nonlocal seen
            seen = self.screen(colours=colours)
            return re.search(pattern, seen, re.MULTILINE) is not None

        try:
            eventually(shown, timeout)
        except AssertionError:
            raise AssertionError(f"{pattern!r} did not appear on the screen:\n{seen}") from None
        return seen

    def wait_for_prompt(self, timeout: float = 15) -> str:
        """Return the screen once the shell outside waits for a command again."""
        return self.wait_for(rf"{re.escape(self.PROMPT.strip())}\s*\Z", timeout)

    def resize(self, columns: int, lines: int) -> None:
        self.tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def modes(self) -> str:
        """Return the settings of the terminal, as stty(1) shows them."""
        device = self.tmux("display-message", "-p", "#{pane_tty}")
        return subprocess.run(["stty", "-a", "-F", device], capture_output=True, text=True, check=True).stdout

    def close(self) -> None:
        self.tmux("kill-server")
        eventually(lambda: not os.path.exists(f"/proc/{self.server}"))
