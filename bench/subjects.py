"""What is compared: daemonless, podman with crun, and bubblewrap, each with storage of its own."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from pathlib import Path

PODMAN_CONF = """\
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
[containers]
log_driver = "k8s-file"
"""
STORAGE_CONF = """\
[storage]
driver = "overlay"
graphroot = "{root}/podman"
runroot = "{root}/podman-run"
rootless_storage_path = "{root}/podman"
"""


class User:
    """The unprivileged account that everything measured runs as."""

    def __init__(self, name: str) -> None:
        entry = pwd.getpwnam(name)
        self.uid, self.gid = entry.pw_uid, entry.pw_gid
        self.env = {
            "HOME": entry.pw_dir,
            "USER": name,
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": f"/run/user/{entry.pw_uid}",
        }

        # readable by the user wherever the checkout lies: given as a script, not as a path
        code = (Path(__file__).parent / "stopwatch.py").read_text()
        self.stopwatch = self.start(
            ["/usr/bin/python3", "-ISEc", code], {}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def time(
        self, argv: list[str], env: dict[str, str], errors: Path, *, count: int = 1, parallel: int = 1
    ) -> float:
        """Let the stopwatch run a command; return milliseconds."""
        assert self.stopwatch.stdin and self.stopwatch.stdout
        given = {**self.env, **env, "ERRORS": str(errors)}
        request = {"argv": argv, "env": given, "count": count, "parallel": parallel}
        self.stopwatch.stdin.write(json.dumps(request).encode() + b"\n")
        self.stopwatch.stdin.flush()
        answer = json.loads(self.stopwatch.stdout.readline())
        if answer["status"]:
            raise RuntimeError(f"{' '.join(argv)}: status {answer['status']}\n{errors.read_text()}")
        took: float = answer["ms"]
        return took

    def start(self, argv: list[str], env: dict[str, str], **options: object) -> subprocess.Popen[bytes]:
        given: dict[str, object] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **options}
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            argv, env={**self.env, **env}, user=self.uid, group=self.gid, extra_groups=[], cwd="/", **given
        )

    def make_directory(self, path: Path) -> Path:
        path.mkdir(mode=0o700, parents=True)
        os.chown(path, self.uid, self.gid)
        return path


class Subject:
    """One tool; `root` is a directory of the user's that holds all it keeps."""

    name = ""

    def __init__(self, user: User, root: Path) -> None:
        self.user = user
        self.root = root
        self.env: dict[str, str] = {}
        self.prefix: list[str] = []

    def elsewhere(self, root: Path) -> Subject:
        """Return the same tool with empty storage."""
        raise AssertionError(f"{self.name} keeps no images")

    def __call__(self, *args: str) -> str:
        """Run a command that is not measured; return what it prints."""
        process = self.user.start(
            [*self.prefix, *args], self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = process.communicate(timeout=600)
        if process.returncode:
            raise RuntimeError(f"{self.name} {' '.join(args)}: status {process.returncode}\n{err.decode()}")
        return out.decode()

    def time(self, *args: str, count: int = 1, parallel: int = 1) -> float:
        """Run a command, perhaps several times at once; return the milliseconds it took."""
        errors = self.root / "errors"
        return self.user.time([*self.prefix, *args], self.env, errors, count=count, parallel=parallel)


class Daemonless(Subject):
    name = "daemonless"
    program = ""

    def __init__(self, user: User, root: Path) -> None:
        super().__init__(user, root)
        self.prefix = [self.program, "--root", f"{root}/data", "--runroot", f"{root}/run"]

    def elsewhere(self, root: Path) -> Daemonless:
        return Daemonless(self.user, root)

    def remove_all(self) -> None:
        ids = self("ps", "--all", "--quiet").split()
        if ids:
            self("rm", "--force", "--time", "0", *ids)


class Podman(Subject):
    name = "podman"

    def __init__(self, user: User, root: Path) -> None:
        super().__init__(user, root)
        (root / "containers.conf").write_text(PODMAN_CONF)
        (root / "storage.conf").write_text(STORAGE_CONF.format(root=root))
        self.env = {
            "CONTAINERS_CONF": f"{root}/containers.conf",
            "CONTAINERS_STORAGE_CONF": f"{root}/storage.conf",
        }
        self.prefix = ["podman"]

    def elsewhere(self, root: Path) -> Podman:
        return Podman(self.user, root)

    def remove_all(self) -> None:
        self("rm", "--all", "--force", "--time", "0")


class Bubblewrap(Subject):
    """The least that makes a sandbox with the same namespaces: no image, no state, no supervisor."""

    name = "bwrap"

    def __init__(self, user: User, root: Path) -> None:
        super().__init__(user, root)
        tree = user.make_directory(root / "tree")
        for name in ("bin", "proc", "dev", "tmp"):
            (tree / name).mkdir()
        shutil.copy("/bin/busybox", tree / "bin/busybox")
        for name in ("true", "sh", "sleep"):
            (tree / "bin" / name).symlink_to("busybox")
        self.prefix = ["bwrap", "--unshare-all", "--bind", str(tree), "/", "--proc", "/proc", "--dev", "/dev"]

    def run(self, network: str) -> list[str]:
        return [*(["--share-net"] if network == "host" else []), "/bin/true"]


# --- memory ---------------------------------------------------------------------------------


def pss(pids: list[int]) -> int:
    """Return the proportional set size of some processes in KiB (proc_pid_smaps(5), smaps_rollup)."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def processes_of(uid: int) -> dict[int, str]:
    """Return the processes of a user and their names."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and entry.stat().st_uid in (uid, 0):
                status = (entry / "status").read_text()
                if f"\nUid:\t{uid}\t" in status:
                    found[int(entry.name)] = (entry / "comm").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def tree_of(root: int) -> list[int]:
    """Return a process and its descendants."""
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                todo += map(int, (task / "children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
