"""What is garbage: needed is what images, containers and leases name."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from test_store import blobs_of, layers_of, put

from daemonless import jsonio
from daemonless.errors import DaemonlessError, InvalidData
from daemonless.images import garbage, leases
from daemonless.images.leases import Lease
from daemonless.layers.store import LayerStore
from daemonless.oci.digest import digest_of


def collected(store, users=garbage.nobody):
    return {piece.digest for piece in garbage.collect(store, users)}


def make_layer(store, digest, key="default"):
    """Make what counts as an unpacked layer."""
    directory = f"{store.data}/layers/{key}/{digest.partition(':')[2]}"
    os.makedirs(f"{directory}/diff")
    with open(f"{directory}/layer.json", "w") as file:
        file.write(jsonio.dumps({"schema": 1, "size": 7}))
    assert LayerStore(store.data, key).has(digest)


def test_what_an_image_needs_stays_for_every_map(store):
    image = put(store, "app")
    make_layer(store, image.diff_ids[0], "keep-id-1000-1000")
    stray = store.blobs.add(b"stray")
    make_layer(store, stray, "keep-id-1000-1000")
    make_layer(store, stray, "single")
    removed = garbage.collect(store, garbage.nobody)
    assert sorted((piece.digest, piece.is_layer, piece.size) for piece in removed) == [
        (stray, False, 5),
        (stray, True, 7),
        (stray, True, 7),
    ]
    assert blobs_of(store) == {digest[7:] for digest in (image.id, image.digest, *image.diff_ids)}
    assert LayerStore(store.data, "keep-id-1000-1000").has(image.diff_ids[0])
    assert collected(store) == set()


def test_what_is_leased_stays_until_the_lease_ends(store):
    layer, blob = digest_of(b"layer"), digest_of(b"blob")
    with Lease(store.data) as lease:
        lease.keep(layer, blob)
        store.blobs.add(b"blob")
        make_layer(store, layer)
        with Lease(store.data) as another:  # a second holder does not end the first one's
            another.keep(blob)
        assert collected(store) == set()
        garbage.discard_unneeded(store, {layer, blob}, garbage.nobody)
        assert blobs_of(store) == {blob[7:]}
    assert os.listdir(f"{store.data}/tmp") == []
    assert collected(store) == {layer, blob}


def test_the_lease_of_a_process_that_died_does_not_count(store):
    program = (
        "import os, sys; from daemonless.images.leases import Lease\n"
        "lease = Lease(sys.argv[1]).__enter__(); lease.keep(sys.argv[2])\n"
        "print(flush=True); input()"
    )
    digest = store.blobs.add(b"blob")
    command = [sys.executable, "-c", program, store.data, digest]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline()
        assert leases.leased(store.data) == {digest}
        holder.kill()
    assert collected(store) == {digest}
    assert os.listdir(f"{store.data}/tmp") == []


def test_what_containers_stand_on_stays(store):
    image = put(store, "gone")
    [diff_id] = image.diff_ids
    asked = []

    def users(needed):
        asked.append(set(needed))
        return {diff_id}

    garbage.remove(store, image, users)
    assert layers_of(store) == {diff_id[7:]}
    assert image.id not in asked[-1]
    assert collected(store, users) == set()
    assert collected(store) == {diff_id}


def test_nothing_is_removed_while_it_is_unknown_what_is_needed(store):
    damaged, stray = put(store, "damaged"), store.blobs.add(b"stray")
    whole = store.blobs.read(damaged.id)
    os.unlink(store.blobs.path(damaged.id))
    with pytest.raises(InvalidData, match=r"image docker\.io/library/damaged:latest is damaged"):
        garbage.collect(store, garbage.nobody)
    assert store.blobs.has(stray)
    store.blobs.add(whole)

    def unknown(needed):
        raise InvalidData("a container is damaged")

    with pytest.raises(InvalidData, match="a container is damaged"):
        garbage.collect(store, unknown)
    garbage.remove(store, damaged, unknown)
    assert store.blobs.has(stray) and store.blobs.has(damaged.digest)


def test_an_image_that_has_come_into_use_stays_listed(store):
    image = put(store, "used")

    def refuse():
        raise DaemonlessError("in use")

    with pytest.raises(DaemonlessError, match="in use"):
        garbage.remove(store, image, garbage.nobody, refuse)
    assert store.resolve("used") == image
    assert collected(store) == set()


def test_half_made_files_of_the_dead_are_removed_and_strange_ones_are_not(store):
    put(store, "app")
    for name in ("tmp/blob.1.dead", "tmp/lease.1.dead", "images/.index.json.1.dead"):
        open(f"{store.data}/{name}", "w").close()
    os.mkdir(f"{store.data}/tmp/layer.dead")
    for name in ("tmp/other", "images/blobs/sha256/other", "layers/default/other"):
        open(f"{store.data}/{name}", "w").close()
    with store.blobs.stage() as living:
        assert collected(store) == set()
        assert sorted(os.listdir(f"{store.data}/tmp")) == [os.path.basename(living.path), "other"]
    assert sorted(os.listdir(store.blobs.root)) == ["blobs", "index.json", "oci-layout"]
    assert "other" in blobs_of(store) and "other" in layers_of(store)
