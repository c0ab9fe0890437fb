"""Redirects, retries, limits: shared security notes section 4, rows "redirects" and "fallback"."""

import socket
import threading
import time

import pytest

from daemonless.errors import InvalidData
from daemonless.registry.errors import Refused, RegistryError, Unreachable, redact_url
from daemonless.registry.retry import Attempts, Retry, _seconds
from daemonless.registry.tls import load_trust
from daemonless.registry.transport import HttpTransport, Request, _redirected


@pytest.fixture
def transport(trust):
    waits = []
    made = HttpTransport(trust, attempts=lambda: Attempts(Retry(), waits.append))
    made.waits = waits
    yield made
    made.close()


def get(url):
    return Request(method="GET", url=url, headers={"Authorization": "Basic canary"})


def test_redirect_to_the_same_origin_keeps_authorization(peer, transport):
    peer.routes["/a"] = (302, {"Location": "/b"}, b"")
    peer.routes["/b"] = (200, {}, b"here")
    response = transport.send(get(f"{peer.url}/a"))
    assert response.read_all(100, "body") == b"here"
    assert not response.crossed
    assert peer.sent("/b")[0]["Authorization"] == "Basic canary"


def test_redirect_to_another_port_drops_authorization(peer, other, transport):
    peer.routes["/a"] = (307, {"Location": f"{other.url}/b", "Set-Cookie": "id=canary"}, b"")
    other.routes["/b"] = (200, {}, b"there")
    response = transport.send(get(f"{peer.url}/a"))
    assert response.read_all(100, "body") == b"there"
    assert response.crossed
    assert "canary" not in str(other.seen)


def test_redirect_to_another_host_name_drops_authorization(peer, transport):
    port = peer.server.server_port
    peer.routes["/a"] = (302, {"Location": f"http://localhost:{port}/b"}, b"")
    peer.routes["/b"] = (200, {}, b"")
    transport.send(get(f"{peer.url}/a")).close()
    assert "Authorization" not in peer.sent("/b")[0]


def test_authorization_stays_dropped_when_redirected_back(peer, other, transport):
    peer.routes["/a"] = (302, {"Location": f"{other.url}/b"}, b"")
    other.routes["/b"] = (302, {"Location": f"{peer.url}/c"}, b"")
    peer.routes["/c"] = (200, {}, b"")
    assert transport.send(get(f"{peer.url}/a")).crossed
    assert "Authorization" not in peer.sent("/c")[0]


def test_five_redirects_are_followed_and_six_are_not(peer, transport):
    for number in range(6):
        peer.routes[f"/{number}"] = (302, {"Location": f"/{number + 1}"}, b"")
    peer.routes["/6"] = (200, {}, b"")
    assert transport.send(get(f"{peer.url}/1")).status == 200
    with pytest.raises(RegistryError, match="more than 5 redirects"):
        transport.send(get(f"{peer.url}/0"))


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://registry.example/b", "not encrypted"),
        ("https://user:pw@registry.example/b", "password"),
        ("file:///etc/passwd", "nowhere"),
        ("ftp://registry.example/b", "nowhere"),
        ("", "nowhere"),
    ],
)
def test_redirects_that_are_refused(location, reason):
    class Answer:
        headers = {"location": location}  # noqa: RUF012

    with pytest.raises(Refused, match=reason) as caught:
        _redirected(get("https://registry.example/a"), Answer())
    assert "pw" not in caught.value.message


def test_a_redirect_is_an_answer_where_none_may_be_followed(peer, transport):
    peer.routes["/a"] = (302, {"Location": "/b"}, b"")
    assert transport.send(get(f"{peer.url}/a").replace(redirects=False)).status == 302
    assert len(peer.seen) == 1


def test_busy_statuses_are_retried_with_the_servers_delay(peer, transport):
    answers = iter([(503, {"Retry-After": "2"}, b""), (429, {}, b""), (200, {}, b"now")])
    peer.routes["/a"] = lambda _: next(answers)
    assert transport.send(get(f"{peer.url}/a")).read_all(9, "body") == b"now"
    assert transport.waits == [2.0, 1.0]  # as it says, else twice as long each time


def test_a_delay_beyond_the_limit_is_not_waited_for(peer, transport):
    peer.routes["/a"] = (429, {"Retry-After": "3600"}, b"")
    assert transport.send(get(f"{peer.url}/a")).status == 429
    assert transport.waits == []


def test_only_idempotent_requests_are_retried(peer, transport):
    peer.routes["/a"] = (503, {}, b"")
    assert transport.send(get(f"{peer.url}/a").replace(method="POST", body=b"x")).status == 503
    assert len(peer.seen) == 1


def test_retry_after_as_a_date():
    now = time.time()
    stamp = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now + 10))
    assert 8 <= _seconds(stamp) <= 11
    assert _seconds("Mon, 01 Jan 1990 00:00:00 GMT") == 0.0
    assert _seconds("soon") is None


def test_a_body_longer_than_its_limit_is_refused_without_reading_it(peer, transport):
    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(10_000):
                handler.wfile.write(bytes(1 << 16))
        except OSError:
            pass

    peer.routes["/a"] = endless
    with pytest.raises(InvalidData, match="larger than 1000 bytes"):
        transport.send(get(f"{peer.url}/a")).read_all(1000, "body")


def test_content_is_not_decoded(peer, transport):
    peer.routes["/a"] = (200, {"Content-Encoding": "gzip"}, b"not gzip at all")
    assert transport.send(get(f"{peer.url}/a")).read_all(100, "body") == b"not gzip at all"
    assert peer.sent("/a")[0]["Accept-Encoding"] == "identity"


def test_passwords_in_netrc_are_not_used(peer, transport, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password canary\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    peer.routes["/a"] = (200, {}, b"")
    transport.send(Request(method="GET", url=f"{peer.url}/a")).close()
    assert "Authorization" not in peer.sent("/a")[0]


def test_cookies_are_not_kept(peer, transport):
    peer.routes["/a"] = (200, {"Set-Cookie": "id=1; Path=/"}, b"")
    for _ in range(2):
        transport.send(get(f"{peer.url}/a")).close()
    assert "Cookie" not in peer.sent("/a")[1]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/", "Connection refused"),
        ("http://registry.invalid/", "does not resolve"),
    ],
)
def test_unreachable_registries(transport, url, reason):
    with pytest.raises(Unreachable, match=reason) as caught:
        transport.send(get(url))
    assert caught.value.hint


def test_a_connection_closed_without_an_answer(peer, transport):
    peer.routes["/a"] = lambda handler: None
    with pytest.raises(Unreachable, match="cannot reach registry 127"):
        transport.send(get(f"{peer.url}/a"))


def test_plain_http_on_a_tls_port(peer, transport):
    with pytest.raises(Unreachable, match="does not answer with TLS"):
        transport.send(get(f"https://{peer.host}/a"))


def test_redaction_hides_user_information_and_all_query_values():
    shown = redact_url("https://me:secret1@store.example/blob?X-Amz-Signature=secret2&token=secret3#x")
    assert shown == "https://store.example/blob?X-Amz-Signature=***&token=***"


def test_certificates_are_found_by_registry(tmp_path):
    directory = tmp_path / "containers/certs.d/registry.example:5000"
    directory.mkdir(parents=True)
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert load_trust("registry.example:5000", env=env, system=str(tmp_path / "none")).context
    (directory / "ca.crt").write_text("no certificate")
    with pytest.raises(Exception, match="cannot use the certificate"):
        load_trust("registry.example:5000", env=env, system=str(tmp_path / "none")).context  # noqa: B018
    assert load_trust("registry.example", env=env, system=str(tmp_path / "none")).context


# --- connections --------------------------------------------------------------------------------


def ports(peer):
    """Return the client's port of each request."""
    return [port for _, port in peer.clients]


@pytest.fixture
def watched(peer):
    """A peer that notes who asks, and answers each request with its port."""
    peer.clients = []

    def answer(handler):
        peer.clients.append(handler.client_address)
        return 200, {}, b"here"

    peer.routes["/a"] = answer
    return peer


def test_a_connection_is_used_again_once_its_answer_was_read(watched, transport):
    for _ in range(3):
        assert transport.send(get(f"{watched.url}/a")).read_all(9, "body") == b"here"
    transport.send(get(f"{watched.url}/a")).close()  # unread: nobody waits for the rest
    transport.send(get(f"{watched.url}/a")).close()
    first, *others = ports(watched)
    assert others[:3] == [first] * 3 and others[3] != first


def test_a_connection_that_was_closed_meanwhile_is_not_used(watched, transport):
    def closes(handler):
        handler.close_connection = True
        return 200, {}, b"last"

    watched.routes["/b"] = closes
    for _ in range(3):
        assert (
            transport.send(Request(method="POST", url=f"{watched.url}/b", body=b"x")).read_all(9, "b")
            == b"last"
        )
        time.sleep(0.05)
    assert transport.waits == []


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_ends_too_early(peer, transport, chunked):
    def cut(handler):
        handler.send_response(200)
        handler.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", "100")))
        handler.end_headers()
        handler.wfile.write(b"64\r\nhalf" if chunked else b"half")

    peer.routes["/a"] = cut
    response = transport.send(get(f"{peer.url}/a"))
    with pytest.raises(Unreachable, match="the connection broke"):
        response.read_all(1000, "body")


def test_a_chunked_body(peer, transport):
    def chunks(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")

    peer.routes["/a"] = chunks
    for _ in range(2):
        assert transport.send(get(f"{peer.url}/a")).read_all(1000, "body") == b"onetwo"


def test_an_address_with_characters_that_have_to_be_quoted(peer, transport):
    peer.routes["/a"] = (302, {"Location": "/b c\u00e9?q=1 2&s=%2F"}, b"")
    peer.routes["/b%20c%C3%A9"] = (200, {}, b"there")
    assert transport.send(get(f"{peer.url}/a")).read_all(9, "body") == b"there"
    assert peer.seen[-1][1] == "/b%20c%C3%A9?q=1%202&s=%2F"


def test_what_is_no_http(transport):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            peer, _ = server.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(Unreachable, match="the connection broke"):
            transport.send(get(f"http://127.0.0.1:{server.getsockname()[1]}/"))
        thread.join()
