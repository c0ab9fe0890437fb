"""Fetching of files from loopback servers: what is sent to whom, and what is refused."""

from __future__ import annotations

import http.server
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemonless.errors import DaemonlessError, InvalidData, NotFound, UsageError
from daemonless.images.web import open_url
from daemonless.registry.errors import Refused, Unreachable


class Site:
    """A server whose answers are given by path: (status, headers, body)."""

    def __init__(self, address: str, answers: dict, seen: list) -> None:
        self.address = address
        self.answers = answers
        self.seen = seen


@contextmanager
def serve(context: ssl.SSLContext | None = None) -> Iterator[Site]:
    answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
    seen: list[tuple[str, dict[str, str]]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, dict(self.headers)))
            status, headers, body = answers.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Site(f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}", answers, seen)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as found:
        yield found


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server with a certificate of its own, which is trusted."""
    files = [str(tmp_path / name) for name in ("cert.pem", "key.pem")]
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=127.0.0.1",
            ),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0], "-keyout", files[1]),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", files[0])
    with serve(context) as found:
        yield found


def test_a_file_comes_as_it_is_whatever_its_encoding(site: Site) -> None:
    site.answers["/x"] = (200, {"Content-Encoding": "gzip"}, b"not gzip at all")
    assert open_url(f"{site.address}/x").read_all(100, "x") == b"not gzip at all"
    assert site.seen[0][1]["User-Agent"].startswith("daemonless/")
    with pytest.raises(InvalidData, match="x is larger than 3 bytes"):
        open_url(f"{site.address}/x").read_all(3, "x")


def test_credentials_go_to_the_server_they_are_for(site: Site) -> None:
    with serve() as other:
        site.answers["/a"] = (302, {"Location": "/b", "Set-Cookie": "a=b"}, b"")
        site.answers["/b"] = (302, {"Location": f"{other.address}/c"}, b"")
        other.answers["/c"] = (200, {}, b"there")
        with_secret = {"Authorization": "Bearer secret"}
        assert open_url(f"{site.address}/a", with_secret).read_all(10, "c") == b"there"
        assert [headers.get("Authorization") for _, headers in site.seen] == ["Bearer secret"] * 2
        assert "Authorization" not in other.seen[0][1]
        assert not any("Cookie" in headers for _, headers in (*site.seen, *other.seen))


def test_no_credentials_are_taken_from_netrc(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    site.answers["/x"] = (200, {}, b"x")
    open_url(f"{site.address}/x").close()
    assert "Authorization" not in site.seen[0][1]


def test_encryption_is_not_given_up_on_the_way(secure: Site, site: Site) -> None:
    secure.answers["/x"] = (302, {"Location": f"{site.address}/x"}, b"")
    site.answers["/x"] = (200, {}, b"x")
    with pytest.raises(Refused, match="which is not encrypted"):
        open_url(f"{secure.address}/x")
    assert site.seen == []


def test_only_the_certificates_we_are_told_of_are_trusted(
    secure: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    secure.answers["/x"] = (200, {}, b"x")
    assert open_url(f"{secure.address}/x").read_all(9, "x") == b"x"
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(Unreachable, match="its certificate is not trusted"):
        open_url(f"{secure.address}/x")


def test_a_proxy_is_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", site.address)
    site.answers["http://elsewhere.invalid/x"] = (200, {}, b"by way of the proxy")
    assert open_url("http://elsewhere.invalid/x").read_all(50, "x") == b"by way of the proxy"


@pytest.mark.parametrize(
    ("address", "kind", "said"),
    [
        ("SITE/none", NotFound, "there is no such file"),
        ("SITE/loop", Refused, "more than 10 redirects"),
        ("SITE/error", NotFound, "the server answers 500"),
        ("http://127.0.0.1:1/x", Unreachable, "Connection refused"),
        ("http://u:p@127.0.0.1/x", UsageError, "is not an address that can be fetched"),
        ("http://[/x", UsageError, "is not an address that can be fetched"),
        ("http:///x", UsageError, "is not an address that can be fetched"),
        ("https://SITE_HOST/x", Unreachable, "it does not answer with TLS"),
    ],
)
def test_what_is_no_file(site: Site, address: str, kind: type[DaemonlessError], said: str) -> None:
    site.answers["/loop"] = (302, {"Location": "/loop"}, b"")
    site.answers["/error"] = (500, {}, b"")
    address = address.replace("SITE_HOST", site.address.partition("//")[2]).replace("SITE", site.address)
    with pytest.raises(kind, match=said) as caught:
        open_url(address)
    assert "p@" not in caught.value.message


def test_a_file_that_breaks_off(site: Site) -> None:
    site.answers["/x"] = (200, {"Content-Length": "100"}, b"half")
    with pytest.raises(Unreachable, match="the connection broke"):
        open_url(f"{site.address}/x").read_all(1000, "x")
