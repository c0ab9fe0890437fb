"""Options of `build`, and contexts that are no directory."""

from __future__ import annotations

from corpus.case import STARTER, Case, file

FROM = f"FROM {STARTER}\n"
COPY = FROM + "COPY f /f\nRUN cp /f /g\n"
FILES = {"f": "f"}

CASES = [
    Case(
        "option-file", COPY, FILES, options=("-f", "{case}/context/other/name"), dockerfile_name="other/name"
    ),
    Case(
        "option-file-outside",
        FROM + "COPY f /f\n",
        FILES,
        options=("-f", "{case}/elsewhere"),
        beside={"elsewhere": FROM + "COPY f /of-elsewhere\n"},
    ),
    Case("option-file-from-standard-input", COPY, FILES, options=("-f", "-"), standard_input="Dockerfile"),
    Case("a-containerfile", COPY, FILES, dockerfile_name="Containerfile"),
    Case(
        "a-containerfile-comes-first",
        COPY,
        {**FILES, "Dockerfile": FROM + "RUN false\n"},
        dockerfile_name="Containerfile",
    ),
    Case(
        "context-from-standard-input",
        COPY,
        FILES,
        standard_input="context",
        context="-",
        buildah="takes - for a Dockerfile only",
        tree={"f": file("f"), "g": file("f")},
    ),
    Case(
        "dockerfile-alone-from-standard-input",
        FROM + "RUN echo x >/a\n",
        standard_input="Dockerfile",
        context="-",
    ),
    Case(
        "context-from-an-archive-served",
        "",
        context="{http}/context.tar.gz",
        tree={"f": file("served\n"), "g": file("g", 0o600)},
        buildah="needs the archive's own directory",
    ),
    Case(
        "context-from-a-repository",
        "",
        context="{http}/git/repo.git#with-dockerfile",
        tree={"a": file("main\n")},
        buildah="wants https or git",
    ),
    Case(
        "context-from-a-directory-of-a-repository",
        "",
        context="{http}/git/repo.git#with-dockerfile:nested",
        tree={"n": file("nested\n")},
        buildah="wants https or git",
    ),
    Case(
        "option-label",
        FROM + "LABEL a=file b=file\n",
        options=("--label", "a=option", "--label", "c=d e", "--label", "empty"),
    ),
    Case("option-no-cache", COPY, FILES, options=("--no-cache",)),
    Case(
        "option-squash", FROM + "RUN echo x >/a\nRUN rm /a /etc/group && echo y >/b\n", options=("--squash",)
    ),
    Case(
        "option-add-host",
        FROM + "RUN grep 10.1.2.3 /etc/hosts | tr '\\t' ' ' >/a\n",
        options=("--add-host", "there:10.1.2.3"),
    ),
    Case("option-platform", COPY, FILES, options=("--platform", "linux/amd64")),
    Case(
        "option-shm-size",
        FROM + "RUN df -k /dev/shm | tail -n 1 | awk '{print $2}' >/a\n",
        options=("--shm-size", "3m"),
        buildah="chroot isolation has the host's",
        tree={"a": file("3072\n")},
    ),
    Case(
        "option-ulimit", FROM + "RUN ulimit -n >/a; ulimit -Hn >>/a\n", options=("--ulimit", "nofile=123:456")
    ),
    Case(
        "option-cap-drop",
        FROM + "RUN touch /a && chown 1 /a 2>/dev/null || echo not allowed >/b\n",
        options=("--cap-drop", "CHOWN"),
    ),
    Case("option-timestamp", COPY, FILES, options=("--timestamp", "1700000000")),
    Case(
        "option-format-docker", FROM + "HEALTHCHECK CMD x\nRUN echo x >/a\n", options=("--format", "docker")
    ),
    Case(
        "option-env",
        FROM + "ENV A=file\nRUN echo x >/a\n",
        options=("--env", "B=option", "--env", "A=again"),
    ),
    Case("option-unsetenv", FROM + "ENV A=1 B=2\nRUN echo $A >/a\n", options=("--unsetenv", "A")),
    Case("option-omit-history", COPY + "ENV A=1\n", FILES, options=("--omit-history",)),
    Case("option-os-and-arch", COPY, FILES, options=("--os", "linux", "--arch", "amd64")),
    Case(
        "option-network-none",
        FROM + "RUN wc -l </proc/net/route >/a\n",
        options=("--network", "none"),
        buildah="chroot isolation has the host's network only",
        tree={"a": file("1\n")},
    ),
]
