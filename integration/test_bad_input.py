"""What goes wrong says what and what to do, in one line each, with the right status, leaving nothing."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from conftest import Registry
from harness import Cli
from layouts import busybox_layer, make_layout

ERROR = r"(Pulling [^\n]*\n)?Error: [^\n]*(?:%s)[^\n]*\n(Hint: [^\n]+\n)?"

# arguments after `run --rm --network=none`; status; what the error names
RUN = [
    ("IMAGE not-there", 127, r"not-there"),
    ("IMAGE /not/there", 127, r"/not/there"),
    ("IMAGE /etc/passwd", 126, r"/etc/passwd"),
    ("IMAGE /tmp", 126, r"/tmp"),
    ("IMAGE ''", 125, r"command"),
    ("--entrypoint /not/there IMAGE", 127, r"/not/there"),
    ("-w /not/there IMAGE true", 127, r"/not/there"),
    ("-w relative IMAGE true", 125, r"relative"),
    ("--user nobody-of-this-name IMAGE true", 125, r"nobody-of-this-name"),
    ("--user 4294967295 IMAGE true", 125, r"4294967295"),
    ("--user 4294967296 IMAGE true", 125, r"4294967296"),
    ("--user 100000 IMAGE true", 125, r"100000"),
    ("--user 0:nogroup-here IMAGE true", 125, r"nogroup-here"),
    ("--user 0x0 IMAGE true", 125, r"0x0"),
    ("--user -1 IMAGE true", 125, r"-1"),
    ("-v relative/path:/data IMAGE true", 125, r"relative/path"),
    ("-v /etc:relative IMAGE true", 125, r"relative"),
    ("-v /etc:/data:strange IMAGE true", 125, r"strange"),
    ("-v /a:/b:ro:extra IMAGE true", 125, r"/a:/b:ro:extra"),
    ("-v /not/here:/data IMAGE true", 125, r"/not/here"),
    ("-v /etc:/ IMAGE true", 125, r"/"),
    ("--mount type=strange,target=/x IMAGE true", 125, r"strange"),
    ("--mount type=bind,source=/etc IMAGE true", 125, r"target|destination"),
    ("--mount type=tmpfs,target=/x,strange=1 IMAGE true", 125, r"strange"),
    ("--tmpfs relative IMAGE true", 125, r"relative"),
    ("--network strange IMAGE true", 125, r"strange"),
    ("-p 99999:80 IMAGE true", 125, r"99999"),
    ("-p 80:80:80:80 IMAGE true", 125, r"80:80:80:80"),
    ("-p 80/strange IMAGE true", 125, r"strange"),
    ("--dns not-an-address IMAGE true", 125, r"not-an-address"),
    ("--add-host no-colon IMAGE true", 125, r"no-colon"),
    ("--mac-address strange IMAGE true", 125, r"strange"),
    ("--cap-add strange IMAGE true", 125, r"[Ss]trange|STRANGE"),
    ("--cap-drop strange IMAGE true", 125, r"[Ss]trange|STRANGE"),
    ("--security-opt strange IMAGE true", 125, r"strange"),
    ("--security-opt seccomp=/not/here.json IMAGE true", 125, r"/not/here\.json"),
    ("--ulimit strange=1 IMAGE true", 125, r"strange"),
    ("--ulimit nofile=9:1 IMAGE true", 125, r"nofile"),
    ("--device /dev/not-there IMAGE true", 125, r"/dev/not-there"),
    ("--shm-size strange IMAGE true", 125, r"strange"),
    ("--stop-signal STRANGE IMAGE true", 125, r"STRANGE"),
    ("--stop-timeout strange IMAGE true", 125, r"strange"),
    ("--env-file /not/here IMAGE true", 125, r"/not/here"),
    ("-e =value IMAGE true", 125, r"=value"),
    ("--name 'bad name' IMAGE true", 125, r"bad name"),
    ("--name ../up IMAGE true", 125, r"\.\./up"),
    ("--hostname 'bad name' IMAGE true", 125, r"bad name"),
    ("--userns strange IMAGE true", 125, r"strange"),
    ("--umask 999 IMAGE true", 125, r"999"),
    ("--pull never localhost/not-here true", 125, r"localhost/not-here"),
    ("--pull strange IMAGE true", 125, r"strange"),
    ("UPPER/case true", 125, r"UPPER/case"),
    ("'bad name' true", 125, r"bad name"),
    ("127.0.0.1:1/not-here true", 125, r"127\.0\.0\.1:1"),
    ("", 125, r"[Ii][Mm][Aa][Gg][Ee]"),
    ("--strange IMAGE true", 125, r"--strange"),
]


@pytest.mark.parametrize(("arguments", "status", "named"), RUN, ids=[row[0] or "nothing" for row in RUN])
def test_run(cli: Cli, image: str, arguments: str, status: int, named: str) -> None:
    words = [image if word == "IMAGE" else word for word in shlex.split(arguments)]
    result = cli("run", "--rm", "--network=none", *words, status=status)
    assert re.fullmatch(ERROR % named, result.stderr), str(result)
    assert result.stdout == ""
    assert cli.ids() == []
    assert not cli.leftovers()


OTHERS = [
    (command, 125, "nobody-knows")
    for command in (
        *("start nobody-knows", "exec nobody-knows true", "logs nobody-knows", "inspect nobody-knows"),
        *("wait nobody-knows", "stop nobody-knows", "kill nobody-knows", "inspect --type image nobody-knows"),
        "tag nobody-knows there",
    )
] + [
    ("rm nobody-knows", 1, "nobody-knows"),
    ("rmi nobody-knows", 1, "nobody-knows"),
    ("strange", 125, "strange"),
    ("ps --filter strange=1", 125, "strange"),
    ("ps --filter label", 125, "label"),
    ("images --filter strange=1", 125, "strange"),
    ("pull UPPER/case", 125, "UPPER/case"),
    ("pull 127.0.0.1:1/not-here", 125, r"127\.0\.0\.1:1"),
    ("pull localhost:1/x@sha256:1234", 125, "sha256:1234"),
    ("--root relative/../.. --strange ps", 125, "--strange"),
]


@pytest.mark.parametrize(("arguments", "status", "named"), OTHERS, ids=[row[0] for row in OTHERS])
def test_other_commands(cli: Cli, arguments: str, status: int, named: str) -> None:
    result = cli(*shlex.split(arguments), status=status)
    assert re.fullmatch(ERROR % named, result.stderr), str(result)


WITH_A_CONTAINER = [
    ("ps --all --format '{{.Strange}}'", "Strange"),
    ("inspect --format '{{.Strange}}' there", "Strange"),
    ("logs --tail strange there", "strange"),
    ("logs --since strange there", "strange"),
    ("kill --signal STRANGE there", "STRANGE"),
    ("stop --timeout strange there", "strange"),
    ("exec there true", "not running"),
    ("kill there", "not running|exited"),
    ("ps --all --format '{{'", ""),
]


@pytest.mark.parametrize(("arguments", "named"), WITH_A_CONTAINER, ids=[row[0] for row in WITH_A_CONTAINER])
def test_with_a_container(cli: Cli, image: str, arguments: str, named: str) -> None:
    cli("run", "--name", "there", "--network=none", image, "echo", "output")
    result = cli(*shlex.split(arguments), status=125)
    assert re.fullmatch(ERROR % named, result.stderr), str(result)


def test_a_name_in_use(cli: Cli, image: str) -> None:
    first = cli("create", "--name", "taken", image, "true").stdout.strip()
    result = cli("run", "--name", "taken", image, "true", status=125)
    assert re.fullmatch(ERROR % '"?taken"?', result.stderr) and first[:12] in result.stderr, str(result)
    assert cli.ids() == [first]


def test_what_fails_leaves_what_worked(cli: Cli, image: str) -> None:
    """rm of two names, one of them unknown: the known one goes, the status tells."""
    cli("create", "--name", "known", image, "true")
    result = cli("rm", "unknown", "known", status=1)
    assert result.stdout == "known\n" and "unknown" in result.stderr
    assert cli.ids() == []


# --- registries -----------------------------------------------------------------------------


def test_pull_of_an_unknown_image(cli: Cli, registry: Registry) -> None:
    result = cli("run", "--rm", f"{registry.address}/not/here", "true", status=125)
    assert re.fullmatch(ERROR % "not/here", result.stderr.splitlines(True)[-1]) or "not/here" in result.stderr
    assert cli.ids() == []


def test_pull_without_credentials(cli: Cli, private_registry: Registry) -> None:
    name = f"{private_registry.address}/any"
    result = cli("pull", "--tls-verify=false", name, status=125)
    assert re.search(r"(?i)unauthorized|authentication|credentials", result.stderr), str(result)
    wrong = cli("pull", "--tls-verify=false", "--creds", "u:wrong", name, status=125)
    assert re.search(r"(?i)unauthorized|refused|credentials", wrong.stderr), str(wrong)
    assert "wrong" not in wrong.stderr.replace("wrong credentials", ""), "the password is shown"


def test_pull_over_tls_of_an_unknown_authority(cli: Cli, private_registry: Registry) -> None:
    result = cli("pull", "--creds", "u:p", f"{private_registry.address}/any", status=125)
    assert re.search(r"(?i)certificate", result.stderr), str(result)


def test_pull_for_another_machine(cli: Cli, registry: Registry, tmp_path: Path) -> None:
    name = registry.push(make_layout(tmp_path / "l", [busybox_layer()], architecture="s390x"), "foreign")
    result = cli("pull", name, status=125)
    assert "s390x" in result.stderr and re.match(r"Error: ", result.stderr.splitlines()[-2] + "\n"), str(
        result
    )
    assert name not in cli("images").stdout


@pytest.mark.parametrize("fault", ["a byte differs", "cut short", "missing"])
def test_pull_of_a_corrupt_layer(cli: Cli, registry: Registry, tmp_path: Path, fault: str) -> None:
    layer = busybox_layer({"etc/fault": fault.encode()})
    layout = make_layout(tmp_path / "l", [layer])
    name = registry.push(layout, "corrupt/" + fault.replace(" ", "-"))
    biggest = max((layout / "blobs/sha256").iterdir(), key=lambda file: file.stat().st_size)
    blob = registry.directory / f"data/docker/registry/v2/blobs/sha256/{biggest.name[:2]}/{biggest.name}/data"
    good = blob.read_bytes()
    if fault == "missing":
        blob.unlink()
    else:
        blob.write_bytes(good[:-100] if fault == "cut short" else good[:5000] + b"!" + good[5001:])
    result = cli("pull", name, status=125)
    assert biggest.name[:12] in result.stderr, str(result)
    assert name.rpartition("/")[0] not in cli("images").stdout
    assert not cli.leftovers()
    blob.write_bytes(good)  # the registry is mended: the same command works now
    cli("pull", name)
    assert cli("run", "--rm", "--network=none", name, "cat", "/etc/fault").stdout == fault
    cli("rmi", name)


# --- the machine ----------------------------------------------------------------------------


def in_changed_machine(cli: Cli, change: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run `script`, where `daemonless` is the command, in a mount namespace that `change` prepares.

    There the caller is root of a user namespace with one id, so containers get one id as well.
    """
    directory = cli.root.parent / "changed"
    directory.mkdir(exist_ok=True)
    single = Cli(cli.program, directory / "root", directory / "run", cli.env)
    path = f"{Path(cli.program).parent}:{cli.env['PATH']}"
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-ec", f"{change}\n{script}"],
        capture_output=True,
        text=True,
        timeout=60,
        env=single.environment(PATH=path, DIRECTORY=str(directory)),
        cwd="/",
    )


def test_without_newuidmap_there_is_one_id_and_one_line(cli: Cli, image: str) -> None:
    done = in_changed_machine(
        cli,
        """mkdir -p "$DIRECTORY" && echo root:1:65536 >"$DIRECTORY/sub"
        mount --bind "$DIRECTORY/sub" /etc/subuid
        mount --bind "$DIRECTORY/sub" /etc/subgid
        mount --bind /dev/null /usr/bin/newuidmap""",
        f"daemonless run --rm --network=none {image} sh -c 'id -u; wc -l </proc/self/uid_map'",
    )
    assert (done.returncode, done.stdout) == (0, "0\n1\n"), done.stderr
    assert re.fullmatch(r"[^\n]*newuidmap[^\n]*apt-get install uidmap[^\n]*\n", done.stderr), done.stderr


def test_without_a_tap_device(cli: Cli, image: str) -> None:
    done = in_changed_machine(
        cli,
        "mount -t tmpfs none /dev/net",
        f"daemonless run --rm {image} true || echo $?; daemonless run --rm --network=none {image} echo works",
    )
    assert done.stdout == "125\nworks\n", done.stderr
    assert re.search(r"^Error: .*/dev/net/tun.*\nHint: .*--network=none", done.stderr, re.MULTILINE), (
        done.stderr
    )


def test_without_slirp4netns(cli: Cli, image: str) -> None:
    done = in_changed_machine(
        cli,
        "mount --bind /dev/null /usr/bin/slirp4netns",
        f"daemonless run --rm {image} true || echo $?; daemonless run --rm --network=none {image} echo works",
    )
    assert done.stdout == "125\nworks\n", done.stderr
    assert re.search(r"^Error: .*slirp4netns.*\nHint: .*apt-get install", done.stderr, re.MULTILINE)


def test_full_disk(cli: Cli, image: str) -> None:
    """Reading commands and rm work on a full disk; after rm, so does run."""
    done = in_changed_machine(
        cli,
        'mkdir -p "$DIRECTORY/small" && mount -t tmpfs -o size=100m,mode=700 none "$DIRECTORY/small"\n'
        'export DAEMONLESS_ROOT="$DIRECTORY/small/data"',
        f"""
        daemonless create --name before {image} true >/dev/null
        daemonless run --name fills --network=none {image} sh -c 'cat /dev/zero >/fill' || echo filled
        daemonless run --rm --network=none {image} true || echo $?
        daemonless create --name after {image} true || echo $?
        daemonless ps --all --format '{{{{.Names}}}}' | sort
        daemonless inspect --format '{{{{.Name}}}}' before
        daemonless images --quiet | wc -l
        daemonless rm fills
        sleep 1
        daemonless run --rm --network=none {image} echo works again
        """,
    )
    shown = done.stdout.replace("/before", "before").splitlines()
    assert shown == ["filled", "125", "125", "before", "fills", "before", "1", "fills", "works again"], done
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 2 and all("no space left" in line.lower() for line in errors), done.stderr


DAMAGE = {"empty": b"", "cut": b'{"schema": 1, "id"', "nothing but zeros": bytes(300), "a list": b"[]"}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("file", ["container.json", "config.json"])
def test_a_damaged_container_is_reported_and_can_be_removed(
    cli: Cli, image: str, file: str, content: bytes
) -> None:
    damaged = cli("create", "--name", "damaged", image, "true").stdout.strip()
    healthy = cli("create", "--name", "healthy", image, "true").stdout.strip()
    (cli.root / "containers" / damaged / file).write_bytes(content)
    assert healthy in cli("ps", "--all", "--quiet", "--no-trunc", status=None).lines
    started = cli("start", damaged, status=None)
    assert started.status == 125 and started.stderr.startswith("Error: "), str(started)
    cli("start", "healthy")
    cli("rm", "--force", damaged)
    assert cli.ids() == [healthy]


def test_an_error_that_cannot_be_printed_keeps_its_status(cli):
    done = cli.shell("daemonless start nothing 2>/dev/full; echo $?")
    assert (done.stdout, done.stderr) == ("125\n", "")
