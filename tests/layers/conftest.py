"""Unpacking beside a canary that must come out of every test as it went in."""

from __future__ import annotations

import os

import pytest
from unpacking import FULL, apply

from daemonless.isolation.userns import load_id_map, start_mapped


@pytest.fixture
def base(tmp_path, canary):
    """A directory with a canary in it, which is checked at the end."""
    base = tmp_path / "base"
    base.mkdir()
    with canary(base):
        yield base
    assert {path.name for path in base.iterdir()} <= {"canary", "root", "attic"}


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
