"""Which layers containers stand on."""

import pytest
from test_container_store import make

from daemonless import jsonio
from daemonless.containers import needs
from daemonless.errors import InvalidData

IMAGE = "sha256:" + "0" * 64  # of the containers that `make` makes
LAYERS = ["1" * 64, "2" * 64, "3" * 128]


def write_spec(container, mounts):
    document = {"process": {}, "linux": {}, "root": {}, "mounts": mounts}
    with open(f"{container.directory}/config.json", "w") as file:
        file.write(jsonio.dumps(document))


def rootfs(*options):
    return {"destination": "/", "type": "overlay", "options": [*options, "userxattr"]}


def test_a_container_of_a_listed_image_is_not_read(paths):
    make(paths, "a" * 64, "one")  # it has no spec at all
    assert needs.users(paths)({IMAGE}) == set()


def test_layers_are_known_by_their_specs_wherever_the_data_was(paths):
    container = make(paths, "a" * 64, "one")
    lowers = [f"lowerdir+=/elsewhere/layers/default/{name}/diff" for name in LAYERS]
    write_spec(
        container, [rootfs(*lowers, f"upperdir={container.directory}/upper"), {"destination": "/proc"}]
    )
    expected = {f"sha256:{LAYERS[0]}", f"sha256:{LAYERS[1]}", f"sha512:{LAYERS[2]}"}
    assert needs.users(paths)(set()) == expected


def test_what_a_damaged_container_needs_is_not_known(paths):
    make(paths, "a" * 64, "one")
    with pytest.raises(InvalidData, match=r"config\.json is missing"):
        needs.users(paths)(set())
    container = make(paths, "b" * 64, "two")
    open(f"{container.directory}/container.json", "w").close()
    with pytest.raises(InvalidData, match=r"container b{12} needs is not known") as caught:
        needs.users(paths)({IMAGE})
    assert "rm --force bbbbbbbbbbbb" in caught.value.hint
