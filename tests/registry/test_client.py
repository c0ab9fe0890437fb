"""Fetching from a registry that answers wrongly, slowly, too much or from elsewhere."""

import base64
import json
import subprocess
import sys

import pytest
from fake_peer import digest_of

from daemonless.errors import InvalidData, NotFound
from daemonless.oci.image import OCI_LAYER, OCI_MANIFEST, Descriptor
from daemonless.registry.client import open_registry
from daemonless.registry.credentials import Credential, parse_creds
from daemonless.registry.errors import Refused, RegistryError, Unauthorized, Unreachable, Untrusted

MANIFEST = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": {}, "layers": []}
BLOB = bytes(range(256)) * 4000


@pytest.fixture
def client(peer, connect):
    return connect(peer)


def layer(body=BLOB, **changes):
    return Descriptor(media_type=OCI_LAYER, digest=digest_of(body), size=len(body)).replace(**changes)


def fetch(client, descriptor):
    with client.open_blob("app", descriptor) as blob:
        return blob.read_all()


# --- manifests ---


def test_a_manifest_by_tag_and_by_digest(peer, client):
    digest = peer.manifest(MANIFEST, OCI_MANIFEST)
    by_tag = client.fetch_manifest("app", "latest")
    assert (by_tag.digest, by_tag.content_type) == (digest, OCI_MANIFEST)
    assert client.fetch_manifest("app", digest, size=len(by_tag.data)) == by_tag
    assert OCI_MANIFEST in peer.sent("/v2/app/manifests/latest")[0]["Accept"]


def test_a_manifest_that_is_not_what_its_digest_says(peer, client):
    wanted = "sha256:" + "0" * 64
    peer.routes[f"/v2/app/manifests/{wanted}"] = (200, {}, b"{}")
    with pytest.raises(InvalidData, match="corrupt"):
        client.fetch_manifest("app", wanted)


def test_a_manifest_that_is_not_what_the_registry_says_of_it(peer, client):
    peer.routes["/v2/app/manifests/latest"] = (200, {"Docker-Content-Digest": "sha256:" + "0" * 64}, b"{}")
    with pytest.raises(InvalidData, match="corrupt"):
        client.fetch_manifest("app", "latest")


@pytest.mark.parametrize("digest", ["md5:00", "sha256:../../x", "sha256:" + "A" * 64])
def test_a_stated_digest_is_checked_before_use(peer, client, digest):
    peer.routes["/v2/app/manifests/latest"] = (200, {"Docker-Content-Digest": digest}, b"{}")
    with pytest.raises(InvalidData, match="is not a digest"):
        client.fetch_manifest("app", "latest")


def test_a_huge_manifest(peer, client):
    peer.routes["/v2/app/manifests/latest"] = (200, {}, bytes((4 << 20) + 1))
    with pytest.raises(InvalidData, match="larger than 4194304 bytes"):
        client.fetch_manifest("app", "latest")


def test_a_manifest_of_another_size_than_its_index_says(peer, client):
    digest = peer.manifest(MANIFEST, OCI_MANIFEST)
    with pytest.raises(InvalidData, match="instead of 5"):
        client.fetch_manifest("app", digest, size=5)


# --- blobs ---


def test_a_blob(peer, client):
    peer.blob(BLOB)
    assert fetch(client, layer()) == BLOB


def test_a_blob_with_other_bytes(peer, client):
    peer.blob(b"x" + BLOB[1:], digest=digest_of(BLOB))
    with pytest.raises(InvalidData, match="corrupt"):
        fetch(client, layer())


def test_a_blob_longer_than_announced(peer, client):
    peer.blob(BLOB + b"x", digest=digest_of(BLOB))
    with pytest.raises(InvalidData, match="longer than"):
        fetch(client, layer())


def test_a_blob_shorter_than_announced(peer, client):
    peer.blob(BLOB)
    with pytest.raises(InvalidData, match=f"ended after {len(BLOB)} of {len(BLOB) + 1} bytes"):
        fetch(client, layer(size=len(BLOB) + 1))


def test_an_endless_blob_is_dropped_at_the_announced_size(peer, client):
    sent = 0

    def endless(handler):
        nonlocal sent
        handler.send_response(200)
        handler.send_header("Content-Length", str(1 << 40))
        handler.end_headers()
        try:
            while True:
                sent += handler.wfile.write(bytes(1 << 16))
        except OSError:
            return

    peer.routes[f"/v2/app/blobs/{digest_of(BLOB)}"] = endless
    with pytest.raises(InvalidData):
        fetch(client, layer())
    assert sent < 64 << 20


def cut(handler, at, *, ranges):
    """Send a blob but hang up after `at` bytes of each answer."""
    start = int(handler.headers.get("Range", "bytes=0-")[6:-1]) if ranges else 0
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(BLOB) - 1}/{len(BLOB)}")
    handler.send_header("Content-Length", str(len(BLOB) - start))
    handler.end_headers()
    handler.wfile.write(BLOB[start : start + at])
    handler.wfile.flush()
    handler.connection.close()


def test_a_broken_download_goes_on_where_it_stopped(peer, client):
    peer.routes[f"/v2/app/blobs/{digest_of(BLOB)}"] = lambda h: cut(h, 400_000, ranges=True)
    assert fetch(client, layer()) == BLOB
    ranges = [headers.get("Range") for headers in peer.sent(f"/v2/app/blobs/{digest_of(BLOB)}")]
    assert ranges[0] is None
    assert all(r.startswith("bytes=") for r in ranges[1:])


def test_a_registry_without_ranges_sends_the_blob_again(peer, client):
    answers = iter([lambda h: cut(h, 400_000, ranges=False), lambda h: cut(h, 2_000_000, ranges=False)])
    peer.routes[f"/v2/app/blobs/{digest_of(BLOB)}"] = lambda h: next(answers)(h)
    assert fetch(client, layer()) == BLOB


def test_a_download_that_always_breaks_ends(peer, client):
    peer.routes[f"/v2/app/blobs/{digest_of(BLOB)}"] = lambda h: cut(h, 10, ranges=True)
    with pytest.raises((Unreachable, InvalidData)):
        fetch(client, layer())
    assert len(peer.seen) < 10


def test_a_download_resumed_at_another_place(peer, client):
    def wrong(handler):
        if "Range" in handler.headers:
            return 206, {"Content-Range": "bytes 7-9/10"}, BLOB
        return cut(handler, 400_000, ranges=True)

    peer.routes[f"/v2/app/blobs/{digest_of(BLOB)}"] = wrong
    with pytest.raises(InvalidData, match="another place"):
        fetch(client, layer())


def test_a_redirected_blob_is_fetched_without_credentials(peer, other, connect):
    basic = "Basic " + base64.b64encode(b"me:canary").decode()

    def guarded(handler):
        if handler.headers.get("Authorization") != basic:
            return 401, {"WWW-Authenticate": "Basic realm=x"}, b"{}"
        return 307, {"Location": f"{other.url}/store?signature=s3cret"}, b""

    peer.routes[f"/v2/app/blobs/{digest_of(BLOB)}"] = guarded
    other.routes["/store"] = (200, {}, BLOB)
    client = connect(peer, parse_creds("me:canary"))
    assert fetch(client, layer()) == BLOB
    assert "canary" not in str(other.seen)
    assert base64.b64encode(b"me:canary").decode() not in str(other.seen)


def test_a_redirect_target_that_asks_for_the_password_does_not_get_it(peer, other, connect):
    peer.routes[f"/v2/app/blobs/{digest_of(BLOB)}"] = (307, {"Location": f"{other.url}/store?s=s3cret"}, b"")
    other.routes["/store"] = (401, {"WWW-Authenticate": "Basic realm=x"}, b"{}")
    client = connect(peer, parse_creds("me:canary"))
    with pytest.raises(RegistryError, match="answered 401") as caught:
        fetch(client, layer())
    assert "s3cret" not in caught.value.message
    assert [headers.get("Authorization") for _, _, headers in other.seen] == [None]


def test_a_token_server_elsewhere_gets_the_password_only_if_it_is_a_legal_realm(peer, other, connect):
    """The registry names a realm on another loopback host: refused before anything is sent."""
    realm = f"http://127.0.0.2:{other.server.server_port}/token"
    peer.routes["/v2/app/manifests/latest"] = (401, {"WWW-Authenticate": f'Bearer realm="{realm}"'}, b"")
    client = connect(peer, parse_creds("me:canary"))
    with pytest.raises(Refused, match="internal network"):
        client.fetch_manifest("app", "latest")
    assert other.seen == []


def test_tokens(peer, other, connect):
    digest = peer.manifest(MANIFEST, OCI_MANIFEST)
    serve = peer.routes["/v2/app/manifests/latest"]

    def guarded(handler):
        if handler.headers.get("Authorization") == "Bearer good":
            return serve
        return 401, {"WWW-Authenticate": f'Bearer realm="{other.url}/token",service="s"'}, b""

    peer.routes["/v2/app/manifests/latest"] = guarded
    other.routes["/token"] = (200, {}, json.dumps({"token": "good"}).encode())
    client = connect(peer, Credential(username="me", secret="canary", source="t"))
    assert client.fetch_manifest("app", "latest").digest == digest
    client.fetch_manifest("app", "latest")
    assert [path for _, path, _ in other.seen] == ["/token?service=s&scope=repository%3Aapp%3Apull"]


# --- errors ---


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}', NotFound, "unknown"),
        (404, b"<html>", NotFound, "does not exist"),
        (403, b'{"errors":[{"message":"denied\\u001b[31m"}]}', Unauthorized, r"denied\\x1b\[31m"),
        (418, b'{"errors":[]}', RegistryError, "answered 418"),
        (429, b"{}", RegistryError, "no more requests"),
    ],
)
def test_errors(peer, client, status, body, kind, text):
    peer.routes["/v2/app/manifests/latest"] = (status, {"Retry-After": "9999"}, body)
    with pytest.raises(kind, match=text) as caught:
        client.fetch_manifest("app", "latest")
    assert "\n" not in caught.value.message


def test_plain_http_only_where_it_was_chosen(peer):
    peer.manifest(MANIFEST, OCI_MANIFEST)
    with pytest.raises(Unreachable, match="TLS"):
        open_registry(peer.host, tls_verify=True).fetch_manifest("app", "latest")
    assert peer.seen == []
    for verify in (None, False):
        client = open_registry(peer.host, tls_verify=verify)
        assert client.fetch_manifest("app", "latest").data
        client.close()


@pytest.mark.parametrize(("verify", "connections"), [(False, 1), (None, 2)])
def test_who_checks_nothing_goes_on_with_the_connection_that_found_out_about_tls(peer, verify, connections):
    seen = set()

    def answer(handler):
        seen.add(handler.client_address)
        return 200, {"Content-Type": OCI_MANIFEST}, json.dumps(MANIFEST).encode()

    peer.routes |= {"/v2/": answer, "/v2/app/manifests/latest": answer}
    client = open_registry(peer.host, tls_verify=verify)
    client.fetch_manifest("app", "latest")
    client.close()
    assert len(seen) == connections


def test_tls_on_a_port_of_this_machine(encrypted, certificates):
    encrypted.manifest(MANIFEST, OCI_MANIFEST)
    for options in ({"tls_verify": False}, {"cert_dir": str(certificates)}):
        client = open_registry(encrypted.host, **options)
        assert client.fetch_manifest("app", "latest").data
        client.close()
    client = open_registry(encrypted.host)
    with pytest.raises(Untrusted, match="certificate is not trusted"):
        client.fetch_manifest("app", "latest")
    client.close()


@pytest.mark.parametrize("status", [301, 308, 404])
def test_what_a_port_of_this_machine_says_to_plain_http(peer, status):
    peer.manifest(MANIFEST, OCI_MANIFEST)
    peer.routes["/v2/"] = (status, {"Location": f"https://{peer.host}/v2/"}, b"")
    client = open_registry(peer.host)
    assert client.fetch_manifest("app", "latest").data  # there is no TLS
    client.close()


def test_a_registry_without_tls_does_without_ssl_and_others_have_it(peer, encrypted, certificates):
    peer.manifest(MANIFEST, OCI_MANIFEST)
    encrypted.routes["/x"] = (200, {}, b"here")
    program = (
        "import sys; sys.path[:] = sys.argv[1].split(':')\n"
        "from daemonless.registry.client import open_registry\n"
        "print(len(open_registry(sys.argv[2]).fetch_manifest('app', 'latest').data), 'ssl' in sys.modules)\n"
        "import requests\n"
        "print(requests.get(f'https://{sys.argv[3]}/x', verify=sys.argv[4]).text)\n"
    )
    argv = [sys.executable, "-ISE", "-c", program, ":".join(sys.path), peer.host, encrypted.host]
    done = subprocess.run([*argv, str(certificates / "ca.crt")], capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(len(json.dumps(MANIFEST))), "False", "here"], done.stderr


def test_the_first_failure_is_told_when_no_scheme_works():
    with pytest.raises(Unreachable, match="Connection refused"):
        open_registry("127.0.0.1:1").fetch_manifest("app", "latest")


def test_tags_over_several_pages(peer, client):
    def page(handler):
        if "last=b" in handler.path:
            return 200, {}, b'{"name":"app","tags":["c"]}'
        return 200, {"Link": '</v2/app/tags/list?last=b&n=2>; rel="next"'}, b'{"tags":["a","b"]}'

    peer.routes["/v2/app/tags/list"] = page
    assert client.tags("app") == ["a", "b", "c"]


def test_tags_do_not_lead_elsewhere(peer, other, client):
    peer.routes["/v2/app/tags/list"] = (
        200,
        {"Link": f'<{other.url}/v2/app/tags/list>; rel="next"'},
        b'{"tags":[]}',
    )
    with pytest.raises(Refused):
        client.tags("app")
    assert other.seen == []


def test_tags_that_never_end(peer, client):
    peer.routes["/v2/app/tags/list"] = (
        200,
        {"Link": '</v2/app/tags/list?again>; rel="next"'},
        b'{"tags":["a"]}',
    )
    with pytest.raises(InvalidData, match="pages"):
        client.tags("app")
