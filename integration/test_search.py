"""search: docker's search where there is one, otherwise the catalog; tags of a repository."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import Registry
from harness import Cli
from layouts import busybox_layer, make_layout

RESULTS = [
    {
        "name": "team/tool",
        "description": "a tool\nfor all " + "x" * 60,
        "star_count": 7,
        "is_official": False,
        "is_automated": True,
    },
    {"name": "tool", "description": "\x1b[31mthe tool", "star_count": 100, "is_official": True},
    {"name": 5},
    "nonsense",
]


@pytest.fixture
def searched() -> Iterator[tuple[str, list[str]]]:
    """A registry with a search: its address, and the paths it was asked for."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            data = json.dumps({"num_results": 4, "results": RESULTS}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


def test_a_registry_with_a_search(cli: Cli, searched: tuple[str, list[str]]) -> None:
    address, seen = searched
    lines = cli("search", "--limit", "3", f"{address}/to ol").lines
    assert seen[-1] == "/v1/search?q=to+ol&n=3"
    assert lines[0].split() == ["NAME", "DESCRIPTION"]
    assert lines[1].startswith(f"{address}/team/tool  a tool for all xxx") and lines[1].endswith("...")
    assert "\x1b" not in lines[2] and len(lines) == 3
    names = ("search", "--format", "{{.Name}} {{.Stars}} {{.Official}}{{.Automated}}", f"{address}/tool")
    assert cli(*names).lines == [f"{address}/team/tool 7 [OK]", f"{address}/tool 100 [OK]"]
    assert cli(*names, "--filter=stars=8").lines == [f"{address}/tool 100 [OK]"]
    assert cli(*names, "-f", "is-official=false").lines == [f"{address}/team/tool 7 [OK]"]
    assert cli(*names, "-f", "is-automated", "-f", "is-official").lines == []
    found = json.loads(cli("search", "--no-trunc", "--format=json", f"{address}/tool").stdout)
    assert found[0]["Description"] == "a tool for all " + "x" * 60 and found[0]["Index"] == address


def test_a_registry_without_one_is_looked_through(cli: Cli, registry: Registry, scratch) -> None:
    layout = make_layout(scratch / "layout-search", [busybox_layer()])
    for tag in ("1", "2"):
        registry.push(layout, f"found/me:{tag}")
    name = f"{registry.address}/found/me"
    assert [line.strip() for line in cli("search", f"{registry.address}/und/m").lines[1:]] == [name]
    assert cli("search", f"{registry.address}/nothing-like-it").stdout == ""
    tags = cli("image", "search", "--list-tags", name).lines
    assert tags[0].split() == ["NAME", "TAG"]
    assert sorted(line.split() for line in tags[1:]) == [[name, "1"], [name, "2"]]  # in the registry's order
    assert len(cli("search", "--list-tags", "--limit=1", "--format={{.Tag}}", name).lines) == 1
    missing = cli("search", "--list-tags", f"{registry.address}/none", status=125)
    assert "does not exist" in missing.stderr


@pytest.mark.parametrize(
    "words",
    [("--limit=0",), ("--filter=stars=many",), ("--filter=x=1",), ("--list-tags", "--filter=stars=1")],
)
def test_mistakes(cli: Cli, words: tuple[str, ...]) -> None:
    assert cli("search", *words, "127.0.0.1:1/x", status=125).stderr.startswith("Error: ")
