"""Stages, and what is built of them."""

from __future__ import annotations

from corpus.case import STARTER, Case, file

FROM = f"FROM {STARTER}\n"

CASES = [
    Case("from-scratch", "FROM scratch\nCOPY f /f\nENV A=b\n", {"f": "f"}),
    Case("from-a-name-without-tag", f"FROM {STARTER}:latest\nRUN echo x >/a\n"),
    Case("from-nothing-but-the-base", FROM),
    Case(
        "from-an-earlier-stage",
        f"FROM {STARTER} AS one\n"
        "RUN echo 1 >/1\n"
        "ENV A=b\n"
        "WORKDIR /w\n"
        "USER 3\n"
        "FROM one\n"
        "USER 0\n"
        "RUN pwd >/2; echo $A >>/2\n",
    ),
    Case(
        "two-stages-from-one",
        f"FROM {STARTER} AS base\n"
        "RUN echo base >/b\n"
        "FROM base AS one\n"
        "RUN echo 1 >/1\n"
        "FROM base AS two\n"
        "RUN echo 2 >/2\n"
        "FROM base\n"
        "COPY --from=one /1 /\n"
        "COPY --from=two /2 /\n",
    ),
    Case(
        "a-stage-nobody-needs-is-not-built",
        f"FROM {STARTER} AS unused\nRUN false\nFROM {STARTER}\nRUN echo x >/a\n",
    ),
    Case(
        "the-target-ends-the-build",
        f"FROM {STARTER} AS one\nRUN echo 1 >/1\nENV A=1\nFROM one AS two\nRUN false\n",
        options=("--target", "one"),
    ),
    Case(
        "the-target-by-number",
        f"FROM {STARTER}\nRUN echo 1 >/1\nFROM {STARTER}\nRUN false\n",
        options=("--target", "0"),
    ),
    Case(
        "stage-names-have-no-case",
        f"FROM {STARTER} AS BuildEr\nRUN echo 1 >/1\nFROM builder\nCOPY --from=BUILDER /1 /2\n",
        buildah="tells stages apart by case",
        tree={"1": file("1\n"), "2": file("1\n")},
    ),
    Case(
        "a-stage-named-as-the-base",
        f"FROM {STARTER} AS busybox\nRUN echo 1 >/1\nFROM busybox\nRUN cp /1 /2\n",
    ),
    Case(
        "a-chain-of-stages",
        f"FROM {STARTER} AS s0\nRUN echo 0 >/f\n"
        + "".join(
            f"FROM {STARTER} AS s{n}\nCOPY --from=s{n - 1} /f /f\nRUN echo {n} >>/f\n" for n in range(1, 5)
        ),
    ),
    Case("a-base-for-a-platform", f"FROM --platform=linux/amd64 {STARTER}\nRUN echo x >/a\n"),
    Case(
        "comments-and-arguments-between-stages",
        "# first\n"
        "ARG T=latest\n"
        "\n"
        f"FROM {STARTER}:$T AS a\n"
        "# second\n"
        "RUN echo x >/x\n"
        "\n"
        "# third\n"
        f"FROM {STARTER}:${{T}}\n"
        "COPY --from=a /x /\n",
    ),
    Case(
        "a-named-context-takes-the-place-of-an-image",
        "FROM example.invalid/none\nRUN echo x >/a\n",
        options=("--build-context", f"example.invalid/none=docker-image://{STARTER}"),
    ),
    Case(
        "a-named-context-takes-the-place-of-a-stage",
        f"FROM {STARTER} AS one\nRUN false\nFROM {STARTER}\nCOPY --from=one f /a\n",
        options=("--build-context", "one={case}/other"),
        beside={"other/f": "instead"},
        buildah="prefers the stage",
        tree={"a": file("instead")},
    ),
]
