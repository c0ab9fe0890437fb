"""registries.conf, policy.json, certificates and proxies, with real registries on loopback."""

from __future__ import annotations

import json
import shutil
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import Registry
from harness import Cli
from layouts import busybox_layer, make_layout

NOWHERE = "127.0.0.1:1"  # nobody listens there
RUN = ("run", "--rm", "--network=none", "--pull=never")


@pytest.fixture(scope="session")
def layout(scratch: Path) -> Path:
    return make_layout(scratch / "layout-registries", [busybox_layer()], config={"Cmd": ["echo", "it runs"]})


@pytest.fixture(scope="session")
def app(registry: Registry, layout: Path) -> str:
    """An image on the plain registry."""
    return registry.push(layout, "team/app:1")


@pytest.fixture
def private(private_registry: Registry, layout: Path) -> str:
    """An image on the registry with TLS and passwords."""
    name = f"{private_registry.address}/team/app:1"
    copy = ["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", "--dest-creds=u:p"]
    subprocess.run([*copy, f"oci:{layout}:latest", f"docker://{name}"], check=True, timeout=60)
    return name


def configure(cli: Cli, text: str, name: str = "registries.conf") -> Path:
    path = Path(cli.env["HOME"]) / ".config/containers" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def table(prefix: str, location: str = "", more: str = "", mirrors: tuple[str, ...] = ()) -> str:
    lines = ["[[registry]]", f'prefix = "{prefix}"', f'location = "{location or prefix}"', more]
    for mirror in mirrors:
        lines += ["[[registry.mirror]]", mirror if "=" in mirror else f'location = "{mirror}"']
    return "\n".join(lines)


# --- registries.conf --------------------------------------------------------------------------


def test_an_alias_is_a_name_like_others(fresh: Cli, registry: Registry, app: str, image: str) -> None:
    configure(fresh, f'[aliases]\n"tool" = "{registry.address}/team/app"', "registries.conf.d/10-own.conf")
    fresh("pull", "-q", "tool:1")
    assert fresh("images", "--format={{.Repository}}:{{.Tag}}").lines == [app]
    assert fresh(*RUN, "tool:1").stdout == "it runs\n"
    fresh("image", "exists", "tool:1")
    fresh("tag", "tool:1", "localhost/other")
    assert fresh("rmi", "tool:1").stdout == f"Untagged: {app}\n"
    fresh("image", "exists", "tool:1", status=1)
    fresh("image", "exists", "localhost/other")
    assert fresh("run", "--rm", "--network=none", "-q", "tool:1").stdout == "it runs\n"
    fresh("pull", "-q", image)
    fresh("tag", image, "docker.io/library/tool:1")  # which comes before the alias
    assert fresh(*RUN, "tool:1", "echo", "the other").stdout == "the other\n"
    assert fresh("run", "--rm", "--network=none", "-q", "--pull=always", "tool:1").stdout == "it runs\n"


def test_short_names_are_looked_for_in_turn(fresh: Cli, registry: Registry, app: str) -> None:
    places = [f"{registry.address}/none", f"{registry.address}/team"]
    configure(fresh, f"unqualified-search-registries = {json.dumps(places)}")
    done = fresh("pull", "app:1")
    assert f"app:1 is not {registry.address}/none/app:1" in done.stderr
    assert fresh("images", "--format={{.Repository}}:{{.Tag}}").lines == [app]
    configure(fresh, 'short-name-mode = "enforcing"\nunqualified-search-registries = ["a.test", "b.test"]')
    assert "a.test/other, b.test/other" in fresh("pull", "other", status=125).stderr


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("apps.test", "apps.test/app:1"),
        ("apps.test/ours", "apps.test/ours/app:1"),
        ("*.apps.test", "eu.apps.test/app:1"),
    ],
)
def test_a_registry_that_has_moved(fresh: Cli, registry: Registry, app: str, prefix: str, name: str) -> None:
    configure(fresh, table(prefix, f"{registry.address}/team"))
    fresh("pull", "-q", name)
    assert fresh("images", "--format={{.Repository}}:{{.Tag}}").lines == [name]
    assert fresh(*RUN, name).stdout == "it runs\n"


def test_a_mirror_is_used(fresh: Cli, registry: Registry, app: str) -> None:
    configure(fresh, table(NOWHERE, mirrors=(registry.address,)))
    fresh("pull", "-q", f"{NOWHERE}/team/app:1")
    assert fresh(*RUN, f"{NOWHERE}/team/app:1").stdout == "it runs\n"


def test_a_mirror_that_is_down_or_lacks_the_image(fresh: Cli, registry: Registry, app: str) -> None:
    configure(fresh, table("apps.test", registry.address, mirrors=(NOWHERE, f"{registry.address}/none")))
    assert fresh("pull", "-q", "apps.test/team/app:1").stderr == ""
    done = fresh("pull", "-q", "apps.test/team/app:2", status=125)
    assert done.stderr.startswith("Error: ") and len(done.stderr.splitlines()) == 2
    assert f"its mirror {NOWHERE}: cannot reach" in done.stderr


def test_a_mirror_of_digests_only(fresh: Cli, registry: Registry, app: str) -> None:
    mirror = f'location = "{registry.address}"\npull-from-mirror = "digest-only"'
    configure(fresh, table(NOWHERE, mirrors=(mirror,)))
    assert "cannot reach" in fresh("pull", "-q", f"{NOWHERE}/team/app:1", status=125).stderr
    inspect = ["skopeo", "inspect", "--tls-verify=false", "--format={{.Digest}}", f"docker://{app}"]
    digest = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.strip()
    fresh("pull", "-q", f"{NOWHERE}/team/app@{digest}")


def test_a_blocked_registry(fresh: Cli, registry: Registry, app: str) -> None:
    path = configure(fresh, table(registry.address, more="blocked = true"))
    done = fresh("run", "--rm", app, status=125)
    assert f"Error: {app} is not to be used: {registry.address} is blocked in {path}\n" in done.stderr
    assert fresh("images", "-q").stdout == ""


def test_an_insecure_registry(fresh: Cli, private_registry: Registry, private: str) -> None:
    configure(fresh, table(private_registry.address, more="insecure = true"))
    fresh("pull", "-q", "--creds=u:p", private)
    asked_for = fresh("pull", "-q", "--creds=u:p", "--tls-verify", private, status=125)
    assert "its certificate is not trusted" in asked_for.stderr
    fresh("push", "-q", "--creds=u:p", private)
    fresh("login", "-u", "u", "--password-stdin", private_registry.address, input="p")
    fresh("pull", "-q", private)
    fresh("push", "-q", private)


def test_credentials_are_not_for_mirrors(fresh: Cli, private_registry: Registry, private: str) -> None:
    mirror = f'location = "{private_registry.address}"\ninsecure = true'
    configure(fresh, table(NOWHERE, mirrors=(mirror,)))
    done = fresh("pull", "-q", "--creds=u:p", f"{NOWHERE}/team/app:1", status=125)
    assert f"its mirror {private_registry.address}: " in done.stderr and "demands credentials" in done.stderr


def test_a_broken_file_is_named(fresh: Cli, app: str) -> None:
    path = configure(fresh, "registry = 1")
    assert str(path) in fresh("pull", app, status=125).stderr
    given = {"CONTAINERS_REGISTRIES_CONF": "/dev/null"}
    fresh("pull", "-q", app, env=given)


# --- policy.json ------------------------------------------------------------------------------


def policy(cli: Cli, scopes: dict[str, dict[str, str]]) -> Path:
    """Write a policy that allows what no scope says more of."""
    transports = {
        transport: {scope: [{"type": kind}] for scope, kind in found.items()}
        for transport, found in scopes.items()
    }
    accept = [{"type": "insecureAcceptAnything"}]
    return configure(cli, json.dumps({"default": accept, "transports": transports}), "policy.json")


def test_a_policy_for_registries(fresh: Cli, registry: Registry, app: str) -> None:
    path = policy(fresh, {"docker": {registry.address: "reject"}})
    assert f"{app} is not to be used: {path} rejects it" in fresh("pull", app, status=125).stderr
    policy(fresh, {"docker": {registry.address: "signedBy"}})
    assert "cannot verify signatures" in fresh("pull", app, status=125).stderr
    assert fresh("images", "-q").stdout == ""
    exception = {f"{registry.address}/team": "insecureAcceptAnything"}
    policy(fresh, {"docker": {registry.address: "reject", **exception}})
    fresh("pull", "-q", app)


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "docker-archive", "dir"])
def test_a_policy_for_files(fresh: Cli, layout: Path, scratch: Path, transport: str) -> None:
    place = scratch / f"policy-{transport}"
    shutil.rmtree(place, ignore_errors=True)
    place.unlink(missing_ok=True)
    details = f"{place}:app.test/app:1" if "docker" in transport else str(place)
    copy = ["skopeo", "--insecure-policy", "copy", "-q", f"oci:{layout}:latest", f"{transport}:{details}"]
    subprocess.run(copy, check=True, timeout=60)
    policy(fresh, {transport: {"": "reject"}})
    assert "rejects it" in fresh("pull", f"{transport}:{place}", status=125).stderr
    assert "rejects it" in fresh("load", "--input", str(place), status=125).stderr
    assert fresh("images", "-q").stdout == ""
    policy(fresh, {"docker": {"": "reject"}})
    fresh("load", "--quiet", "--input", str(place))


# --- certificates -----------------------------------------------------------------------------


def test_trust_by_the_environment_and_by_option(
    fresh: Cli, private_registry: Registry, private: str, scratch: Path
) -> None:
    authority = private_registry.directory / "ca.pem"
    directory = Path(fresh.env["HOME"]) / "trusted"
    directory.mkdir()
    (directory / "notes").write_text("not a certificate")
    shutil.copy(authority, directory / "ours.crt")
    pull = ("pull", "-q", "--creds=u:p", private)
    assert "not trusted" in fresh(*pull, status=125).stderr
    fresh(*pull, env={"SSL_CERT_FILE": str(authority)})
    fresh(*pull, env={"SSL_CERT_DIR": f"/nonexistent-is-an-error:{directory}"}, status=125)
    fresh(*pull, env={"SSL_CERT_DIR": f"{directory}"})
    fresh(*pull, f"--cert-dir={directory}")
    fresh("run", "--rm", "-q", "--pull=always", "--network=none", f"--cert-dir={directory}", *pull[2:])


@pytest.fixture
def mutual(scratch: Path) -> Iterator[Registry]:
    """A registry that wants to see a certificate of ours."""
    directory = scratch / "mutual"
    directory.mkdir()
    for name, extra in (("ca", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", f"/CN={name}", "-addext", extra),
                *("-keyout", str(directory / f"{name}.key"), "-out", str(directory / f"{name}.pem")),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )
    tls = f"certificate: {directory}/ca.pem, key: {directory}/ca.key, clientcas: [{directory}/client.pem]"
    server = Registry(directory, f"  tls: {{{tls}}}\n")
    yield server
    server.close()


def test_a_certificate_of_our_own(fresh: Cli, mutual: Registry, layout: Path) -> None:
    certificates = Path(fresh.env["HOME"]) / ".config/containers/certs.d" / mutual.address
    certificates.mkdir(parents=True)
    for source, target in (("ca.pem", "ca.crt"), ("client.pem", "me.cert"), ("client.key", "me.key")):
        shutil.copy(mutual.directory / source, certificates / target)
    copy = ["skopeo", "--insecure-policy", "copy", "-q", f"--dest-cert-dir={certificates}"]
    name = f"{mutual.address}/app"
    subprocess.run([*copy, f"oci:{layout}:latest", f"docker://{name}"], check=True, timeout=60)
    fresh("pull", "-q", name)
    (certificates / "me.key").unlink()
    assert "me.cert" in fresh("pull", "-q", name, status=125).stderr
    (certificates / "me.cert").unlink()
    assert "cannot reach" in fresh("pull", "-q", name, status=125).stderr


# --- proxies ----------------------------------------------------------------------------------


class Proxy(ThreadingHTTPServer):
    """A forward proxy (RFC 9110 section 7.6) that leads http://anything.test to one real server.

    And a CONNECT to private.test, of any port, to this machine.
    """

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _ProxyHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _ProxyHandler(BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        path = "/" + self.path.split("/", 3)[3]
        connection = HTTPConnection(self.server.behind, timeout=20)
        connection.request(self.command, path, headers=dict(self.headers))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET

    def do_CONNECT(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        host, _, port = self.path.rpartition(":")
        if host == "registry.test":  # it has no TLS
            self.send_error(502)
            return
        with socket.create_connection(("127.0.0.1", int(port)), 20) as peer:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_copy, args=(peer, self.connection), daemon=True)
            back.start()
            _copy(self.connection, peer)
            back.join(20)

    def log_message(self, *_: object) -> None:
        pass


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture
def proxy(registry: Registry) -> Iterator[Proxy]:
    server = Proxy(registry.address)
    yield server
    server.shutdown()
    socketserver.TCPServer.server_close(server)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy"])
def test_a_proxy_for_http(fresh: Cli, proxy: Proxy, app: str, variable: str) -> None:
    pull = ("pull", "-q", "--tls-verify=false", "registry.test/team/app:1")
    fresh(*pull, env={variable: proxy.address})
    assert "GET http://registry.test/v2/team/app/manifests/1" in proxy.asked
    seen = len(proxy.asked)
    fresh(*pull, env={variable: proxy.address, "NO_PROXY": "registry.test"}, status=125)
    fresh(*pull, env={variable: proxy.address, "no_proxy": ".test"}, status=125)
    assert len(proxy.asked) == seen


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_a_proxy_for_https(
    fresh: Cli, private_registry: Registry, private: str, proxy: Proxy, variable: str
) -> None:
    name = private.replace("127.0.0.1", "private.test")  # this machine itself is asked without a proxy
    pull = ("pull", "-q", "--creds=u:p", name)
    trust = {"SSL_CERT_FILE": str(private_registry.directory / "ca.pem")}
    fresh(*pull, env={**trust, variable: proxy.address})
    assert set(proxy.asked) == {f"CONNECT {name.partition('/')[0]}"}
    fresh("pull", "-q", "--creds=u:p", private, env={**trust, variable: f"http://{NOWHERE}"})
    untrusted = fresh(*pull, env={variable: proxy.address}, status=125)
    assert "its certificate is not trusted" in untrusted.stderr
    down = fresh(*pull, env={**trust, variable: f"http://{NOWHERE}"}, status=125)
    assert "proxy" in down.stderr
