"""Builds that fail: one error that says where and why, its exit status, and nothing half-built left."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import STARTER, TABLES
from corpus.case import Entry, Files, file, folder, link, write_files
from corpus.server import Server
from harness import Cli

FROM = f"FROM {STARTER}\n"
FILES: Files = {"src/a": "a", "README.md": "r"}


@dataclass(frozen=True)
class Wrong:
    """A build that fails: at which line of the Dockerfile (0: none), and words of the message or the hint."""

    name: str
    dockerfile: str
    line: int
    says: tuple[str, ...]
    options: tuple[str, ...] = ()
    status: int = 125
    files: Files = field(default_factory=lambda: FILES)

    def __str__(self) -> str:
        return self.name


CASES = [
    Wrong("unknown-instruction", FROM + "\nRUNN true\n", 3, ("RUNN", "RUN")),
    Wrong("unknown-first-instruction", "FORM scratch\n", 1, ("FORM", "FROM")),
    Wrong("no-instruction", "# nothing\n\n", 0, ("Dockerfile", "FROM")),
    Wrong("nothing-at-all", "", 0, ("Dockerfile", "FROM")),
    Wrong("instruction-before-from", "RUN true\n" + FROM, 1, ("RUN", "FROM")),
    Wrong("only-an-argument", "ARG A=1\n", 0, ("FROM",)),
    Wrong("unknown-flag", FROM + "COPY --chwon=1 src /\n", 2, ("--chwon", "--chown")),
    Wrong("unknown-mount-type", FROM + "RUN --mount=type=bnid,target=/x true\n", 2, ("bnid", "bind")),
    Wrong("unknown-mount-option", FROM + "RUN --mount=type=bind,tarmet=/x true\n", 2, ("tarmet", "target")),
    Wrong(
        "unknown-target",
        FROM.strip() + " AS build\nRUN false\n",
        0,
        ("biuld", "build"),
        ("--target", "biuld"),
    ),
    Wrong(
        "stages-from-each-other",
        "FROM b AS a\nFROM a AS b\n",
        1,
        ("the stage b comes later",),
        ("--pull=never",),
    ),
    Wrong(
        "copy-from-itself",
        FROM.strip() + " AS a\nRUN true\nCOPY --from=a /etc /e\n",
        3,
        ("stage a", "itself"),
    ),
    Wrong(
        "copy-from-a-later-number", FROM + "COPY --from=1 /etc /e\n" + FROM, 2, ("later",), ("--target=0",)
    ),
    Wrong(
        "copy-from-a-later-stage",
        FROM.strip() + " AS a\nCOPY --from=b /etc /e\n" + FROM.strip() + " AS b\nCOPY --from=a /etc /e\n",
        2,
        ("stage b", "later"),
    ),
    Wrong(
        "copy-from-no-stage",
        FROM.strip() + " AS build\n" + FROM + "COPY --from=biuld /etc /e\n",
        3,
        ("biuld", "build"),
        ("--pull=never",),
    ),
    Wrong("from-no-image", f"{FROM}FROM localhost/no-such\n", 2, ("localhost/no-such",), ("--pull=never",)),
    Wrong("from-no-name", "ARG A\nFROM $A\n", 2, ("$A", "empty")),
    Wrong("from-a-bad-name", "FROM UPPER/case\n", 1, ("UPPER/case",)),
    Wrong("missing-file", FROM + "COPY scr/a /a\n", 2, ("scr", "src")),
    Wrong("missing-file-of-several", FROM + "COPY README.md REAMDE.md /d/\n", 2, ("REAMDE.md", "README.md")),
    Wrong(
        "ignored-file",
        FROM + "COPY src/a /a\n",
        2,
        ("src/a", ".dockerignore"),
        files={**FILES, ".dockerignore": "src\n"},
    ),
    Wrong(
        "missing-file-of-a-stage",
        FROM + "RUN true\n" + FROM + "COPY --from=0 /etc/pass /p\n",
        4,
        ("/etc/pass",),
    ),
    Wrong("several-files-to-one-name", FROM + "COPY README.md src/a /x\n", 2, ("/x",)),
    Wrong("directory-over-a-file", FROM + "COPY src /etc/passwd\n", 2, ("/etc/passwd",)),
    Wrong(
        "link-out-of-the-context",
        FROM + "COPY out /o\n",
        2,
        ("out", "link to ../../outside"),
        files={"out": link("../../outside")},
    ),
    Wrong(
        "link-to-the-host",
        FROM + "COPY out/hostname /o\n",
        2,
        ("out/hostname", "link to /etc"),
        files={"out": link("/etc")},
    ),
    Wrong("owner-without-a-name", FROM + "COPY --chown=nobodys src /s\n", 2, ("nobodys",)),
    Wrong("owner-beyond-the-range", FROM + "COPY --chown=99999999 src /s\n", 2, ("99999999", "/etc/subuid")),
    Wrong(
        "working-directory-of-nobody", FROM + "USER 99999999\nWORKDIR /w\n", 3, ("99999999", "/etc/subuid")
    ),
    Wrong("bad-mode", FROM + "COPY --chmod=rw src /s\n", 2, ("rw",)),
    Wrong("command-fails", FROM + "RUN echo before; echo why >&2; exit 42\n", 2, ("42",), status=42),
    Wrong("command-is-killed", FROM + "RUN sh -c 'kill -9 $$'; exit $?\n", 2, ("137",), status=137),
    Wrong("command-is-not-there", FROM + 'RUN ["/no/such"]\n', 2, ("/no/such",), status=127),
    Wrong("command-in-a-later-stage-fails", FROM + "RUN true\n" + FROM + "RUN exit 7\n", 4, ("7",), status=7),
    Wrong("unknown-user", FROM + "USER nobodys\nRUN true\n", 3, ("nobodys",)),
    Wrong("secret-missing", FROM + "RUN --mount=type=secret,id=k,required=true true\n", 2, ("k", "--secret")),
    Wrong("secret-without-a-file", FROM, 0, ("/no/such",), ("--secret", "id=k,src=/no/such")),
    Wrong("ssh-missing", FROM + "RUN --mount=type=ssh,required=true true\n", 2, ("--ssh",)),
    Wrong(
        "checksum-differs",
        FROM + f"ADD --checksum=sha256:{'0' * 64} {{http}}/plain.txt /p\n",
        2,
        ("checksum",),
    ),
    Wrong("nothing-at-an-address", FROM + "ADD {http}/none /p\n", 2, ("there is no such file",)),
    Wrong("no-token-for-an-address", FROM + "ADD {http}/private/plain.txt /p\n", 2, ("401",)),
    Wrong("no-such-branch", FROM + "ADD {http}/git/repo.git#none /p\n", 2, ("none",)),
    Wrong("too-many-layers", FROM + "".join(f"WORKDIR /d{n}\n" for n in range(127)), 128, ("127 layers",)),
    Wrong("required-variable", FROM + 'ENV A="${B:?must be given}"\n', 2, ("B", "must be given")),
    Wrong("unknown-substitution", FROM + "ENV A=${B=c}\n", 2, ("${B=c}",)),
    Wrong("quote-without-end", FROM + 'ENV A="b\n', 2, ("quote",)),
    Wrong("heredoc-without-end", FROM + "RUN <<EOF\ntrue\n", 2, ("EOF",)),
    Wrong("env-without-value", FROM + "ENV A\n", 2, ("ENV",)),
    Wrong("shell-in-shell-form", FROM + "SHELL /bin/sh\n", 2, ("SHELL", "JSON")),
    Wrong("bad-port", FROM + "EXPOSE 70000\n", 2, ("70000",)),
    Wrong("bad-signal", FROM + "STOPSIGNAL NONESUCH\n", 2, ("NONESUCH",)),
    Wrong("bad-healthcheck", FROM + "HEALTHCHECK --interval=soon CMD x\n", 2, ("soon",)),
    Wrong("onbuild-of-onbuild", FROM + "ONBUILD ONBUILD RUN x\n", 2, ("ONBUILD",)),
    Wrong("nul-in-a-line", FROM + "ENV A=a\0b\n", 2, ("NUL",)),
    Wrong("nul-in-an-array", FROM + 'RUN ["true", "a\\u0000b"]\n', 2, ("NUL",)),
    Wrong(
        "directory-below-a-file", FROM + "WORKDIR /etc/passwd/x\n", 2, ("/etc/passwd/x", "Not a directory")
    ),
    Wrong("directory-with-a-long-name", FROM + f"WORKDIR /{'a' * 300}\n", 2, ("too long",)),
    Wrong(
        "mount-with-a-long-name",
        FROM + f"RUN --mount=type=tmpfs,target=/{'a' * 300} true\n",
        2,
        ("too long",),
    ),
    Wrong("escape-that-is-none", f"# escape=x\n{FROM}", 1, ("escape",)),
    Wrong("bad-tag", FROM, 0, ("Not Valid",), ("--tag", "Not Valid")),
    Wrong("bad-jobs", FROM + "RUN true\n", 0, ("--jobs",), ("--jobs", "-1")),
    Wrong("swap-without-memory", FROM + "RUN true\n", 0, ("--memory",), ("--memory-swap", "1g")),
    Wrong(
        "swap-less-than-memory",
        FROM + "RUN true\n",
        0,
        ("--memory-swap",),
        ("--memory", "2g", "--memory-swap", "1g"),
    ),
    Wrong("bad-cache-age", FROM + "RUN true\n", 0, ("--cache-ttl", "soon"), ("--cache-ttl", "soon")),
    Wrong(
        "bad-hostname",
        FROM + "RUN true\n",
        0,
        ("BUILDKIT_SANDBOX_HOSTNAME",),
        ("--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=a b"),
    ),
    Wrong("bad-build-argument", FROM, 0, ("--build-arg",), ("--build-arg", "=x")),
]


class Place:
    """The command, the server, and what there was before the builds."""

    def __init__(self, cli: Cli, scratch: Path) -> None:
        self.cli = cli
        self.scratch = scratch
        (scratch / "served").mkdir(parents=True)
        self.server = Server(scratch / "served")

    def images(self) -> list[str]:
        return sorted(
            self.cli("images", "--all", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}").lines
        )


@pytest.fixture(scope="module")
def place(session_cli: Cli, scratch: Path) -> Iterator[Place]:
    place = Place(session_cli, scratch / "wrong")
    yield place
    place.server.close()


def fails(place: Place, directory: Path, *args: str, status: int = 125) -> str:
    """Build what fails; make sure that nothing is left, and return what was said."""
    before = place.images()
    result = place.cli("build", "--tag=localhost/half-built", *args, str(directory), status=status)
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, str(result)
    assert result.stdout == "", str(result)
    assert place.images() == before, "an image is left"
    assert os.listdir(place.cli.root / "tmp") == []
    return result.stderr


@pytest.mark.parametrize("case", CASES, ids=str)
def test_wrong(place: Place, cli: Cli, case: Wrong) -> None:
    directory = place.scratch / case.name
    write_files(
        directory, {**case.files, "Dockerfile": case.dockerfile.replace("{http}", place.server.address)}
    )
    said = fails(place, directory, *case.options, status=case.status)
    (error,) = re.findall("^Error: .*", said, re.MULTILINE)
    TABLES.setdefault("builds that fail", []).append(
        f"{case.name:<32}{error.replace(str(directory), 'CONTEXT')}"
    )
    if case.line:
        assert f"Dockerfile:{case.line}: " in error, said
        number = re.findall(r"^ *(\d+) \| >>> ", said, re.MULTILINE)
        assert str(case.line) in number, said
    told = f"{error}\n{said.partition(error)[2]}"
    for words in case.says:
        assert words in told, said


def test_the_last_lines_of_a_command_that_fails(place: Place, cli: Cli, tmp_path: Path) -> None:
    write_files(tmp_path, {"Dockerfile": FROM + "RUN seq 100; echo reason >&2; exit 3\n"})
    said = fails(place, tmp_path, "--quiet", status=3)
    assert "reason" in said


CONTEXTS: Mapping[str, tuple[Mapping[str, Entry], tuple[str, ...]]] = {
    "no-dockerfile": ({"dockerfile.txt": file("x")}, ("Dockerfile", "--file")),
    "no-context": ({}, ("nowhere",)),
    "context-is-a-file": ({"nowhere": file("x")}, ("nowhere", "directory")),
    "context-is-not-readable": ({"nowhere": folder(0)}, ("nowhere", "ermission")),
    "dockerfile-is-not-readable": ({"Dockerfile": file("FROM scratch\n", 0)}, ("Dockerfile", "ermission")),
    "dockerfile-is-a-directory": ({"Dockerfile": folder()}, ("Dockerfile", "regular file")),
    "dockerfile-is-no-text": ({"Dockerfile": file("\0\1\2" * 99)}, ("Dockerfile",)),
}


@pytest.mark.parametrize("name", CONTEXTS)
def test_contexts_that_are_none(place: Place, cli: Cli, tmp_path: Path, name: str) -> None:
    files, words = CONTEXTS[name]
    write_files(tmp_path, files)
    where = tmp_path / "nowhere" if any("nowhere" in word for word in words) else tmp_path
    said = fails(place, where)
    for word in words:
        assert word in said, said


def test_what_was_tagged_before_stays(place: Place, cli: Cli, tmp_path: Path) -> None:
    write_files(tmp_path, {"Dockerfile": FROM + "RUN echo 1 >/a\n"})
    first = cli("build", "--quiet", "--tag=localhost/kept", str(tmp_path)).stdout.strip()
    write_files(tmp_path, {"Dockerfile": FROM + "RUN echo 1 >/a\nRUN exit 5\n"})
    cli("build", "--tag=localhost/kept", str(tmp_path), status=5)
    assert cli.inspect("localhost/kept", "{{.Id}}").removeprefix("sha256:") == first.removeprefix("sha256:")
    cli("rmi", "localhost/kept")


def test_steps_before_the_failure_are_a_cache(place: Place, cli: Cli, tmp_path: Path) -> None:
    mark = hashlib.sha256(os.fsencode(tmp_path)).hexdigest()
    steps = FROM + f"RUN echo {mark} >/a; date +%s%N >/b\n"
    write_files(tmp_path, {"Dockerfile": steps + "RUN exit 5\n"})
    fails(place, tmp_path, status=5)
    write_files(tmp_path, {"Dockerfile": steps})
    built = cli("build", str(tmp_path))
    assert "CACHED" in built.stderr, str(built)
    cli("rmi", built.stdout.strip())
