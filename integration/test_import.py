"""import: root filesystems from files, pipes and addresses become images."""

from __future__ import annotations

import gzip
import http.server
import json
import lzma
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Cli

CHANGES = ("--change", 'CMD ["cat", "/srv/note"]', "-c", "ENV A=b", "--change=LABEL is=imported")


@pytest.fixture(scope="module")
def root(scratch: Path, image: str, session_cli: Cli) -> Path:
    """The root filesystem of a container with a note and a file of somebody else, as an archive."""
    script = "echo noted >/srv/note; touch /srv/other; chown 7:8 /srv/other"
    session_cli("run", "--name=made", "--network=none", image, "sh", "-c", f"mkdir /srv; {script}")
    session_cli("export", "--output", str(scratch / "root.tar"), "made")
    session_cli("rm", "made")
    return scratch / "root.tar"


def config_of(cli: Cli, name: str) -> dict[str, object]:
    [document] = json.loads(cli("inspect", name).stdout)
    assert isinstance(document, dict)
    return document


def test_a_file(cli: Cli, root: Path) -> None:
    made = cli("import", *CHANGES, "--message", "a note", str(root), "noted:1")
    assert made.stdout.startswith("sha256:") and len(made.stdout) == 72
    assert made.stderr.startswith(f"Importing {root}\nLayer ")
    assert cli("run", "--rm", "--network=none", "noted:1").stdout == "noted\n"
    shown = cli("run", "--rm", "--network=none", "noted:1", "sh", "-c", "stat -c '%u %g' /srv/other; echo $A")
    assert shown.stdout == "7 8\nb\n"
    found = config_of(cli, "noted:1")
    assert (found["Comment"], found["Labels"], found["Id"]) == (
        "a note",
        {"is": "imported"},
        made.stdout[7:-1],
    )
    assert (found["Os"], found["RepoTags"]) == ("linux", ["docker.io/library/noted:1"])
    event = cli("events", "--no-stream", "--filter=event=import", "--format={{.Name}}").lines[-1]
    assert event == "docker.io/library/noted:1"
    cli("rmi", "noted:1")


def test_a_pipe_and_a_platform(cli: Cli, root: Path) -> None:
    packed = lzma.compress(root.read_bytes(), preset=0)
    made = cli("image", "import", "--quiet", "--platform=linux/arm/v7", "-", input=packed)
    assert made.stderr == ""
    found = config_of(cli, made.stdout[7:-1])
    assert (found["Architecture"], found["Variant"], found["Comment"]) == (
        "arm",
        "v7",
        "Imported from standard input",
    )
    assert found["RepoTags"] == []
    cli("rmi", made.stdout[7:-1])


def test_the_same_archive_gives_the_same_image(cli: Cli, root: Path) -> None:
    env = {"SOURCE_DATE_EPOCH": "1000000000"}
    first = cli("import", "-q", str(root), "one:1", env=env).stdout
    second = cli(
        "import", "-q", "-m", f"Imported from {root}", "-", "two:1", input=root.read_bytes(), env=env
    ).stdout
    assert first == second
    cli("rmi", "one:1", "two:1")


class _Files(http.server.BaseHTTPRequestHandler):
    content = b""

    def do_GET(self) -> None:
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "/root.tar.gz")
            self.end_headers()
            return
        self.send_response(200 if self.path == "/root.tar.gz" else 404)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content[: len(self.content) // 2] if self.path == "/cut" else self.content)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server(root: Path) -> Iterator[str]:
    handler = type("Files", (_Files,), {"content": gzip.compress(root.read_bytes(), 1)})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


def test_an_address(cli: Cli, server: str) -> None:
    for path in ("root.tar.gz", "elsewhere"):
        made = cli("import", *CHANGES, f"{server}/{path}", "fetched:1")
        assert cli("run", "--rm", "--network=none", "fetched:1").stdout == "noted\n"
        assert config_of(cli, "fetched:1")["Comment"] == f"Imported from {server}/{path}"
        assert made.stderr.startswith("Importing http://")
    before = cli("images", "-aq").stdout
    assert "cannot fetch" in cli("import", f"{server}/nothing", status=125).stderr
    assert "is not an address" in cli("import", "http://user:secret@127.0.0.1/x", status=125).stderr
    assert "secret" not in cli("import", "http://user:secret@127.0.0.1/x", status=125).stderr
    assert cli("images", "-aq").stdout == before
    cli("rmi", "--force", "fetched:1")
    for image in set(cli("images", "-aq", "--filter=dangling=true").lines):
        cli("rmi", image)


def test_what_is_refused_leaves_nothing(cli: Cli, root: Path) -> None:
    def blobs() -> set[str]:
        return {str(path) for path in (cli.root / "images").rglob("*")} | {
            str(path) for path in (cli.root / "tmp").iterdir()
        }

    cli("import", "-q", str(root), "kept:1")
    before = blobs()
    for words, given, said in (
        (("/nothing",), b"", "no such file: /nothing"),
        (("/",), b"", "Is a directory"),
        (("-",), b"", "cannot import standard input"),
        (("-",), b"no archive" * 100, "cannot import standard input"),
        (("-",), root.read_bytes()[:-20_000], "the archive ends too early"),
        (("-",), gzip.compress(root.read_bytes(), 1)[:-9], "is not valid gzip"),
        (("-c", "COPY a b", str(root)), b"", "COPY does not change the config"),
        ((str(root), "Bad Name"), b"", "is not an image name"),
        ((str(root), "name@sha256:" + "0" * 64), b"", "a new image cannot have one"),
        (("--platform=a/b/c/d", str(root)), b"", "is not a platform"),
        (("https://127.0.0.1:9/x",), b"", "cannot fetch https://127.0.0.1:9/x: Connection refused"),
    ):
        refused = cli("import", *words, input=given, status=125)
        assert said in refused.stderr and refused.stdout == "", (words, refused.stderr)
    assert blobs() == before
    cli("rmi", "kept:1")


def test_the_layer_is_the_archive(cli: Cli, root: Path) -> None:
    """As with docker and podman, the diff_id is the digest of the archive as it came."""
    cli("import", "-q", str(root), "ours:1")
    digest = subprocess.run(["sha256sum", root], capture_output=True, text=True, check=True).stdout.split()[0]
    assert cli("inspect", "--format={{index .RootFS.Layers 0}}", "ours:1").stdout == f"sha256:{digest}\n"
    cli("rmi", "ours:1")
