"""COPY: sources, destinations, owners, modes, links, and its flags."""

from __future__ import annotations

from corpus.case import STARTER, Case, Files, fifo, file, folder, link

FROM = f"FROM {STARTER}\n"
STAGE = f"FROM {STARTER} AS one\n"
TREE: Files = {
    "top": "top",
    "d/a.txt": "a",
    "d/b.txt": file("b", 0o600),
    "d/run": file("#!/bin/sh\n", 0o755),
    "d/sub": folder(0o700),
    "d/sub/c.md": "c",
    "d/empty": folder(0o711),
    "d/.hidden": "h",
}

CASES = [
    Case("copy-a-file-to-a-name", FROM + "COPY top /there\nCOPY top /new/dirs/there\n", TREE),
    Case("copy-a-file-to-a-directory", FROM + "COPY top /new/\nCOPY top /tmp\nCOPY top /usr/\n", TREE),
    Case("copy-the-content-of-a-directory", FROM + "COPY d /d\nCOPY d/sub/ /e/\n", TREE),
    Case("copy-all", FROM + "COPY . /c/\nWORKDIR /w\nCOPY . .\n", TREE),
    Case("copy-several", FROM + "COPY top d/a.txt d/sub /several/\n", TREE),
    Case("copy-in-json-form", FROM + 'COPY ["a b", "c", "/e f/"]\n', {"a b": "1", "c": "2"}),
    Case(
        "copy-globs",
        FROM + "COPY d/*.txt /a/\nCOPY d/?.txt /b/\nCOPY d/[b-z].* /c/\nCOPY */sub /d/\nCOPY d/* /e/\n",
        TREE,
    ),
    Case(
        "copy-globs-of-hidden-files", FROM + "COPY * /a/\nCOPY .h* /b/\n", {".h1": "1", ".h2": "2", "x": "x"}
    ),
    Case(
        "copy-globs-without-match",
        FROM + "COPY top *.none /a/\n",
        TREE,
        buildah="wants a match",
        tree={"a": folder(), "a/top": file("top")},
    ),
    Case(
        "copy-a-name-with-special-characters",
        FROM + "COPY a[[]1] /one\nCOPY b[*] /two\n",
        {"a[1]": "1", "b*": "2", "bc": "3"},
        buildah="expands what it found once more",
        tree={"one": file("1"), "two": file("2")},
    ),
    Case(
        "copy-from-outside-is-cut-to-the-context",
        FROM + "COPY /top /a\nCOPY ../top /b\nCOPY d/../../top /c\nCOPY ./d/./a.txt /e\n",
        TREE,
    ),
    Case(
        "copy-relative-to-the-workdir",
        FROM + "WORKDIR /w\nCOPY top here\nCOPY top new/\nCOPY top ./\nCOPY top ../up\n",
        TREE,
    ),
    Case(
        "copy-keeps-modes",
        FROM + "COPY . /m/\n",
        {"c": file("c", 0o400), "t": folder(0o1777), "n": folder(0o700), "n/x": file("x", 0o444)},
    ),
    Case(
        "copy-keeps-set-user-and-group",
        FROM + "COPY a b /m/\n",
        {"a": file("a", 0o4755), "b": file("b", 0o2711)},
        buildah="drops both bits",
        tree={"m": folder(), "m/a": file("a", 0o4755), "m/b": file("b", 0o2711)},
    ),
    Case(
        "copy-keeps-links",
        FROM + "COPY d /d\n",
        {
            "d/real": "r",
            "d/rel": link("real"),
            "d/abs": link("/etc/passwd"),
            "d/gone": link("nowhere"),
            "d/dir": folder(),
            "d/up": link("../d/dir"),
        },
    ),
    Case(
        "copy-of-a-link-copies-what-it-names",
        FROM + "COPY alias /a\nCOPY adir /b/\n",
        {"real": "r", "alias": link("real"), "d/x": "x", "adir": link("d")},
    ),
    Case(
        "copy-keeps-hard-links",
        FROM + "COPY d /d\n",
        {
            "d/one": file("x", names=("d/one", "d/two")),
            "d/two": file("x", names=("d/one", "d/two")),
            "d/three": "x",
        },
        buildah="makes files of hard links",
        tree={
            "d": folder(),
            "d/one": file("x", names=("d/one", "d/two")),
            "d/two": file("x", names=("d/one", "d/two")),
            "d/three": file("x"),
        },
    ),
    Case(
        "copy-keeps-extended-attributes", FROM + "COPY . /x/\n", {"f": file("f", xattrs={"user.note": "n"})}
    ),
    Case("copy-of-a-fifo", FROM + "COPY d /d\n", {"d/p": fifo(0o600), "d/f": "f"}),
    Case(
        "copy-odd-names",
        FROM + "COPY d /d\n",
        {
            "d/with space": "1",
            "d/ümläut": "2",
            "d/new\nline": "3",
            "d/-rf": "4",
            "d/" + "l" * 200: "5",
            "d/a\\b": "6",
            "d/'q\"": "7",
        },
    ),
    Case("copy-a-large-file", FROM + "COPY big /big\n", {"big": "0123456789abcdef" * 70000}),
    Case("copy-nothing-of-an-empty-directory", FROM + "COPY e /e\nCOPY e /etc/\n", {"e": folder(0o750)}),
    Case(
        "copy-over-what-is-there",
        FROM + "RUN mkdir -m 700 /d && echo old >/d/a.txt && chmod 600 /d/a.txt && echo kept >/d/kept\n"
        "COPY d /d\n",
        TREE,
    ),
    Case(
        "copy-into-a-link-to-a-directory",
        FROM + "RUN mkdir /real && ln -s real /alias\nCOPY top /alias/\nCOPY d /alias\n",
        TREE,
    ),
    Case(
        "copy-over-a-link-to-a-file",
        FROM + "RUN echo old >/real && ln -s real /alias\nCOPY top /alias\n",
        TREE,
        buildah="puts a file in the place of the link",
        tree={"real": file("top"), "alias": link("real")},
    ),
    Case("copy-owner-by-number", FROM + "COPY --chown=12:34 d /d\nCOPY --chown=56 top /new/top\n", TREE),
    Case(
        "copy-owner-by-name",
        FROM + "COPY --chown=daemon:tty top /a\nCOPY --chown=nobody top /b\nCOPY --chown=0:nogroup top /c\n",
        TREE,
    ),
    Case(
        "copy-owner-of-the-build",
        FROM + "RUN echo me:x:77:78::/:/bin/sh >>/etc/passwd "
        "&& echo me:x:79: >>/etc/group\n"
        "ARG WHO=me\n"
        "COPY --chown=$WHO:me d /d/\n",
        TREE,
    ),
    Case("copy-ignores-user", FROM + "USER 1000\nCOPY top /a\nWORKDIR /w\nCOPY top .\n", TREE),
    Case(
        "copy-mode-in-octal",
        FROM + "COPY --chmod=640 top /a\nCOPY --chmod=0755 d/sub /d\nCOPY --chmod=4711 top /s\n",
        TREE,
    ),
    Case(
        "copy-mode-from-a-variable",
        FROM + "ARG M=604\nCOPY --chmod=$M top /a\n",
        TREE,
        buildah="no variables in --chmod in 1.28",
        tree={"a": file("top", 0o604)},
    ),
    Case(
        "copy-mode-in-letters",
        FROM + "COPY --chmod=u=rwX,go=rX d /d\nCOPY --chmod=g+w,o-r top /a\nCOPY --chmod=a+x top /b\n",
        TREE,
        buildah="no symbolic modes",
        tree={
            "d": folder(),
            "d/a.txt": file("a"),
            "d/b.txt": file("b"),
            "d/run": file("#!/bin/sh\n", 0o755),
            "d/sub": folder(),
            "d/sub/c.md": file("c"),
            "d/empty": folder(),
            "d/.hidden": file("h"),
            "a": file("top", 0o660),
            "b": file("top", 0o755),
        },
    ),
    Case("copy-owner-and-mode", FROM + "COPY --chown=1:1 --chmod=700 d/a.txt top /d/\n", TREE),
    Case(
        "copy-linked",
        FROM + "RUN mkdir -m 700 /d\nCOPY --link top /d/\nCOPY --link --chown=3:4 d /new\n",
        TREE,
        buildah="--link is unknown to 1.28",
        tree={
            "d": folder(),  # as of a layer that knows nothing of the one below
            "d/top": file("top"),
            "new": folder(0o755, (3, 4)),
            "new/a.txt": file("a", 0o644, (3, 4)),
            "new/b.txt": file("b", 0o600, (3, 4)),
            "new/run": file("#!/bin/sh\n", 0o755, (3, 4)),
            "new/sub": folder(0o700, (3, 4)),
            "new/sub/c.md": file("c", 0o644, (3, 4)),
            "new/empty": folder(0o711, (3, 4)),
            "new/.hidden": file("h", 0o644, (3, 4)),
        },
    ),
    Case(
        "copy-with-parents",
        FROM
        + "COPY --parents d/a.txt d/sub/c.md /p/\nCOPY --parents d/./sub /q/\nCOPY --parents **/*.md /r/\n",
        TREE,
        buildah="no --parents before 1.41",
        tree={
            "p": folder(),
            "p/d": folder(),
            "p/d/a.txt": file("a"),
            "p/d/sub": folder(0o700),
            "p/d/sub/c.md": file("c"),
            "q": folder(),
            "q/sub": folder(0o700),
            "q/sub/c.md": file("c"),
            "r": folder(),
            "r/d": folder(),
            "r/d/sub": folder(0o700),
            "r/d/sub/c.md": file("c"),
        },
    ),
    Case(
        "copy-with-exclusions",
        FROM + "COPY --exclude=*.txt --exclude=sub d /a\nCOPY --exclude=**/*.md --exclude=d/run . /b/\n",
        TREE,
        options=("--ignorefile", "{case}/ignore"),
        beside={"ignore": "Dockerfile\n"},
        buildah="no --exclude before 1.38",
        tree={
            "a": folder(),
            "a/run": file("#!/bin/sh\n", 0o755),
            "a/empty": folder(0o711),
            "a/.hidden": file("h"),
            "b": folder(),
            "b/top": file("top"),
            "b/d": folder(),
            "b/d/a.txt": file("a"),
            "b/d/b.txt": file("b", 0o600),
            "b/d/sub": folder(0o700),
            "b/d/empty": folder(0o711),
            "b/d/.hidden": file("h"),
        },
    ),
    # --- from elsewhere ---
    Case(
        "copy-from-a-stage-by-name",
        STAGE
        + "RUN echo x >/x && mkdir -p /d/e && echo y >/d/e/y\n"
        + FROM
        + "COPY --from=one /x /x\nCOPY --from=one d /d\n",
    ),
    Case(
        "copy-from-a-stage-by-number",
        STAGE
        + "RUN echo x >/x\n"
        + FROM
        + "RUN echo two >/x\n"
        + FROM
        + "COPY --from=0 /x /zero\nCOPY --from=1 x /one\n",
    ),
    Case(
        "copy-from-a-stage-keeps-owners",
        STAGE
        + "RUN mkdir -p /d/e && touch /d/f /d/e/g && chown -R 5:6 /d && chmod 2750 /d && chmod 4711 /d/f\n"
        + FROM
        + "COPY --from=one /d /d\nCOPY --from=one /d/f /f\nCOPY --from=one --chown=9 /d/f /g\n",
    ),
    Case(
        "copy-from-a-stage-with-links",
        STAGE
        + "RUN mkdir /d && echo x >/d/a && ln -s a /d/s && ln -s /etc/passwd /d/abs && ln -s d /alias\n"
        + FROM
        + "COPY --from=one /d /d\nCOPY --from=one /alias /e\nCOPY --from=one /d/s /f\n",
    ),
    Case(
        "copy-from-a-stage-ignores-no-file",
        STAGE + "RUN echo x >/x.log\n" + FROM + "COPY --from=one /x.log /a\n",
        {".dockerignore": "*.log\n"},
    ),
    Case(
        "copy-from-an-image",
        FROM + f"COPY --from={STARTER} /etc/passwd /copied\nCOPY --from={STARTER} /etc/gr* /g/\n",
    ),
    Case(
        "copy-from-a-stage-to-scratch",
        STAGE + "RUN mkdir -p /out/bin && cp /bin/busybox /out/bin/ && echo x >/out/x\n"
        "FROM scratch\n"
        "COPY --from=one /out /\n"
        'CMD ["/bin/busybox"]\n',
    ),
    Case(
        "copy-from-a-named-context",
        FROM + "COPY --from=other f /a\nCOPY --from=other d/ /d/\n",
        {"f": "of the context"},
        options=("--build-context", "other={case}/other"),
        beside={"other/f": "other", "other/d/x": file("x", 0o600)},
    ),
]
