"""The examples of the README and of the pages in docs do what they show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from harness import Cli

ROOT = Path(__file__).resolve().parent.parent


def blocks(file: str) -> list[tuple[str, str]]:
    """Return the commands of all ```console blocks with the output shown below each."""
    text = (ROOT / file).read_text()
    found: list[tuple[str, str]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def pattern(shown: str) -> str:
    """Return what matches the output shown: `…` on a line of its own is any lines, elsewhere any text."""
    lines = []
    for line in shown.splitlines():
        lines.append(
            r"(?:.*\n)+" if line == "…" else r"[^\n]*".join(map(re.escape, line.split("…"))) + r" *\n"
        )
    return "".join(lines)


DOCS = (
    *(
        "build",
        "events",
        "files",
        "health",
        "images",
        "inspecting",
        "lifecycle",
        "logs",
        "registries",
        "system",
    ),
    "volumes",
)
PAGES = ["README.md", *(f"docs/{page}.md" for page in DOCS)]


@pytest.mark.parametrize("file", PAGES)
def test_examples(cli: Cli, file: str) -> None:
    examples = blocks(file)
    assert len(examples) > 5
    for command, shown in examples:
        result = cli.shell(f"{{ {command}\n}} 2>&1", status=None)
        assert re.fullmatch(pattern(shown), result.stdout), f"$ {command}\n{result.stdout}\nexpected\n{shown}"


def test_a_difference_is_noticed() -> None:
    assert re.fullmatch(pattern("a … c\n…\n"), "a b c\nany\nlines\n")
    assert not re.fullmatch(pattern("a … c\n"), "a b d\n")
    assert not re.fullmatch(pattern("a\n"), "a\nb\n")
