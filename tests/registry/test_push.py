"""Pushing to a registry that loses connections, is busy, knows few verbs, or wants the bytes elsewhere."""

import base64
import io
import json
import random

import pytest
from fake_peer import digest_of
from fake_store import Store

from daemonless.errors import InvalidData, Unsupported
from daemonless.oci.image import OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor
from daemonless.registry import upload
from daemonless.registry.auth import repository_scope
from daemonless.registry.credentials import parse_creds
from daemonless.registry.errors import Refused, RegistryError, Unauthorized, Unreachable

BLOB = random.Random(4).randbytes(1_000_000)
LAYER = Descriptor(media_type=OCI_LAYER, digest=digest_of(BLOB), size=len(BLOB))
QUOTED = LAYER.digest.replace(":", "%3A")


@pytest.fixture
def store(peer):
    return Store(peer)


@pytest.fixture
def client(peer, connect):
    return connect(peer)


@pytest.fixture
def in_chunks(monkeypatch):
    monkeypatch.setattr(upload, "CHUNK", 300_000)
    monkeypatch.setattr(upload, "SMALL", 1000)


def open_at(offset):
    reader = io.BytesIO(BLOB)
    reader.seek(offset)
    return reader


def push(client, **options):
    client.push_blob("app", LAYER, open_at, **options)


def methods(peer):
    return [method for method, _, _ in peer.seen]


# --- one blob ---


def test_a_small_blob_goes_with_the_put(peer, store, client):
    push(client)
    assert store.blobs == {LAYER.digest: BLOB}
    assert methods(peer) == ["POST", "PUT"]
    assert peer.seen[1][1] == f"/v2/app/blobs/uploads/upload0?state=a%2Bb&digest={QUOTED}"


def test_a_large_blob_goes_in_chunks(peer, store, client, in_chunks):
    told = []
    push(client, progress=told.append)
    assert store.blobs == {LAYER.digest: BLOB}
    assert methods(peer) == ["POST", "PATCH", "PATCH", "PATCH", "PATCH", "PUT"]
    assert peer.seen[2][2]["Content-Range"] == "300000-599999"
    assert sum(told) == len(BLOB)


def test_an_empty_blob(peer, store, client):
    client.push_blob("app", LAYER.replace(digest=digest_of(b""), size=0), lambda _: io.BytesIO())
    assert store.blobs == {digest_of(b""): b""}


def test_a_registry_that_wants_larger_chunks(peer, store, client, in_chunks):
    store.minimum = 600_000
    push(client)
    assert methods(peer) == ["POST", "PATCH", "PATCH", "PUT"]


def test_a_registry_that_takes_no_chunks(peer, store, client, in_chunks):
    store.chunks = False
    push(client)
    assert store.blobs == {LAYER.digest: BLOB}
    assert methods(peer) == ["POST", "PATCH", "POST", "PUT"]


def test_a_lost_connection_goes_on_where_the_registry_says(peer, store, client, in_chunks):
    store.faults["PATCH"] = [None, 123_456, None, 7]
    told = []
    push(client, progress=told.append)
    assert store.blobs == {LAYER.digest: BLOB}
    assert store.received == len(BLOB)
    assert sum(told) == len(BLOB)


def test_a_hundred_lost_connections(peer, store, client, monkeypatch):
    monkeypatch.setattr(upload, "SMALL", 1000)
    source = random.Random(100)
    store.faults["PATCH"] = [source.randrange(1, 10_000) for _ in range(100)]
    push(client)
    assert store.blobs == {LAYER.digest: BLOB}
    assert store.received == len(BLOB)


def test_a_registry_that_never_gets_on(peer, store, client, in_chunks):
    store.faults["PATCH"] = [0] * 99
    with pytest.raises(Unreachable):
        push(client)
    assert methods(peer).count("PATCH") == 4


def test_a_registry_that_forgets_each_time(peer, store, client, in_chunks):
    """Docker's registry 2.8 gives an upload up when a chunk was cut short."""
    store.faults["PATCH"] = [None, None, 5] * 9
    store.faults["GET"] = [(404, {}, b"{}")] * 9
    with pytest.raises(Unreachable):
        push(client)
    assert methods(peer).count("POST") == 4


def test_a_busy_registry(peer, store, client, in_chunks):
    store.faults["PATCH"] = [(429, {"Retry-After": "0"}, b""), None, (503, {}, b"")]
    store.faults["PUT"] = [(502, {}, b"")]
    push(client)
    assert store.blobs == {LAYER.digest: BLOB}
    assert store.received == len(BLOB) + 300_000 + 300_000  # those that were answered too late


def test_an_upload_that_the_registry_has_forgotten_begins_anew(peer, store, client, in_chunks):
    store.faults["PATCH"] = [None, (404, {}, b"{}")]
    store.faults["GET"] = [(404, {}, b"{}")]
    told = []
    push(client, progress=told.append)
    assert store.blobs == {LAYER.digest: BLOB}
    assert methods(peer).count("POST") == 2
    assert sum(told) == len(BLOB)


def test_a_put_whose_answer_was_lost(peer, store, client):
    """The registry has the blob; it is not sent again."""

    def lose(handler, name, query, fault):
        store.blobs[LAYER.digest] = store._read(handler)
        del store.uploads[name]

    store._put = lose
    push(client)
    assert methods(peer) == ["POST", "PUT", "GET", "HEAD"]


def test_content_that_is_not_what_its_digest_says(store, client):
    with pytest.raises(RegistryError, match="digest invalid"):
        client.push_blob("app", LAYER, lambda offset: io.BytesIO(bytes(len(BLOB))))


def test_content_that_ends_early(store, client):
    with pytest.raises(InvalidData, match="ended 10 bytes early"):
        client.push_blob("app", LAYER, lambda offset: io.BytesIO(BLOB[:-10]))
    assert store.blobs == {}


# --- where to ---


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_an_upload_does_not_go_elsewhere(peer, other, store, connect, in_chunks, method):
    """CVE-2026-50151: neither content nor credentials follow a Location to another host."""
    basic = "Basic " + base64.b64encode(b"me:canary").decode()
    elsewhere = f"{other.url}/v2/app/blobs/uploads/1?state=s3cret"
    store.faults[method] = [(202, {"Location": elsewhere, "Range": "0-299999"}, b"")]
    client = connect(peer, parse_creds("me:canary"))
    client._authenticator.remember("*", basic, 99)
    with pytest.raises(Refused, match="wants the upload at") as caught:
        push(client)
    assert "s3cret" not in caught.value.message
    assert other.seen == []
    assert store.blobs == {}


@pytest.mark.parametrize("location", ["http://user@{}/x", "https://{}/x", "//{}:1/x", "ftp://{}/x"])
def test_strange_locations(peer, store, client, location):
    store.faults["POST"] = [(202, {"Location": location.format(peer.host)}, b"")]
    with pytest.raises((Refused, InvalidData)):
        push(client)
    assert methods(peer) == ["POST"]


def test_no_location(peer, store, client):
    store.faults["POST"] = [(202, {}, b"")]
    with pytest.raises(InvalidData, match="does not say where"):
        push(client)


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_a_redirected_upload(peer, other, store, client, in_chunks, method):
    store.faults[method] = [(307, {"Location": f"{other.url}/x"}, b"")]
    with pytest.raises(Refused, match=f"redirects a {method}"):
        push(client)
    assert other.seen == []


@pytest.mark.parametrize("stated", ["0-", "1-5", "0-99999999999999999999", "0-1.5", "0-999999"])
def test_a_registry_that_has_more_than_was_sent(store, client, in_chunks, stated):
    store.faults["PATCH"] = [(202, {"Range": stated}, b"")]
    with pytest.raises((InvalidData, RegistryError)):
        push(client)


# --- what is there already ---


def test_has_blob(peer, store, client):
    assert not client.has_blob("app", LAYER)
    store.blobs[LAYER.digest] = BLOB
    assert client.has_blob("app", LAYER)
    assert not client.has_blob("app", LAYER.replace(size=5))


def test_mount(peer, store, client):
    store.blobs[LAYER.digest] = BLOB
    store.mounts = True
    assert client.mount_blob("app", LAYER, "other/app")
    assert peer.seen[0][1] == f"/v2/app/blobs/uploads/?mount={QUOTED}&from=other%2Fapp"


def test_a_mount_that_is_refused_leaves_an_upload_to_go_on_with(peer, store, client):
    assert not client.mount_blob("app", LAYER, "other/app")
    push(client)
    assert methods(peer) == ["POST", "PUT"]
    assert store.blobs == {LAYER.digest: BLOB}


def test_a_mount_cannot_lead_elsewhere(peer, other, store, client):
    store.location = f"{other.url}/{{}}"
    assert not client.mount_blob("app", LAYER, "other/app")
    with pytest.raises(Refused):
        push(client)
    assert other.seen == []


# --- authorization ---


def test_one_token_for_a_push(peer, other, store, connect):
    def token(handler):
        return 200, {}, json.dumps({"token": "good", "expires_in": 300}).encode()

    other.routes["/token"] = token
    inner = store.answer

    def guarded(handler):
        if handler.headers.get("Authorization") != "Bearer good":
            store._read(handler)
            return 401, {"WWW-Authenticate": f'Bearer realm="{other.url}/token",service="s"'}, b""
        return inner(handler)

    peer.default = guarded
    client = connect(peer)
    assert not client.has_blob("app", LAYER)
    push(client)
    client.push_manifest("app", "1", b"{}", OCI_MANIFEST)
    assert client.head_manifest("app", "nonesuch") is None
    scope = "scope=repository%3Aapp%3Apull%2Cpush"
    assert [path for _, path, _ in other.seen] == [f"/token?service=s&{scope}"]
    assert not client.mount_blob("app", LAYER, "from/here")
    assert other.seen[-1][1].endswith(f"&{scope}&scope=repository%3Afrom%2Fhere%3Apull")


def test_content_is_sent_again_after_a_token_expired(peer, store, connect):
    inner = store.answer
    refusals = iter([False, True, False])

    def guarded(handler):
        if next(refusals):
            store._read(handler)
            return 401, {"WWW-Authenticate": "Basic realm=x"}, b""
        return inner(handler)

    peer.default = guarded
    told = []
    push(connect(peer, parse_creds("me:canary")), progress=told.append)
    assert store.blobs == {LAYER.digest: BLOB}
    assert sum(told) == len(BLOB)


def test_a_push_that_is_not_allowed(store, client):
    store.faults["POST"] = [(403, {}, b'{"errors":[{"message":"read only"}]}')]
    with pytest.raises(Unauthorized, match="read only"):
        push(client)


def test_scopes():
    assert repository_scope("app", "pull,push", "app") == "repository:app:pull,push"


# --- manifests ---


def test_push_manifest(store, client):
    digest = client.push_manifest("app", "1", b"{}", OCI_MANIFEST)
    assert digest == digest_of(b"{}")
    assert store.manifests == {"1": (OCI_MANIFEST, b"{}")}
    client.push_manifest("app", digest, b"{}", OCI_MANIFEST)
    with pytest.raises(InvalidData):
        client.push_manifest("app", digest, b"{ }", OCI_MANIFEST)


def test_a_manifest_that_was_stored_as_another(store, client):
    store.faults["PUT"] = [(201, {"Docker-Content-Digest": digest_of(b"other")}, b"")]
    with pytest.raises(InvalidData, match="stored"):
        client.push_manifest("app", "1", b"{}", OCI_MANIFEST)


def test_head_manifest(peer, client):
    digest = peer.manifest({"schemaVersion": 2}, OCI_MANIFEST)
    answer = peer.routes["/v2/app/manifests/latest"]
    headers = {"Docker-Content-Digest": digest, "Content-Type": OCI_MANIFEST, "Content-Length": "20"}
    peer.routes["/v2/app/manifests/latest"] = (200, headers, b"")
    assert client.head_manifest("app", "latest") == (digest, 20, OCI_MANIFEST)
    peer.routes["/v2/app/manifests/latest"] = answer  # without a digest: the content is asked for
    assert client.head_manifest("app", "latest") == (digest, 20, OCI_MANIFEST)
    assert client.head_manifest("app", "nonesuch") is None
    peer.routes[f"/v2/app/manifests/{digest_of(b'x')}"] = (200, headers, b"")
    with pytest.raises(InvalidData):
        client.head_manifest("app", digest_of(b"x"))


def test_delete(peer, store, client):
    client.delete_manifest("app", LAYER.digest)
    client.delete_tag("app", "1")
    client.delete_blob("app", LAYER.digest)
    assert [path for _, path, _ in peer.seen] == [
        f"/v2/app/manifests/{LAYER.digest}",
        "/v2/app/manifests/1",
        f"/v2/app/blobs/{LAYER.digest}",
    ]
    store.faults["DELETE"] = [(405, {}, b"")]
    with pytest.raises(Unsupported, match="does not let"):
        client.delete_tag("app", "1")


# --- referrers ---


def entry(body, kind):
    return {"mediaType": OCI_MANIFEST, "digest": digest_of(body), "size": len(body), "artifactType": kind}


def index(*entries):
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()


def test_referrers_over_two_pages(peer, client):
    target = f"/v2/app/referrers/{LAYER.digest}"

    def page(handler):
        if "page=2" in handler.path:
            return 200, {"Content-Type": OCI_INDEX}, index(entry(b"b", "text/b"))
        return 200, {"Link": f'<{target}?page=2>; rel="next"'}, index(entry(b"a", "text/a"))

    peer.routes[target] = page
    found = client.referrers("app", LAYER.digest)
    assert [each.artifact_type for each in found.manifests] == ["text/a", "text/b"]
    [only] = client.referrers("app", LAYER.digest, "text/b").manifests
    assert only.digest == digest_of(b"b")


def test_referrers_of_a_registry_without_that_endpoint(peer, client):
    assert client.referrers("app", LAYER.digest).manifests == ()
    peer.manifest(index(entry(b"a", "text/a")), OCI_INDEX, tag=LAYER.digest.replace(":", "-"))
    assert [each.artifact_type for each in client.referrers("app", LAYER.digest).manifests] == ["text/a"]


def test_catalog(peer, client):
    peer.routes["/v2/_catalog"] = (200, {}, b'{"repositories":["a","b/c"]}')
    assert client.catalog() == ["a", "b/c"]
