import pytest
from fake_peer import Peer


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
