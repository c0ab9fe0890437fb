"""Registries that mean harm: each is refused in one line, gets no password, and leaves nothing in the store.

The table of what was tried and what was said is printed by the run.
"""

from __future__ import annotations

import hashlib
import json
import random
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import TABLES
from harness import Cli
from layouts import CONFIG, LAYER, MANIFEST, busybox_layer, make_layout

INDEX = "application/vnd.oci.image.index.v1+json"
PASSWORD = "canary-malice"
CHUNK = bytes(1 << 16)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


LAYER_DATA = busybox_layer()
CONFIG_DATA = json.dumps(
    {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest(LAYER_DATA)]},
    }
).encode()
DOCUMENT = {
    "schemaVersion": 2,
    "mediaType": MANIFEST,
    "config": {"mediaType": CONFIG, "digest": digest(CONFIG_DATA), "size": len(CONFIG_DATA)},
    "layers": [{"mediaType": LAYER[:-5], "digest": digest(LAYER_DATA), "size": len(LAYER_DATA)}],
}
GOOD = json.dumps(DOCUMENT).encode()


class Handler(BaseHTTPRequestHandler):
    """An honest registry of one image, but for what the server's `harm` does; True if it has answered."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append(f"{self.path} {self.headers.get('Authorization', '')}")
        if self.server.harm(self):
            return
        if self.path == "/v2/":
            self.answer(200, b"{}")
        elif "/manifests/" in self.path:
            self.answer(200, GOOD, {"Content-Type": MANIFEST})
        elif self.path.endswith(digest(CONFIG_DATA)):
            self.answer(200, CONFIG_DATA)
        else:
            self.answer(200, LAYER_DATA)

    def do_HEAD(self) -> None:
        self.server.seen.append(f"{self.path} {self.headers.get('Authorization', '')}")
        self.answer(404, b"")

    def do_POST(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def answer(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    def __init__(
        self, harm: Callable[[Handler], bool] = lambda handler: False, pem: Path | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.harm = harm
        self.seen: list[str] = []
        self.address = f"127.0.0.1:{self.server_port}"
        if pem:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that has heard enough hangs up

    def close(self) -> None:
        self.shutdown()
        self.server_close()


@pytest.fixture
def elsewhere() -> Iterator[Server]:
    """Somebody else's server, which asks for credentials and would gladly have them."""

    def ask(handler: Handler) -> bool:
        handler.answer(401, b"{}", {"WWW-Authenticate": 'Basic realm="mine"'})
        return True

    server = Server(ask)
    yield server
    server.close()


def on(part: str, act: Callable[[Handler], None]) -> Callable[[Handler], bool]:
    """Return a harm that concerns the requests whose path has `part` in it."""

    def harm(handler: Handler) -> bool:
        if part not in handler.path:
            return False
        act(handler)
        return True

    return harm


def says(status: int, data: bytes = b"{}", **headers: str) -> Callable[[Handler], None]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.answer(status, data, named)


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", MANIFEST)
    handler.end_headers()  # without a length: to the end of the connection
    handler.close_connection = True
    for _ in range(1 << 14):
        handler.wfile.write(CHUNK)


def manifest(document: object) -> Callable[[Handler], bool]:
    return on("/manifests/", says(200, json.dumps(document).encode(), Content_Type=MANIFEST))


LAYER_PATH = digest(LAYER_DATA)
AMBIGUOUS = {**DOCUMENT, "manifests": []}
HUGE = {**DOCUMENT, "annotations": {"x": "y" * (5 << 20)}}
SHORT = {**DOCUMENT, "layers": [{**DOCUMENT["layers"][0], "size": 100}]}  # type: ignore[dict-item]
LONG = {**DOCUMENT, "layers": [{**DOCUMENT["layers"][0], "size": 1 << 30}]}  # type: ignore[dict-item]
PULLS: dict[str, tuple[Callable[[Handler], bool], str]] = {
    "wrong digest": (on(LAYER_PATH, says(200, LAYER_DATA[:-1] + b"x")), "corrupt"),
    "another manifest than its digest": (
        on("/manifests/", says(200, GOOD, Docker_Content_Digest=digest(b"other"), Content_Type=MANIFEST)),
        "corrupt",
    ),
    "more bytes than announced": (manifest(SHORT), "longer than the 100 bytes announced"),
    "fewer bytes than announced": (manifest(LONG), "ended after"),
    "a huge manifest": (manifest(HUGE), "larger than"),
    "an endless manifest": (on("/manifests/", endless), "larger than"),
    "an endless blob": (on(LAYER_PATH, endless), "longer than"),
    "a manifest that is an index too": (manifest(AMBIGUOUS), "ambiguous"),
    "a manifest that is no JSON": (
        on("/manifests/", says(200, b"{" * 100000, Content_Type=MANIFEST)),
        "JSON",
    ),
    "an endless list of redirects": (
        lambda handler: on("/blobs/", says(307, Location=f"http://{handler.server.address}{handler.path}x"))(
            handler
        ),
        "redirect",
    ),
    "a redirect to a file": (on("/blobs/", says(307, Location="file:///etc/passwd")), "redirects to nowhere"),
    "a token server on the cloud's metadata address": (
        lambda handler: on(
            "/", says(401, WWW_Authenticate='Bearer realm="http://169.254.169.254/latest",service="x"')
        )(handler),
        "internal network",
    ),
}


def store_of(cli: Cli) -> dict[str, int]:
    """Return the files of images and layers, but for locks."""
    found = {}
    for part in ("images", "layers", "tmp"):
        for path in (cli.root / part).rglob("*"):
            if path.is_file() and not path.is_symlink() and not path.name.endswith(".lock"):
                found[str(path.relative_to(cli.root))] = path.stat().st_size
    return found


def refused(cli: Cli, title: str, *words: str) -> str:
    """Run a command that must fail in one line and leave the store as it was; return the line."""
    before = store_of(cli)
    done = cli(*words, status=125)
    error, *hints = (
        done.stderr.splitlines()[-2:] if "\nHint: " in done.stderr else done.stderr.splitlines()[-1:]
    )
    assert error.startswith("Error: ") and all(hint.startswith("Hint: ") for hint in hints), done.stderr
    assert done.stdout == "" and PASSWORD not in done.stderr
    # what is whole and belongs to no image may stay for the next pull: it has its digest
    whole = {digest(data)[7:] for data in (GOOD, CONFIG_DATA, LAYER_DATA)}
    new = {name for name, size in store_of(cli).items() if before.get(name) != size}
    assert not {name for name in new if name.rpartition("/")[2] not in whole | {"oci-layout"}}, new
    TABLES.setdefault("malicious registries", []).append(f"{title:<48}{error}")
    return error


@pytest.mark.parametrize("title", PULLS)
def test_a_pull(fresh: Cli, title: str) -> None:
    harm, words = PULLS[title]
    server = Server(harm)
    try:
        command = ("pull", "--quiet", "--retry=0", "--creds", f"u:{PASSWORD}", f"{server.address}/app:1")
        assert words in refused(fresh, title, *command)
        assert fresh("images", "-aq").stdout == ""
    finally:
        server.close()


def test_an_honest_one_is_pulled_from(fresh: Cli) -> None:
    server = Server()
    try:
        fresh("pull", "--quiet", f"{server.address}/app:1")
    finally:
        server.close()


@pytest.mark.parametrize("part", ["/manifests/", "/blobs/"])
def test_a_redirect_to_another_host_gets_no_credentials(fresh: Cli, elsewhere: Server, part: str) -> None:
    def demand(handler: Handler) -> bool:
        if "Authorization" not in handler.headers:
            handler.answer(401, b"{}", {"WWW-Authenticate": 'Basic realm="registry"'})
            return True
        return on(part, says(307, Location=f"http://{elsewhere.address}/x"))(handler)

    server = Server(demand)
    try:
        command = ("pull", "--quiet", "--retry=0", "--creds", f"u:{PASSWORD}", f"{server.address}/app:1")
        refused(fresh, f"a redirect of {part.strip('/')} to another host", *command)
        assert any("Basic " in line for line in server.seen)
        assert not any(line.endswith("=") or "Basic" in line for line in elsewhere.seen)
    finally:
        server.close()


def test_a_realm_elsewhere_than_at_login(fresh: Cli, elsewhere: Server) -> None:
    realm = f"http://127.0.0.1:{elsewhere.server_port}"

    def demand(handler: Handler) -> bool:
        good = "Authorization" in handler.headers
        if not good:
            challenge = 'Basic realm="registry"' if not moved else f'Bearer realm="{realm}/token",service="x"'
            handler.answer(401, b"{}", {"WWW-Authenticate": challenge})
        return not good

    moved: list[bool] = []
    server = Server(demand)
    try:
        fresh("login", "-u", "u", "--password-stdin", server.address, input=PASSWORD)
        moved.append(True)
        refused(
            fresh, "a realm elsewhere than at login", "pull", "-q", "--retry=0", f"{server.address}/app:1"
        )
        assert not any("Basic" in line for line in elsewhere.seen)
    finally:
        server.close()


@pytest.mark.parametrize("verb", ["POST", "PATCH"])
def test_an_upload_sent_elsewhere(fresh: Cli, elsewhere: Server, tmp_path: Path, verb: str) -> None:
    def move(handler: Handler) -> bool:
        if "Authorization" not in handler.headers:
            handler.answer(401, b"{}", {"WWW-Authenticate": 'Basic realm="registry"'})
            return True
        if handler.command not in ("POST", "PATCH"):
            return False
        length = int(handler.headers.get("Content-Length", 0))
        handler.rfile.read(length)
        theirs = f"http://{elsewhere.address}/upload"
        mine = f"http://{handler.server.address}/v2/app/blobs/uploads/1"
        handler.answer(202, b"", {"Location": theirs if handler.command == verb else mine})
        return True

    # large enough to be sent in parts
    layers = [busybox_layer({"noise": random.Random(1).randbytes(5 << 20)})]
    fresh("pull", "--quiet", f"oci:{make_layout(tmp_path / 'layout', layers)}")
    fresh("tag", fresh("images", "-q").stdout.strip(), "app")
    server = Server(move)
    try:
        command = ("push", "-q", "--retry=0", "--creds", f"u:{PASSWORD}", "app", f"{server.address}/app:1")
        refused(fresh, f"an upload sent elsewhere after {verb}", *command)
        assert elsewhere.seen == []
    finally:
        server.close()


def test_from_https_to_http(fresh: Cli, tmp_path: Path) -> None:
    pem = tmp_path / "pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x"),
            *(
                "-addext",
                "subjectAltName=IP:127.0.0.1",
                "-keyout",
                str(pem),
                "-out",
                str(tmp_path / "ca.crt"),
            ),
        ],
        check=True,
        capture_output=True,
    )
    pem.write_text(pem.read_text() + (tmp_path / "ca.crt").read_text())
    plain = Server()
    server = Server(on("/blobs/", says(307, Location=f"http://{plain.address}/v2/app/blobs/x")), pem)
    trust = tmp_path / "trust"
    trust.mkdir()
    (tmp_path / "ca.crt").rename(trust / "ca.crt")
    try:
        command = (
            "pull",
            "--quiet",
            "--retry=0",
            "--tls-verify",
            f"--cert-dir={trust}",
            f"{server.address}/app:1",
        )
        refused(fresh, "a redirect from https to http", *command)
        assert plain.seen == []
    finally:
        server.close()
        plain.close()
