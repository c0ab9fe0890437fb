"""What --cache-from and --cache-to say."""

from __future__ import annotations

import pytest

from daemonless.build.cacheplaces import parse_place
from daemonless.errors import DaemonlessError, Unsupported


def place(text, option="--cache-to"):
    return parse_place(text, option, lambda path: f"/cwd/{path}")


def test_places():
    local = place("type=local,dest=cache,mode=max,max-size=2k,compression=zstd")
    assert (local.kind, local.path, local.is_complete, local.max_size) == ("local", "/cwd/cache", True, 2048)
    assert place("src=cache", "--cache-from").path == "/cwd/cache"
    registry = place("type=registry,ref=host.example/app:cache")
    assert [str(each) for each in registry.references] == ["host.example/app:cache"]
    assert not registry.is_complete
    assert place("type=inline").kind == "inline"


def test_a_bare_name_is_a_repository_to_podman_and_an_image_to_docker():
    found = place("host.example:5000/app")
    assert [str(each) for each in found.references] == [
        "host.example:5000/app:buildcache",
        "host.example:5000/app:latest",
    ]
    assert found.is_complete
    assert [str(each) for each in place("host.example/app:1").references] == ["host.example/app:1"]


@pytest.mark.parametrize(
    "text",
    [
        *("type=local", "type=local,dest=-", "type=local,dest=a,src=b", "type=registry", "type=other"),
        *(
            "type=local,dest=a,mode=middle",
            "type=local,dest=a,nonsense=1",
            "type=local,dest=",
            "type=local,x",
        ),
        *("type=local,dest=a,max-size=many", "type=local,dest=a\0b", "NAME IN CAPITALS"),
    ],
)
def test_what_is_no_place(text):
    with pytest.raises(DaemonlessError) as caught:
        place(text)
    assert "\n" not in caught.value.message


def test_services_that_are_not_spoken():
    for kind in ("gha", "s3", "azblob"):
        with pytest.raises(Unsupported, match=f"type={kind} is"):
            place(f"type={kind},scope=x")
