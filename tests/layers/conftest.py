"""Unpacking beside a canary that must come out of every test as it went in."""

from __future__ import annotations

import os
import stat

import pytest
from unpacking import FULL, apply

from daemonless.isolation.userns import load_id_map, start_mapped


@pytest.fixture
def base(tmp_path):
    """A directory with a canary in it, which is checked at the end."""
    base = tmp_path / "base"
    base.mkdir()
    canary = base / "canary"
    canary.write_bytes(b"canary")
    canary.chmod(0o640)
    before = canary.stat()
    open_before = len(os.listdir("/proc/self/fd"))
    yield base
    after = canary.lstat()
    assert canary.read_bytes() == b"canary"
    assert stat.S_ISREG(after.st_mode)
    for field in ("st_ino", "st_mode", "st_nlink", "st_uid", "st_gid", "st_mtime_ns", "st_ctime_ns"):
        assert getattr(after, field) == getattr(before, field), field
    assert {path.name for path in base.iterdir()} <= {"canary", "root", "attic"}
    assert len(os.listdir("/proc/self/fd")) == open_before


@pytest.fixture
def layer(base):
    """Unpack members as a layer; the result is the directory."""

    def layer(*members, **options):
        apply(base, *members, **options)
        return base / "root"

    return layer


@pytest.fixture
def as_mapped_root():
    """Run a function where it may give files to any id of the map; its result is an exit status."""

    def run(function):
        id_map = FULL if os.geteuid() == 0 else load_id_map(os.geteuid(), os.getegid())
        if id_map.is_single:
            pytest.skip(f"needs subordinate ids: {id_map.reason}")
        if os.geteuid():
            pid = start_mapped(lambda: function(id_map), id_map)
        elif (pid := os.fork()) == 0:
            status = 1
            try:
                status = function(id_map)
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    return run
