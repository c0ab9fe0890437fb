"""Places of images, as containers/image spells them."""

import pytest

from daemonless.errors import Unsupported, UsageError
from daemonless.images.transports.location import parse_location
from daemonless.oci.reference import has_transport, parse_reference


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("busybox", "docker://docker.io/library/busybox:latest"),
        ("docker://busybox:1", "docker://docker.io/library/busybox:1"),
        ("docker:dind", "docker://docker.io/library/docker:dind"),
        ("localhost:5000/oci:1", "docker://localhost:5000/oci:1"),
        ("oci:dir", "oci:dir"),
        ("oci:/a/b:name/of:1", "oci:/a/b:name/of:1"),
        ("oci:/a:sha256:0123", "oci:/a:sha256:0123"),
        ("oci-archive:a.tar:v1.0", "oci-archive:a.tar:v1.0"),
        ("docker-archive:a.tar", "docker-archive:a.tar"),
        ("docker-archive:a.tar:app", "docker-archive:a.tar:docker.io/library/app:latest"),
        ("docker-archive:a.tar:@3", "docker-archive:a.tar:@3"),
        ("dir:a:b", "dir:a:b"),
    ],
)
def test_what_is_a_place(text, canonical):
    location = parse_location(text)
    assert str(location) == canonical
    assert parse_location(canonical) == location


@pytest.mark.parametrize(
    "text",
    [
        *("oci:", "oci::name", "oci:a:", "oci:a:-b", "oci:a:b//c", "oci:a:b---c", "oci:a:b_", "oci-archive:"),
        *("docker-archive:", "docker-archive:a:", "docker-archive:a:@", "docker-archive:a:@-1"),
        *("docker-archive:a:@1x", "docker-archive:a:B", "docker-archive:a:b@sha256:" + "0" * 64),
        *("dir:", "dir:a\0b", "docker://", "docker://A", "oci:a\0b"),
    ],
)
def test_what_is_none(text):
    with pytest.raises(UsageError):
        parse_location(text)


@pytest.mark.parametrize("text", ["containers-storage:busybox", "docker-daemon:busybox:latest"])
def test_places_of_other_programs(text):
    with pytest.raises(Unsupported, match="does not use") as caught:
        parse_location(text)
    assert "go through a file" in caught.value.hint


def test_a_transport_is_no_name():
    assert has_transport("dir:latest") and has_transport("docker://app")
    assert not has_transport("docker:latest") and not has_transport("app")
    assert not has_transport("oci/app:1") and not has_transport("localhost:5000/dir")
    assert parse_reference("docker:latest").path == "library/docker"
