"""The steps of a pull against a registry that means harm: documents, layers, downloads."""

import json
import os
import time

import pytest
from fake_peer import digest_of

from daemonless.errors import InvalidData, NotFound, Unsupported
from daemonless.images.blobs import BlobStore
from daemonless.images.download import Downloads
from daemonless.images.partial import Partial
from daemonless.images.progress import Silent
from daemonless.images.pull import pair_layers, resolve
from daemonless.images.transports.registry import RegistrySource
from daemonless.oci.digest import Digest
from daemonless.oci.image import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Platform,
    parse_document,
)
from daemonless.oci.reference import parse_reference

AMD64 = Platform(architecture="amd64")


def describe(body, media_type=OCI_LAYER, **more):
    return {"mediaType": media_type, "digest": digest_of(body), "size": len(body), **more}


def manifest(*layers, **changes):
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": describe(b"{}", OCI_CONFIG),
        "layers": list(layers),
        **changes,
    }


def index(*entries):
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)}


def ask(connect, peer):
    return resolve(source(connect, peer), AMD64)


def source(connect, peer):
    return RegistrySource(connect(peer), parse_reference(f"{peer.host}/app"))


# --- documents ---


def test_through_an_index(connect, peer):
    inner = json.dumps(manifest()).encode()
    peer.manifest(inner, OCI_MANIFEST, tag="inner")
    platform = {"os": "linux", "architecture": "amd64"}
    outer = peer.manifest(index(describe(inner, OCI_MANIFEST, platform=platform)), OCI_INDEX)
    resolved = ask(connect, peer)
    assert resolved.source_digest == outer
    assert resolved.descriptor.digest == digest_of(inner)
    assert resolved.data == inner
    assert str(resolved.descriptor.platform) == "linux/amd64"


def test_an_index_that_announces_another_media_type(connect, peer):
    inner = json.dumps(manifest()).encode()
    peer.manifest(inner, OCI_MANIFEST, tag="inner")
    docker = "application/vnd.docker.distribution.manifest.v2+json"
    peer.manifest(index(describe(inner, docker)), OCI_INDEX)
    with pytest.raises(InvalidData, match="media type its index announces"):
        ask(connect, peer)


def test_an_index_of_indexes(connect, peer):
    inner = json.dumps(index()).encode()
    peer.manifest(inner, OCI_INDEX, tag="inner")
    peer.manifest(index(describe(inner, OCI_INDEX)), OCI_INDEX)
    with pytest.raises(Unsupported, match="index of indexes"):
        ask(connect, peer)


def test_an_ambiguous_manifest(connect, peer):
    peer.manifest(manifest(manifests=[]), OCI_MANIFEST)
    with pytest.raises(InvalidData, match="ambiguous"):
        ask(connect, peer)


def test_a_manifest_sent_as_an_index(connect, peer):
    peer.manifest(manifest(), OCI_INDEX)
    with pytest.raises(InvalidData, match="calls itself"):
        ask(connect, peer)


def test_no_platform_of_ours(connect, peer):
    peer.manifest(
        index(describe(b"{}", OCI_MANIFEST, platform={"os": "plan9", "architecture": "\x1b[31m"})), OCI_INDEX
    )
    with pytest.raises(NotFound, match=r"plan9/\\x1b\[31m"):
        ask(connect, peer)


# --- layers ---


def paired(document, *diff_ids):
    parsed = parse_document(json.dumps(document).encode())
    return pair_layers(parsed, tuple(Digest(each) for each in diff_ids), "app")


def test_each_pair_once():
    a, b = describe(b"a"), describe(b"b")
    pairs = paired(manifest(a, b, a), digest_of(b"1"), digest_of(b"2"), digest_of(b"1"))
    assert [pair.descriptor.digest for pair in pairs] == [a["digest"], b["digest"]]


@pytest.mark.parametrize(
    ("layers", "diff_ids", "error"),
    [
        ([b"a"], [], "1 layers in its manifest but 0"),
        ([b"a", b"a"], [b"1", b"2"], "two meanings"),
    ],
)
def test_layers_that_do_not_fit_the_config(layers, diff_ids, error):
    with pytest.raises(InvalidData, match=error):
        paired(manifest(*map(describe, layers)), *map(digest_of, diff_ids))


def test_a_layer_of_an_unknown_type():
    with pytest.raises(Unsupported, match="media type"):
        paired(manifest(describe(b"a", OCI_LAYER + "+encrypted")), digest_of(b"1"))


# --- downloads ---


@pytest.fixture
def blobs(tmp_path):
    store = BlobStore(str(tmp_path))
    store.prepare()
    return store


def descriptor(body, size=None):
    return Descriptor(media_type=OCI_LAYER, digest=digest_of(body), size=len(body) if size is None else size)


def download(connect, peer, blobs, *descriptors):
    with Downloads(source(connect, peer), blobs, Silent()) as downloads:
        return list(downloads.run(list(descriptors)))


def test_downloads(connect, peer, blobs):
    bodies = [bytes([number]) * 100_000 for number in range(9)]
    for body in bodies:
        peer.blob(body)
    assert set(download(connect, peer, blobs, *map(descriptor, bodies))) == {*map(digest_of, bodies)}
    assert all(blobs.is_intact(digest_of(body), len(body)) for body in bodies)
    assert os.listdir(blobs.staging) == []


def test_one_failure_ends_the_others(connect, peer, blobs):
    def endless(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(1 << 40))
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(bytes(1 << 16))
        except OSError:
            return

    slow, missing = descriptor(b"slow", 1 << 40), descriptor(b"missing")
    peer.routes[f"/v2/app/blobs/{slow.digest}"] = endless
    began = time.monotonic()
    with pytest.raises(NotFound):
        download(connect, peer, blobs, slow, missing)
    assert time.monotonic() - began < 5
    assert os.listdir(blobs.staging) == []
    assert os.listdir(f"{blobs.root}/blobs/sha256") == []
    with Partial(blobs, missing.digest) as begun:
        assert begun.claim()
        assert begun.size == 0


def test_foreign_urls_are_not_fetched(connect, peer, other, blobs):
    body = b"layer"
    other.routes["/layer"] = (200, {}, body)
    document = manifest(describe(body, urls=[f"{other.url}/layer"]))
    peer.manifest(json.dumps(document).encode(), OCI_MANIFEST)
    [pair] = pair_layers(ask(connect, peer).manifest, (Digest(digest_of(body)),), "app")
    with pytest.raises(NotFound):
        download(connect, peer, blobs, pair.descriptor)
    peer.blob(body)
    assert download(connect, peer, blobs, pair.descriptor) == [digest_of(body)]
    assert other.seen == []
