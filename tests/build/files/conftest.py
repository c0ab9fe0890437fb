"""A context and a root filesystem side by side, with a canary that must come out as it went in."""

from __future__ import annotations

import os

import pytest
from copies import NOW, work

from daemonless.build.copying import copy_into
from daemonless.build.selection import select
from daemonless.build.trees import Tree


@pytest.fixture
def base(tmp_path, canary):
    """A directory with `context`, `root` and a canary, which is checked at the end."""
    base = tmp_path / "base"
    for name in ("context", "root"):
        (base / name).mkdir(parents=True)
    with canary(base):
        yield base
    assert {path.name for path in base.iterdir()} == {"canary", "context", "root"}


@pytest.fixture
def context(base):
    """The context's directory."""
    return base / "context"


@pytest.fixture
def root(base):
    """The root filesystem's directory."""
    return base / "root"


@pytest.fixture
def tree(context):
    """Make a tree of the context; all descriptors are closed at the end."""
    opened = []

    def tree(ignore=None, **fields):
        fd = os.open(context, os.O_PATH | os.O_DIRECTORY)
        opened.append(fd)
        return Tree(fd=fd, ignore=ignore, **fields)

    yield tree
    for fd in opened:
        os.close(fd)


@pytest.fixture
def copy(root, tree):
    """Copy as this user, who owns all; returns what copy_into does."""

    def copy(*words, ignore=None, **fields):
        what = work(*words, **fields)
        fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
        try:
            selection = select(tree(ignore), what)
            return copy_into(fd, selection, what, now_ns=NOW, single_id=True)
        finally:
            os.close(fd)

    return copy
