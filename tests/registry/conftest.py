import ssl

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


@pytest.fixture
def trust():
    """No certificates at all: loading the system's takes 50 ms."""
    return Trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


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
