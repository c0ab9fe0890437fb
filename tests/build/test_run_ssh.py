"""RUN --mount=type=ssh: the caller's agent or keys, to sign with and for nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from runs import Builder, Ran, eventually, finish, in_background

from daemonless.build.runjob import Directory
from daemonless.dockerfile.steps import RunMount
from daemonless.errors import DaemonlessError, NotFound, UsageError

SSH = RunMount(type="ssh", id="default")

# What is sent is refused unless it asks for keys or a signature.
ASK = """
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(os.environ["SSH_AUTH_SOCK"])
for kind in (19, 17, 18, 22, 25, 27, 11):
    s.sendall(b"\\0\\0\\0\\1" + bytes([kind]))
    print(kind, s.recv(100000)[4])
s.sendall(b"\\xff\\xff\\xff\\xff")
print(s.recv(1))
"""


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ssh") / "id"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "of a test", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


@pytest.fixture
def agent(key: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dl-ssh-") as directory:
        path = Path(directory, "socket")
        process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
        while not path.exists():
            assert process.poll() is None
        environment = {**os.environ, "SSH_AUTH_SOCK": str(path)}
        subprocess.run(["ssh-add", "-q", str(key)], env=environment, check=True)
        yield path
        process.terminate()
        process.wait(10)


def links(top: str) -> None:
    for name in ("lib", "lib64"):
        os.symlink(f"usr/{name}", f"{top}/{name}")


def with_tools(build: Builder, script: str, **more: object) -> Ran:
    """Run a script with the programs of this machine at hand."""
    tools = RunMount(type="bind", target="/usr", source="/", from_="tools", read_only=True)
    mounts = (tools, *more.pop("mounts"))  # type: ignore[misc]
    trees = {"tools": Directory(path="/usr")}
    return build(script, on=[build.layer(links)], mounts=mounts, trees=trees, **more)


def test_an_agent(build: Builder, agent: Path, key: Path) -> None:
    script = (
        "echo $SSH_AUTH_SOCK; stat -c '%a %u:%g %F' $SSH_AUTH_SOCK; ssh-add -l; echo x > /f;"
        f" echo '{(key.with_suffix('.pub')).read_text().strip()}' > /tmp/k.pub;"
        " ssh-keygen -q -Y sign -f /tmp/k.pub -n file /f; grep -c SIGNATURE /f.sig; ssh-add -D; ssh-add -l"
    )
    ran = with_tools(build, script, mounts=(SSH,), ssh=(("default", (str(agent),)),))
    lines = ran.out.splitlines()
    assert lines[:2] == ["/run/buildkit/ssh_agent.0", "600 0:0 socket"]
    assert "of a test (ED25519)" in lines[2]
    assert lines[3] == "2"
    assert "of a test (ED25519)" in lines[-1]
    assert "Failed to remove all identities" in ran.err
    assert not any("ssh_agent" in path for path in ran.changes)


def test_nothing_but_keys_and_signatures(build: Builder, agent: Path) -> None:
    ran = with_tools(
        build, 'python3 -c "$ASK"', env=(f"ASK={ASK}",), mounts=(SSH,), ssh=(("default", (str(agent),)),)
    )
    assert ran.out.splitlines() == [*(f"{kind} 5" for kind in (19, 17, 18, 22, 25, 27)), "11 12", "b''"]


def test_keys(build: Builder, key: Path) -> None:
    mounts = (
        SSH.replace(id="other"),
        SSH.replace(id="mine", target="/agent", mode=0o660, uid=7, gid=8),
    )
    script = (
        "stat -c '%a %u:%g' /agent; SSH_AUTH_SOCK=/agent ssh-add -l; ls /run/buildkit; echo $SSH_AUTH_SOCK"
    )
    ran = with_tools(build, script, mounts=mounts, ssh=(("mine", (str(key),)),))
    assert ran.out.splitlines()[0] == "660 7:8"
    assert "of a test (ED25519)" in ran.out
    assert ran.out.splitlines()[-1] == "/agent"
    assert "No such file" in ran.err


def test_what_cannot_be_used(build: Builder, key: Path, tmp_path: Path) -> None:
    assert build("echo ${SSH_AUTH_SOCK:-none}", mounts=(SSH,)).out == "none\n"
    with pytest.raises(NotFound, match="ssh access default is required and was not given"):
        build(mounts=(SSH.replace(required=True),))
    with pytest.raises(NotFound, match=r"cannot use the ssh agent or key .*none: No such file"):
        build(mounts=(SSH,), ssh=(("default", (f"{tmp_path}/none",)),))
    (tmp_path / "locked").write_text("no key\n")
    (tmp_path / "locked").chmod(0o600)
    with pytest.raises(UsageError, match="locked cannot be used"):
        build(mounts=(SSH,), ssh=(("default", (str(key), f"{tmp_path}/locked")),))
    with pytest.raises(DaemonlessError, match="not mapped"):
        build(mounts=(SSH.replace(uid=4_000_000_000),), ssh=(("default", (str(key),)),))


def test_a_path_that_is_too_long_for_a_socket(build: Builder, key: Path, scratch: Path) -> None:
    build.scratch = scratch / ("d" * 100)
    build.scratch.mkdir()
    ran = with_tools(build, "ssh-add -l", mounts=(SSH,), ssh=(("default", (str(key),)),))
    assert "of a test (ED25519)" in ran.out


def test_agents_die_with_the_step(build: Builder, key: Path) -> None:
    job = build.job("echo ready; sleep 100", mounts=(SSH,), ssh=(("default", (str(key),)),))
    process = in_background(job)
    assert os.read(process[1], 100) == b"ready\n"
    children = Path(f"/proc/{process[0]}/task/{process[0]}/children").read_text().split()
    names = {Path(f"/proc/{pid}/comm").read_text() for pid in children}
    assert len(children) == 3
    assert "ssh-agent\n" in names
    os.kill(process[0], signal.SIGKILL)
    finish(process)
    eventually(lambda: not any(is_running(pid) for pid in children))


def is_running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
