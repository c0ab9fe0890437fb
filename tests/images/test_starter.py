"""The starter image is the same for the same busybox."""

import io
import tarfile

from daemonless.images.starter import is_static, write_layer


def test_the_layer_is_reproducible_and_holds_a_small_system():
    archives = []
    for _ in range(2):
        buffer = io.BytesIO()
        write_layer(buffer, "/bin/busybox", 1_700_000_000)
        archives.append(buffer.getvalue())
    assert archives[0] == archives[1]
    with tarfile.open(fileobj=io.BytesIO(archives[0])) as archive:
        members = {member.name: member for member in archive}
        assert members["tmp"].mode == 0o1777
        assert members["bin/sh"].linkname == "/bin/busybox"
        assert archive.extractfile("etc/passwd").read().startswith(b"root:x:0:0:")
        assert {member.uid for member in members.values()} == {0}
        assert {member.mtime for member in members.values()} == {1_700_000_000}


def test_static_programs_are_told_from_dynamic_ones():
    assert is_static("/bin/busybox")
    assert not is_static("/bin/sh")
