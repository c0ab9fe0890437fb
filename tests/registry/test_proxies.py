"""Which proxy the environment names, and for which servers none."""

import pytest

from daemonless.errors import Unsupported
from daemonless.registry.proxies import Proxy, find_proxy

PROXY = Proxy(host="proxy.example", port=3128)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, None),
        ({"https_proxy": "http://proxy.example:3128"}, PROXY),
        ({"HTTPS_PROXY": "proxy.example:3128"}, PROXY),
        ({"https_proxy": "http://proxy.example:3128", "HTTPS_PROXY": "http://other"}, PROXY),
        ({"http_proxy": "http://proxy.example:3128"}, None),
        ({"ALL_PROXY": "http://proxy.example"}, PROXY.replace(port=80)),
        (
            {"https_proxy": "http://me:p%40ss@proxy.example:3128"},
            PROXY.replace(authorization="Basic bWU6cEBzcw=="),
        ),
        ({"https_proxy": ""}, None),
    ],
)
def test_what_the_variables_say(env, expected):
    assert find_proxy("https", "registry.example", 443, env) == expected


@pytest.mark.parametrize(
    ("exceptions", "direct"),
    [
        ("registry.example", True),
        ("other.example, .example", True),
        ("example", True),
        ("registry.example:443", True),
        (".example:443", True),
        ("registry.example:5000", False),
        ("gistry.example", False),
        ("*", True),
        ("", False),
        (" , ", False),
    ],
)
def test_exceptions(exceptions, direct):
    env = {"https_proxy": "http://proxy.example:3128", "NO_PROXY": exceptions}
    assert (find_proxy("https", "registry.example", 443, env) is None) == direct


@pytest.mark.parametrize(
    ("network", "direct"), [("10.0.0.0/8", True), ("10.0.1.0/24", False), ("x/y", False)]
)
def test_networks(network, direct):
    env = {"http_proxy": "proxy.example", "no_proxy": network}
    assert (find_proxy("http", "10.1.2.3", 80, env) is None) == direct
    assert find_proxy("http", "name.example", 80, env)


@pytest.mark.parametrize("text", ["socks5://proxy:1080", "https://proxy:1", "http://:1", "http://p:99999"])
def test_what_cannot_be_used(text):
    with pytest.raises(Unsupported, match="is not http://HOST:PORT"):
        find_proxy("https", "registry.example", 443, {"https_proxy": text})


def test_no_password_is_shown():
    with pytest.raises(Unsupported) as caught:
        find_proxy("http", "a.example", 80, {"http_proxy": "socks5://me:secret@proxy:1080"})
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_this_machine_is_asked_itself(host):
    env = {"http_proxy": "http://proxy.example:3128", "ALL_PROXY": "http://proxy.example:3128"}
    assert find_proxy("http", host, 5000, env) is find_proxy("https", host, 5000, env) is None
