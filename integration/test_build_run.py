"""build: RUN with mounts, as the command does it; what of them stays, and what a killed build leaves."""

from __future__ import annotations

import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Cli, eventually, processes

SECRET = "a-value-nobody-else-has"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    directory = tmp_path / "context"
    directory.mkdir()
    return directory


def write(place: Path, dockerfile: str, image: str, **files: str) -> Path:
    (place / "Dockerfile").write_text(textwrap.dedent(dockerfile).replace("BASE", image))
    for name, text in files.items():
        (place / name).write_text(text)
    return place


def files_of(cli: Cli, image: str) -> list[str]:
    """Return the paths that an image has beyond the starter image's."""
    listing = ("run", "--rm", "--network=none")
    command = ("find", "/", "-xdev", "!", "-path", "/proc/*", "!", "-path", "/sys/*", "!", "-path", "/dev/*")
    base = set(cli(*listing, "daemonless.local/starter-busybox", *command).lines)
    return sorted(set(cli(*listing, image, *command).lines) - base)


def holding(directory: Path, value: str) -> Iterator[str]:
    """Find the files below a directory that hold a value, as the root of all their owners."""
    command = ["unshare", "--map-root-user", "--map-auto", "grep", "-rl", "--", value, str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    yield from done.stdout.splitlines()


def test_all_kinds_of_mounts_leave_nothing(cli: Cli, place: Path, image: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRET)
    write(
        place,
        """
        FROM BASE AS tools
        RUN mkdir /t && echo tool > /t/tool

        FROM BASE
        WORKDIR /w
        RUN --mount=type=bind,source=kept,target=in/kept \\
            --mount=type=bind,target=/context,rw \\
            --mount=type=bind,from=tools,source=/t,target=/opt/tools \\
            --mount=type=cache,target=/var/cache/x \\
            --mount=type=tmpfs,target=/scratch/deep \\
            --mount=type=secret,id=token \\
            --mount=type=secret,id=token,env=TOKEN <<EOF
        set -e
        cat in/kept /opt/tools/tool > result
        ls -A /context >> result
        echo lost > /context/kept
        echo cached > /var/cache/x/f
        wc -c < /run/secrets/token >> result
        echo ${#TOKEN} >> result
        echo > /scratch/deep/f
        EOF
        RUN --mount=type=cache,target=/var/cache/x cat /var/cache/x/f >> result
        """,
        image,
        kept="kept\n",
        ignored="never\n",
        **{".dockerignore": "ignored\nDockerfile\n.dockerignore\n"},
    )
    for _ in range(2):  # cached the second time
        built = cli("build", "--secret", f"id=token,src={tmp_path}/token", "-t", "mounts", str(place))
    result = cli("run", "--rm", "--network=none", "mounts", "cat", "result").stdout
    assert result == f"kept\ntool\nkept\n{len(SECRET)}\n{len(SECRET)}\ncached\n"
    assert files_of(cli, "mounts") == ["/w", "/w/result"]
    assert (place / "kept").read_text() == "kept\n"
    assert SECRET not in built.stdout + built.stderr
    assert list(holding(cli.root, SECRET)) == []
    cli("rmi", "mounts")


def test_what_is_not_there_is_said_with_its_line(cli: Cli, place: Path, image: str) -> None:
    for mount, message in (
        ("type=bind,source=nope,target=/m", "nope"),
        ("type=secret,id=token,required", "the secret token is required"),
        ("type=ssh,required", "ssh access default is required"),
        ("type=bind,from=nowhere,target=/m", "nowhere"),
    ):
        write(place, f"FROM BASE\nRUN --mount={mount} true\n", image)
        failed = cli("build", str(place), status=None)
        assert failed.status == 125
        assert message in failed.stderr
        assert "Dockerfile:2" in failed.stderr
        assert "Traceback" not in failed.stderr


def test_an_agent_and_keys(cli: Cli, place: Path, image: str, tmp_path: Path) -> None:
    write(place, "FROM BASE\nRUN --mount=type=ssh,id=git test -S $SSH_AUTH_SOCK && echo answers\n", image)
    key, agent = tmp_path / "key", tmp_path / "agent"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=20)
    build = ("build", "--no-cache", "--network=none", str(place))
    assert " answers\n" in cli(*build, "--ssh", f"git={key}").stderr
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(agent)], stdout=subprocess.DEVNULL) as process:
        eventually(agent.exists, 10, "the agent does not listen")
        assert " answers\n" in cli(*build, "--ssh", f"git={agent}").stderr
        assert " answers\n" in cli(*build, "--ssh", "git", env={"SSH_AUTH_SOCK": str(agent)}).stderr
        process.terminate()
    assert "SSH_AUTH_SOCK is not set" in cli(*build, "--ssh", "git", status=125).stderr
    assert "there is no file" in cli(*build, "--ssh", f"git={key}.none", status=125).stderr


def test_all_that_secrets_may_be(cli: Cli, place: Path, image: str, tmp_path: Path) -> None:
    write(place, "FROM BASE\nRUN --mount=type=secret,id=token,required cat /run/secrets/token\n", image)
    (tmp_path / "token").write_text("of-a-file\n")
    build = ("build", "--no-cache", "--network=none", str(place), "--secret")
    for option, env, seen in (
        (f"id=token,src={tmp_path}/token", {}, "of-a-file"),
        (f"id=token,type=file,source={tmp_path}/token", {}, "of-a-file"),
        (f"src={tmp_path}/token", {}, "of-a-file"),
        ("id=token,env=VALUE", {"VALUE": "of-env"}, "of-env"),
        ("id=token,type=env,src=VALUE", {"VALUE": "of-env"}, "of-env"),
        ("id=token", {"token": "of-its-name"}, "of-its-name"),
    ):
        assert f" {seen}\n" in cli(*build, option, env=env).stderr
    for option, message in (
        ("id=token,env=NONE", "there is no variable NONE"),
        ("src=none", "there is no file none"),
        ("id=token,srv=x", "'srv=x' is none of"),
        ("type=env", "it has no id"),
        ("id=token,type=x", "type is neither file nor env"),
    ):
        assert message in cli(*build, option, status=125).stderr


def test_security_insecure_is_for_who_allows_it(cli: Cli, place: Path, image: str) -> None:
    write(place, "FROM BASE\nRUN --security=insecure grep -q '^Seccomp:.0' /proc/self/status\n", image)
    assert "--allow security.insecure" in cli("build", str(place), status=125).stderr
    cli("build", "--allow", "security.insecure", str(place))


def test_a_killed_build_leaves_a_usable_cache_and_nothing_else(cli: Cli, place: Path, image: str) -> None:
    write(
        place,
        """
        FROM BASE
        RUN --mount=type=cache,id=kill,target=/c,sharing=locked \\
            echo saved >> /c/f && echo started && sleep 1000 && true
        """,
        image,
    )
    process = cli.start("build", str(place))
    assert process.stderr
    while b" started\n" not in (line := process.stderr.readline()):
        assert line, "it ended"
    process.kill()
    process.wait(10)
    eventually(lambda: not processes(), 10, "something of the build runs on")
    write(place, "FROM BASE\nRUN --mount=type=cache,id=kill,target=/c cp /c/f /f\n", image)
    cli("build", "-t", "after", str(place))
    assert cli("run", "--rm", "--network=none", "after", "cat", "/f").stdout == "saved\n"
    cli("rmi", "after")


def test_a_directory_of_this_machine_in_every_run(cli: Cli, place: Path, image: str, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "there").write_text("from the host\n")
    write(place, "FROM BASE\nRUN cat /v/there && touch /v/made; echo $http_proxy.\n", image)
    build = ("build", "--network=none", "--tag", "with", "--no-http-proxy", str(place), "-v")
    built = cli(*build, f"{shared}:/v", env={"http_proxy": "http://p"})
    assert " from the host\n" in built.stderr and " .\n" in built.stderr
    assert (shared / "made").stat().st_uid == shared.stat().st_uid
    assert files_of(cli, "with") == []
    (shared / "there").write_text("not read again")
    assert "CACHED" in cli(*build, f"{shared}:/v").stderr
    assert "Read-only file system" in cli(*build, f"{shared}:/v:ro").stderr
    assert "does not exist" in cli(*build, f"{shared}/none:/v", status=125).stderr
    for value in ("name:/v", f"{shared}:/v:U"):
        assert "a build has no volumes" in cli(*build, value, status=125).stderr
    cli("rmi", "with")
