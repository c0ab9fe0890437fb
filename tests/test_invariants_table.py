"""Every invariant of docs/state.md names tests, and these exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROWS = dict(re.findall(r"^\| (S-\d+) \|.*\| ([^|]*) \|$", (ROOT / "docs/state.md").read_text(), re.MULTILINE))


def test_all_invariants_are_there() -> None:
    assert list(ROWS) == [f"S-{number}" for number in range(1, 21)]


@pytest.mark.parametrize("invariant", ROWS)
def test_its_tests_exist(invariant: str) -> None:
    named = re.findall(r"`([^`]+)::(\w+)`", ROWS[invariant])
    assert named
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text())
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in defined, f"{path}::{name}"
