""".dockerignore: every case copies the whole context and shows what is left of it."""

from __future__ import annotations

from corpus.case import STARTER, Case, Files, file, folder

COPY = f"FROM {STARTER}\nCOPY . /c/\n"
TREE: Files = {
    name: name
    for name in (
        "a.log",
        "b.txt",
        "d/a.log",
        "d/b.txt",
        "d/e/a.log",
        "d/e/c.md",
        "x/y/z",
        "node/m",
        "README.md",
    )
}


def case(name: str, ignore: str, **more: object) -> Case:
    return Case(f"ignore-{name}", COPY, {**TREE, ".dockerignore": ignore}, **more)  # type: ignore[arg-type]


CASES = [
    case("nothing", ""),
    case("a-file", "b.txt\nx/y/z\n"),
    case("a-directory", "d\nnode/\n"),
    case("by-star", "*.log\nd/*/*.md\n"),
    case("by-two-stars", "**/*.log\n"),
    case("by-two-stars-in-the-middle", "d/**/c.md\nx/**\n"),
    case("by-two-stars-at-the-end", "d/e/**\n"),
    case("by-question-mark-and-class", "?.txt\nd/[a-c].*\n"),
    case("with-a-leading-slash", "/a.log\n/d/e\n"),
    case("comments-and-blanks", "# a comment\n\n   b.txt  \n #not.a.comment\n\t\nd\n"),
    case("with-exceptions", "*\n!b.txt\n!d/e\n"),
    case("exceptions-below-a-directory", "d\n!d/e/c.md\n"),
    case("the-last-line-wins", "*.md\n!README.md\nREADME*\n!d\nd/b.txt\n"),
    case(
        "everything-but-a-pattern",
        "**\n!**/*.md\n",
        buildah="looks for exceptions in the top directory only",
        tree={
            "c": folder(),
            "c/README.md": file("README.md"),
            "c/d": folder(),
            "c/d/e": folder(),
            "c/d/e/c.md": file("d/e/c.md"),
        },
    ),
    case("paths-are-cleaned", "./b.txt\nd/../x\n././d/e/\n"),
    case("a-single-dot", ".\n"),
    case("the-dockerfile-itself", "Dockerfile\n.dockerignore\n"),
    case("a-byte-order-mark", "\ufeffb.txt\nd\n"),
    case("lines-that-end-in-crlf", "b.txt\r\nd\r\n"),
    case("an-escaped-name", "\\!odd\nd/\\*\n"),
    Case(
        "ignore-files-by-name-copied",
        f"FROM {STARTER}\nCOPY b.txt d/*.txt /c/\nCOPY d /d/\n",
        {**TREE, ".dockerignore": "**/*.log\nd/e\n"},
    ),
    Case(
        "ignore-file-of-the-dockerfile",
        COPY,
        {**TREE, ".dockerignore": "d\n", "Dockerfile.dockerignore": "*.log\n"},
        buildah="no Dockerfile.dockerignore in 1.28",
        tree={
            "c": folder(),
            **{f"c/{name}": folder() for name in ("d", "d/e", "x", "x/y", "node")},
            **{f"c/{name}": file(name) for name in TREE if name != "a.log"},
            "c/Dockerfile": file(COPY),
            "c/.dockerignore": file("d\n"),
            "c/Dockerfile.dockerignore": file("*.log\n"),
        },
    ),
    Case("ignore-file-of-containers", COPY, {**TREE, ".dockerignore": "d\n", ".containerignore": "*.log\n"}),
    Case(
        "ignore-file-given",
        COPY,
        {**TREE, ".dockerignore": "d\n"},
        options=("--ignorefile", "{case}/mine"),
        beside={"mine": "x\nnode\n"},
    ),
    Case(
        "ignored-files-and-add",
        f"FROM {STARTER}\nADD . /c/\nADD d /d\n",
        {**TREE, ".dockerignore": "**/a*\nx\n"},
    ),
    Case(
        "ignored-dockerfile-elsewhere",
        COPY,
        {**TREE, ".dockerignore": "build\n*.log\n"},
        options=("-f", "{case}/context/build/My.Dockerfile"),
        dockerfile_name="build/My.Dockerfile",
    ),
]
