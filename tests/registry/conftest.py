import ssl
import subprocess

import pytest
from fake_peer import Peer

from daemonless.registry.auth import Authenticator
from daemonless.registry.client import RegistryClient
from daemonless.registry.retry import Attempts, Retry
from daemonless.registry.tls import Trust
from daemonless.registry.transport import HttpTransport


@pytest.fixture
def peer():
    server = Peer()
    yield server
    server.close()


@pytest.fixture
def other():
    server = Peer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A directory for --cert-dir, with a certificate of 127.0.0.1 that nobody else trusts, and its key."""
    directory = tmp_path_factory.mktemp("certificates")
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    make += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    make += ["-out", str(directory / "ca.crt"), "-keyout", str(directory / "server.pem")]
    subprocess.run(make, check=True, capture_output=True)
    return directory


@pytest.fixture
def encrypted(certificates):
    """A peer that speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "ca.crt", certificates / "server.pem")
    server = Peer(context)
    yield server
    server.close()


@pytest.fixture
def trust():
    """No certificates at all: loading the system's takes 50 ms."""
    return Trust(lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


@pytest.fixture
def connect(trust):
    """Make clients that speak plain http at once, as after finding out that there is no TLS."""
    clients = []

    def attempts():
        return Attempts(Retry(), lambda seconds: None)

    def make(peer, credential=None):
        authenticator = Authenticator(peer.host, credential)
        transport = HttpTransport(trust, attempts=attempts)
        client = RegistryClient(peer.host, transport, authenticator, schemes=("http",), attempts=attempts)
        clients.append(client)
        return clients[-1]

    yield make
    for client in clients:
        client.close()
