"""Challenges, the token flow, and whom credentials may be sent to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemonless.errors import InvalidData
from daemonless.registry.auth import (
    Authenticator,
    Challenge,
    auth_flow,
    check_realm,
    is_loopback,
    parse_challenges,
)
from daemonless.registry.credentials import Credential
from daemonless.registry.errors import Refused, RegistryError, Unauthorized
from daemonless.registry.transport import Request, Response

REGISTRY = "https://registry.example/v2/app/manifests/latest"
BEARER = 'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:app:push"'
USER = Credential(username="me", secret="canary", source="test")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Bytes:
    def __init__(self, data):
        self.data = data

    def read(self, amount):
        part, self.data = self.data[:amount], self.data[amount:]
        return part

    def close(self):
        pass


def answer(status, headers=None, body=b"", url=REGISTRY, **more):
    return Response(status, headers or {}, Bytes(body), url, **more)


def play(flow, *answers):
    """Send the answers in; return the requests that were made, and the result or None."""
    requests = [next(flow)]
    for response in answers:
        try:
            requests.append(flow.send(response))
        except StopIteration as stop:
            return requests, stop.value
    return requests, None


def start(authenticator):
    return auth_flow(Request(method="GET", url=REGISTRY), "repository:app:pull", authenticator)


# --- challenges ---


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Basic", [("basic", {})]),
        ('Basic realm="Registry Realm"', [("basic", {"realm": "Registry Realm"})]),
        ('BEARER Realm="https://a/b",service=x', [("bearer", {"realm": "https://a/b", "service": "x"})]),
        ('Bearer realm="a\\"b\\\\c", scope="x,y"', [("bearer", {"realm": 'a"b\\c', "scope": "x,y"})]),
        ('Bearer realm = "a" , service = "b"', [("bearer", {"realm": "a", "service": "b"})]),
        (
            'Negotiate, Bearer realm="a", Basic realm="b"',
            [("negotiate", {}), ("bearer", {"realm": "a"}), ("basic", {"realm": "b"})],
        ),
        (", ,Basic realm=x,, ", [("basic", {"realm": "x"})]),
        ("", []),
    ],
)
def test_challenges(header, expected):
    assert [(c.scheme, dict(c.parameters)) for c in parse_challenges(header)] == expected


@pytest.mark.parametrize(
    "header", ['Bearer realm="a', 'Bearer realm="a\n"', "(", 'Bearer a="1",a="2"', "x" * 9000]
)
def test_malformed_challenges(header):
    with pytest.raises(InvalidData):
        parse_challenges(header)


@given(st.text(alphabet='abBearer =",\\ \t/:é\n', max_size=60))
def test_any_header_is_parsed_or_refused(header):
    try:
        assert all(isinstance(challenge, Challenge) for challenge in parse_challenges(header))
    except InvalidData:
        pass


@given(
    st.dictionaries(
        st.sampled_from("abcd"), st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126))
    )
)
def test_quoted_parameters_round_trip(parameters):
    def quote(text):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = "Bearer " + ", ".join(f"{name}={quote(value)}" for name, value in parameters.items())
    [challenge] = parse_challenges(header)
    assert dict(challenge.parameters) == parameters


# --- the flow ---


def test_no_challenge_no_authorization():
    requests, result = play(start(Authenticator("registry.example", USER)), answer(200))
    assert len(requests) == 1
    assert "Authorization" not in requests[0].headers
    assert result.status == 200


def test_anonymous_token():
    flow = start(Authenticator("registry.example"))
    requests, result = play(
        flow, answer(401, {"WWW-Authenticate": BEARER}), answer(200, body=b'{"token":"abc"}'), answer(200)
    )
    assert requests[1].url == (
        "https://auth.example/token?service=registry.example&scope=repository%3Aapp%3Apull"
    )
    assert "Authorization" not in requests[1].headers
    assert requests[2].headers["Authorization"] == "Bearer abc"
    assert result.status == 200


def test_only_pull_is_asked_for_whatever_the_registry_suggests():
    requests, _ = play(start(Authenticator("r", USER)), answer(401, {"WWW-Authenticate": BEARER}))
    assert "push" not in requests[1].url


def test_the_token_server_gets_the_password_without_redirects_and_the_registry_does_not():
    flow = start(Authenticator("registry.example", USER))
    requests, _ = play(
        flow,
        answer(401, {"WWW-Authenticate": BEARER}),
        answer(200, body=b'{"access_token":"t"}'),
        answer(200),
    )
    assert requests[1].headers["Authorization"].startswith("Basic ")
    assert requests[1].redirects is False
    assert requests[2].headers["Authorization"] == "Bearer t"


def test_an_identity_token_is_posted():
    credential = Credential(identity_token="idtok", source="test")
    requests, _ = play(start(Authenticator("r", credential)), answer(401, {"WWW-Authenticate": BEARER}))
    assert requests[1].method == "POST"
    assert b"refresh_token=idtok" in requests[1].body
    assert "idtok" not in requests[1].url


def test_a_token_is_reused_until_it_expires():
    clock = Clock()
    authenticator = Authenticator("r", None, clock=clock)
    token = answer(200, body=b'{"token":"one","expires_in":300}')
    play(start(authenticator), answer(401, {"WWW-Authenticate": BEARER}), token, answer(200))
    requests, result = play(start(authenticator), answer(200))
    assert (len(requests), requests[0].headers["Authorization"]) == (1, "Bearer one")
    clock.now = 296.0
    requests, result = play(start(authenticator), answer(200))
    assert "Authorization" not in requests[0].headers
    assert result.status == 200


def test_a_refused_cached_token_is_replaced_once():
    authenticator = Authenticator("r")
    authenticator.remember("repository:app:pull", "Bearer old", 100)
    requests, result = play(
        start(authenticator),
        answer(401, {"WWW-Authenticate": BEARER}),
        answer(200, body=b'{"token":"new"}'),
        answer(200),
    )
    assert [r.headers.get("Authorization") for r in requests] == ["Bearer old", None, "Bearer new"]
    assert result.status == 200


def test_no_credentials_for_a_401_from_where_a_redirect_led():
    """google/go-containerregistry#2349: a storage server must not be able to ask for the password."""
    stranger = answer(401, {"WWW-Authenticate": "Basic"}, url="https://elsewhere.example/", crossed=True)
    requests, result = play(start(Authenticator("r", USER)), stranger)
    assert (len(requests), result.status) == (1, 401)


def test_basic():
    requests, result = play(
        start(Authenticator("r", USER)), answer(401, {"WWW-Authenticate": "Basic"}), answer(200)
    )
    assert requests[1].headers["Authorization"] == "Basic bWU6Y2FuYXJ5"
    assert result.status == 200


@pytest.mark.parametrize("credential", [None, USER])
def test_refusal_says_where_the_credentials_came_from_but_not_what_they_are(credential):
    with pytest.raises(Unauthorized) as caught:
        play(
            start(Authenticator("r", credential)),
            answer(401, {"WWW-Authenticate": "Basic"}),
            answer(401, {"WWW-Authenticate": "Basic"}),
        )
    assert "canary" not in caught.value.message + caught.value.hint
    assert ("--creds" in caught.value.hint) == (credential is None)


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"nonsense", b'{"token":3}', b'{"token":"a\\nb"}', b'{"token":""}']
)
def test_unusable_tokens(body):
    with pytest.raises(InvalidData):
        play(start(Authenticator("r")), answer(401, {"WWW-Authenticate": BEARER}), answer(200, body=body))


def test_a_huge_token_answer_is_not_read():
    with pytest.raises(InvalidData, match="larger than"):
        play(
            start(Authenticator("r")),
            answer(401, {"WWW-Authenticate": BEARER}),
            answer(200, body=bytes((1 << 20) + 1)),
        )


def test_a_token_server_that_redirects_gets_no_further():
    with pytest.raises(RegistryError, match="answered 302"):
        play(
            start(Authenticator("r", USER)),
            answer(401, {"WWW-Authenticate": BEARER}),
            answer(302, {"Location": "https://evil.example/"}, url="https://auth.example/token"),
        )


# --- realms ---


@pytest.mark.parametrize(
    "realm",
    [
        "http://auth.example/token",
        "https://user@auth.example/token",
        "https://user:pw@auth.example/token",
        "https://169.254.169.254/token",
        "https://[::ffff:127.0.0.1]/token",
        "https://127.0.0.1/token",
        "https://127.1/token",
        "https://2130706433/token",
        "https://0x7f000001/token",
        "https://10.0.0.1/token",
        "https://192.168.1.1/token",
        "https://[::1]/token",
        "https://[fe80::1]/token",
        "https://[fd00::1]/token",
        "https://0.0.0.0/token",
        "https://localhost/token",
        "https://a.localhost/token",
        "https://auth.example:99999/token",
        "https://auth.example/to ken",
        "https://auth.example/token#x",
        "ftp://auth.example/token",
        "/token",
        "",
    ],
)
def test_realms_that_get_nothing(realm):
    header = f'Bearer realm="{realm}",service="s"'
    flow = start(Authenticator("registry.example", USER))
    with pytest.raises(Refused) as caught:
        play(flow, answer(401, {"WWW-Authenticate": header}))
    assert "pw" not in caught.value.message


@pytest.mark.parametrize(
    ("realm", "registry", "insecure"),
    [
        ("https://auth.docker.io/token", "https://registry-1.docker.io/v2/", False),
        ("https://auth.example:8443/token?x=1", REGISTRY, False),
        ("https://10.0.0.1/token", "https://10.0.0.1:5000/v2/", False),
        ("http://127.0.0.1:5001/auth", "http://127.0.0.1:5000/v2/", True),
        ("https://8.8.8.8/token", REGISTRY, False),
    ],
)
def test_realms_that_are_legal(realm, registry, insecure):
    assert check_realm(realm, registry, insecure=insecure) == realm


def test_stored_credentials_do_not_cross_the_network_in_the_clear():
    request = Request(method="GET", url="http://registry.example/v2/")
    challenge = answer(401, {"WWW-Authenticate": "Basic"})
    flow = auth_flow(request, "s", Authenticator("registry.example", USER, insecure=True))
    with pytest.raises(Refused, match="not encrypted"):
        play(flow, challenge)
    given_now = USER.replace(explicit=True)
    flow = auth_flow(request, "s", Authenticator("registry.example", given_now, insecure=True))
    requests, _ = play(flow, answer(401, {"WWW-Authenticate": "Basic"}))
    assert "Authorization" in requests[1].headers


PINNED = USER.replace(realm="https://auth.example:443")


def test_a_token_server_other_than_the_one_of_the_login_gets_nothing():
    for header in (
        BEARER.replace("auth.example", "evil.example"),
        BEARER.replace("auth.example", "auth.example:444"),
        BEARER.replace("auth.example", "registry.example"),
        "Basic",  # even the registry itself did not get the password
    ):
        for credential in (PINNED, PINNED.replace(username="", secret="", identity_token="canary")):
            authenticator = Authenticator("registry.example", credential)
            with pytest.raises((Refused, Unauthorized)) as caught:
                play(start(authenticator), answer(401, {"WWW-Authenticate": header}))
            assert not authenticator.entrusted
            assert "canary" not in caught.value.message
    assert "https://auth.example" in caught.value.message or isinstance(caught.value, Unauthorized)


def test_the_token_server_of_the_login_gets_the_password():
    authenticator = Authenticator("registry.example", PINNED)
    requests, _ = play(start(authenticator), answer(401, {"WWW-Authenticate": BEARER}))
    assert "Authorization" in requests[1].headers
    assert authenticator.entrusted == PINNED.realm


def test_a_new_login_goes_to_the_token_server_of_now():
    authenticator = Authenticator("registry.example", PINNED.replace(explicit=True))
    header = BEARER.replace("auth.example", "new.example")
    play(start(authenticator), answer(401, {"WWW-Authenticate": header}))
    assert authenticator.entrusted == "https://new.example:443"


def test_a_login_without_encryption_is_the_wish_to_go_on_so():
    request = Request(method="GET", url="http://registry.example/v2/")
    for realm, allowed in (("http://registry.example:80", True), ("https://registry.example:443", False)):
        authenticator = Authenticator("registry.example", USER.replace(realm=realm), insecure=True)
        flow = auth_flow(request, "s", authenticator)
        try:
            play(flow, answer(401, {"WWW-Authenticate": "Basic"}))
        except Refused:
            assert not allowed
        else:
            assert allowed


def test_loopback():
    assert [is_loopback(h) for h in ("localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]")] == [True] * 5
    assert [is_loopback(h) for h in ("localhost.example", "10.0.0.1", "128.0.0.1", "")] == [False] * 4
