"""ADD: archives, addresses, repositories."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import subprocess

from corpus.case import STARTER, Case, Entry, archive, fifo, file, folder, link

FROM = f"FROM {STARTER}\n"
MEMBERS = {
    "x": folder(0o750, (7, 8)),
    "x/f": file("f", 0o640, (7, 8)),
    "x/s": link("f", (7, 8)),
    "x/one": file("1", names=("x/one", "x/two")),
    "x/two": file("1", names=("x/one", "x/two")),
    "x/set": file("s", 0o4755, (0, 5)),
}
TAR = archive(MEMBERS)
PLAIN = "served over http\n"  # what {http}/plain.txt is
PLAIN_DIGEST = hashlib.sha256(PLAIN.encode()).hexdigest()


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


SERVED = {"plain.txt": PLAIN.encode(), "archive.tar.gz": gzip.compress(TAR, mtime=0), "archive.tar": TAR}


def unpacked(top: str) -> dict[str, Entry]:
    """Return what is there once the archive was unpacked in a new directory."""
    names = {f"x/{name}": f"{top}/x/{name}" for name in ("one", "two")}
    found = {top: folder()}
    for name, entry in MEMBERS.items():
        found[f"{top}/{name}"] = entry._replace(names=tuple(names[each] for each in entry.names))
    return found


CASES = [
    Case(
        "add-a-file",
        FROM + "ADD f /f\nADD d/ /d/\nADD --chown=3:4 f /g\n",
        {"f": "f", "d/a": "a", "d/s": link("a")},
    ),
    Case("add-an-archive", FROM + "ADD x.tar /a/\nADD x.tar /b\n", {"x.tar": TAR}),
    Case("add-a-gzip-archive", FROM + "ADD x.tar.gz /a/\n", {"x.tar.gz": gzip.compress(TAR)}),
    Case("add-a-bzip2-archive", FROM + "ADD x.tar.bz2 /a/\n", {"x.tar.bz2": bz2.compress(TAR)}),
    Case("add-an-xz-archive", FROM + "ADD x.tar.xz /a/\n", {"x.tar.xz": lzma.compress(TAR)}),
    Case("add-a-zstd-archive", FROM + "ADD x.tar.zst /a/\n", {"x.tar.zst": zstd(TAR)}),
    Case(
        "add-decides-by-content",
        FROM + "ADD hidden.txt /a/\nADD not.tar.gz /b/\n",
        {"hidden.txt": gzip.compress(TAR), "not.tar.gz": "text"},
    ),
    Case("add-an-empty-archive", FROM + "ADD x.tar /a/\n", {"x.tar": archive({})}),
    Case(
        "add-archives-by-glob",
        FROM + "ADD *.tar f /a/\n",
        {"1.tar": archive({"one": file("1")}), "2.tar": archive({"two": file("2")}), "f": "f"},
    ),
    Case(
        "add-an-archive-over-what-is-there",
        FROM + "RUN mkdir -p /a/x/f && echo old >/a/x/kept\nADD x.tar /a/\n",
        {"x.tar": archive({"x": folder(0o700), "x/new": file("n")})},
    ),
    Case(
        "add-an-archive-with-odd-members",
        FROM + "ADD x.tar /a/\n",
        {
            "x.tar": archive(
                {"./p": fifo(0o600), "deep/er/f": file("no parents"), "ü": file("u"), "l" * 150: file("long")}
            )
        },
    ),
    Case(
        "add-an-archive-with-attributes",
        FROM + "ADD x.tar /a/\n",
        {"x.tar": archive({"f": file("f", xattrs={"user.note": "n"})})},
    ),
    Case(
        "add-an-archive-with-an-owner",
        FROM + "ADD --chown=9:9 x.tar /a/\n",
        {"x.tar": TAR},
        buildah="leaves the owners of the archive",
        tree={name: entry._replace(owner=(9, 9)) for name, entry in unpacked("a").items()},
    ),
    Case("copy-does-not-unpack", FROM + "COPY x.tar.gz /a/\n", {"x.tar.gz": gzip.compress(TAR, mtime=0)}),
    Case(
        "add-does-not-unpack-if-told",
        FROM + "ADD --unpack=false x.tar /a/\nADD --unpack=true x.tar /b/\n",
        {"x.tar": TAR},
        buildah="no --unpack",
        tree={"a": folder(), "a/x.tar": file(f"sha256:{hashlib.sha256(TAR).hexdigest()}"), **unpacked("b")},
    ),
    Case("add-an-address", FROM + "ADD {http}/plain.txt /a/\nADD {http}/plain.txt /b\n"),
    Case("add-an-address-with-owner-and-mode", FROM + "ADD --chown=5:6 --chmod=644 {http}/plain.txt /a\n"),
    Case("add-an-address-and-files", FROM + "ADD {http}/plain.txt f /a/\n", {"f": "f"}),
    Case("add-an-address-does-not-unpack", FROM + "ADD {http}/archive.tar.gz /a/\n"),
    Case(
        "add-an-address-and-unpack",
        FROM + "ADD --unpack=true {http}/archive.tar.gz /a/\n",
        buildah="no --unpack",
        tree=unpacked("a"),
    ),
    Case("add-an-address-from-a-variable", FROM + "ARG H={http} F=plain.txt\nADD $H/$F /a/\n"),
    Case(
        "add-an-address-with-a-checksum",
        FROM + f"ADD --checksum=sha256:{PLAIN_DIGEST} {{http}}/plain.txt /a\n",
        buildah="no --checksum before 1.30",
        tree={"a": file(PLAIN, 0o600)},
    ),
    Case(
        "add-an-address-with-a-token",
        FROM + "ADD {http}/private/plain.txt /a\n",
        options=("--secret", "id=HTTP_AUTH_TOKEN_127.0.0.1,src={case}/token"),
        beside={"token": "let-me-in"},
        buildah="no HTTP_AUTH_TOKEN",
        tree={"a": file(PLAIN, 0o600)},
    ),
    Case(
        "add-a-repository",
        FROM + "ADD {http}/git/repo.git /a\n",
        buildah="no git in ADD before 1.29",
        tree={
            "a": folder(),
            "a/f": file("main\n"),
            "a/sub": folder(),
            "a/sub/run": file("#!/bin/sh\n", 0o755),
        },
    ),
    Case(
        "add-a-repository-at-a-branch",
        FROM + "ADD --chown=4:4 {http}/git/repo.git#side /a/\n",
        buildah="no git in ADD before 1.29",
        tree={"a": folder(0o755, (4, 4)), "a/g": file("side\n", 0o644, (4, 4))},
    ),
    Case(
        "add-a-directory-of-a-repository",
        FROM + "ADD {http}/git/repo.git#v1:sub /a\n",
        buildah="no git in ADD before 1.29",
        tree={"a": folder(), "a/run": file("#!/bin/sh\n", 0o755)},
    ),
    Case(
        "add-a-repository-at-a-commit",
        FROM + "ADD --checksum={commit} {http}/git/repo.git /a\n",
        buildah="no git in ADD before 1.29",
        tree={
            "a": folder(),
            "a/f": file("main\n"),
            "a/sub": folder(),
            "a/sub/run": file("#!/bin/sh\n", 0o755),
        },
    ),
    Case(
        "add-a-repository-with-its-history",
        FROM
        + "ADD --keep-git-dir=true {http}/git/repo.git /src\nRUN test -f /src/.git/HEAD && rm -r /src/.git\n",
        buildah="no git in ADD before 1.29",
        tree={
            "src": folder(),
            "src/f": file("main\n"),
            "src/sub": folder(),
            "src/sub/run": file("#!/bin/sh\n", 0o755),
        },
    ),
]
