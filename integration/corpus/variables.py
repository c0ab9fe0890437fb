"""Variables: every form of substitution, and which ARG is seen where."""

from __future__ import annotations

from corpus.case import STARTER, Case, file

FROM = f"FROM {STARTER}\n"

CASES = [
    Case("plain-forms", FROM + "ENV A=b\nENV B=$A C=${A} D=$A-$A E=${A}x F=$Ax G=$\n"),
    Case("escaped-dollar", FROM + 'ENV A=b\nENV B=\\$A C=\\${A} D=\'$A\' E="$A" F="\\$A"\n'),
    Case("default-if-unset-or-empty", FROM + "ENV A=a E=\nENV B=${A:-w} C=${E:-w} D=${U:-w} F=${U:-}\n"),
    Case("alternative-if-set-and-not-empty", FROM + "ENV A=a E=\nENV B=${A:+w} C=${E:+w} D=${U:+w}\n"),
    Case(
        "default-if-unset",
        FROM + "ENV A=a E=\nENV B=${A-w} C=${E-w} D=${U-w}\n",
        buildah="${V-w} is a parse error",
        tree={},
        config={"Env": ["A=a", "E=", "B=a", "C=", "D=w"]},
    ),
    Case(
        "alternative-if-set",
        FROM + "ENV A=a E=\nENV B=${A+w} C=${E+w} D=${U+w}\n",
        buildah="${V+w} is a parse error",
        tree={},
        config={"Env": ["A=a", "E=", "B=w", "C=w", "D="]},
    ),
    Case("nested-substitution", FROM + "ENV A=a\nENV B=${U:-${A}} C=${A:+$A$A} D=${U:-x${V:-y}z}\n"),
    Case(
        "required-and-set",
        FROM + "ENV A=a E=\nENV B=${A:?message} C=${E?message}\n",
        buildah="no ${V:?message} in 1.28",
        tree={},
        config={"Env": ["A=a", "E=", "B=a", "C="]},
    ),
    Case(
        "shortest-prefix-removed",
        FROM + "ENV P=/a/b/c.tar.gz\nENV A=${P#*/} B=${P#/a} C=${P#x} D=${P#?}\n",
        buildah="no patterns in 1.28",
        tree={},
        config={
            "Env": ["P=/a/b/c.tar.gz", "A=a/b/c.tar.gz", "B=/b/c.tar.gz", "C=/a/b/c.tar.gz", "D=a/b/c.tar.gz"]
        },
    ),
    Case(
        "longest-prefix-removed",
        FROM + "ENV P=/a/b/c.tar.gz\nENV A=${P##*/} B=${P##*.}\n",
        buildah="no patterns in 1.28",
        tree={},
        config={"Env": ["P=/a/b/c.tar.gz", "A=c.tar.gz", "B=gz"]},
    ),
    Case(
        "suffixes-removed",
        FROM + "ENV P=/a/b/c.tar.gz\nENV A=${P%.*} B=${P%%.*} C=${P%/*} D=${P%.gz}\n",
        buildah="no patterns in 1.28",
        tree={},
        config={"Env": ["P=/a/b/c.tar.gz", "A=/a/b/c.tar", "B=/a/b/c", "C=/a/b", "D=/a/b/c.tar"]},
    ),
    Case(
        "replaced",
        FROM + "ENV P=a.b.c\nENV A=${P/./-} B=${P//./-} C=${P//./} D=${P/b*/x} E=${P//x/y}\n",
        buildah="no patterns in 1.28",
        tree={},
        config={"Env": ["P=a.b.c", "A=a-b.c", "B=a-b-c", "C=abc", "D=a.x", "E=a.b.c"]},
    ),
    Case(
        "where-variables-are-replaced",
        FROM + "ARG D=/d F=f N=5 S=9\n"
        "WORKDIR $D\n"
        "COPY $F ${D}/$F\n"
        "COPY --chown=$N:$N $F $D/owned\n"
        "ADD $F $D/added\n" + "LABEL l=$F\nEXPOSE $N\nSTOPSIGNAL $S\nVOLUME $D/v\nUSER $N\n",
        {"f": "f"},
    ),
    Case(
        "where-variables-are-not-replaced",
        FROM + 'ENV A=b\nCMD ["$A"]\nENTRYPOINT echo $A ${A:-x}\nRUN echo ${A#b}x >/a\n',
    ),
    Case(
        "an-argument-in-from",
        "ARG NAME=starter TAG=latest\nFROM daemonless.local/$NAME-busybox:${TAG}\nRUN echo x >/a\n",
    ),
    Case(
        "an-argument-before-from-is-not-seen-in-stages",
        f'ARG A=global\nFROM {STARTER}\nRUN echo "[$A]" >/a\nARG A\nRUN echo "[$A]" >/b\n',
    ),
    Case(
        "several-arguments-in-a-line",
        FROM + "ARG A=1 B=2 C\nRUN echo $A$B$C >/a\n",
        options=("--build-arg", "C=3"),
    ),
    Case("an-argument-uses-another", FROM + "ARG A=1\nARG B=${A}2\nENV C=$B\nRUN echo $B >/a\n"),
    Case(
        "an-argument-before-it-is-declared",
        FROM + 'ENV B=[$A]\nRUN echo "[$A]" >/a\nARG A=x\nRUN echo "[$A]" >/b\n',
    ),
    Case(
        "arguments-are-inherited-by-stages-from-here",
        f'FROM {STARTER} AS one\nARG A=one\nFROM one AS two\nRUN echo "[$A]" >/a\nFROM {STARTER}\n'
        'RUN echo "[$A]" >/b\nCOPY --from=two /a /a\n',
        buildah="no inherited ARG before 1.29",
        tree={"a": file("[one]\n"), "b": file("[]\n")},
    ),
    Case(
        "env-beats-argument",
        FROM + "ARG A=arg\nENV A=env\nRUN echo $A >/a\nENV B=$A\n",
        options=("--build-arg", "A=given"),
    ),
    Case(
        "env-of-the-base-beats-argument",
        f"FROM {STARTER} AS base\nENV A=env\nFROM base\nARG A=arg\nRUN echo $A >/a\nENV B=$A\n",
    ),
    Case(
        "given-beats-both-defaults",
        "ARG A=global\n"
        "ARG B=global\n"
        "ARG C=global\n"
        f"FROM {STARTER}\n"
        "ARG A=stage\n"
        "ARG B\n"
        "ARG C=stage\n"
        "RUN echo $A $B $C >/a\n",
        options=("--build-arg", "C=given"),
    ),
    Case(
        "an-argument-without-value",
        FROM + 'ARG A\nRUN echo "[$A]${A+set}" >/a\nENV B=$A\n',
        buildah="gives an argument without a value to RUN",
        tree={"a": file("[]\n")},
        config={"Env": ["B="]},
    ),
    Case(
        "an-argument-given-empty",
        FROM + 'ARG A=x\nRUN echo "[$A]${A+set}" >/a\n',
        options=("--build-arg", "A="),
    ),
    Case(
        "an-argument-from-the-environment",
        FROM + "ARG A=x\nRUN echo $A >/a\n",
        options=("--build-arg", "A"),
        env={"A": "of the caller"},
    ),
    Case(
        "an-argument-nobody-uses-warns",
        FROM + "RUN echo x >/a\n",
        options=("--build-arg", "NOBODY=1"),
        warns="NOBODY",
    ),
    Case(
        "proxies-without-declaration",
        FROM + 'RUN echo "$http_proxy $NO_PROXY" >/a\n',
        options=("--build-arg", "http_proxy=http://p:1", "--build-arg", "NO_PROXY=x"),
    ),
    Case(
        "platform-arguments",
        FROM + "ARG TARGETPLATFORM TARGETOS\nARG TARGETARCH\nARG BUILDPLATFORM\nARG BUILDOS\nARG BUILDARCH\n"
        "RUN echo $TARGETPLATFORM $TARGETOS $TARGETARCH $BUILDPLATFORM $BUILDOS $BUILDARCH >/a\n",
    ),
    Case("platform-arguments-must-be-declared", FROM + 'RUN echo "[$TARGETOS$BUILDARCH]" >/a\n'),
    Case(
        "from-for-the-build-platform",
        f"FROM --platform=$BUILDPLATFORM {STARTER}\nARG TARGETARCH\nRUN echo $TARGETARCH >/a\n",
    ),
    Case(
        "target-stage",
        f"FROM {STARTER} AS one\nARG TARGETSTAGE\nRUN echo $TARGETSTAGE >/a\nFROM one AS two\n",
        options=("--target", "one"),
        buildah="no TARGETSTAGE",
        tree={"a": file("one\n")},
    ),
    Case(
        "arguments-of-run-are-its-environment",
        FROM + "ARG A=1\nARG B=2\nRUN env | grep '^[AB]=' | sort >/a\n",
    ),
    Case("arguments-do-not-stay", FROM + "ARG SECRETISH=1\nENV KEPT=$SECRETISH\nRUN echo x >/a\n"),
    Case(
        "an-argument-in-a-mount",
        FROM + "ARG T=/m\nARG S=d\nRUN --mount=type=bind,source=${S},target=$T cat /m/f >/a\n",
        {"d/f": "f"},
        buildah="no variables in --mount in 1.28",
        tree={"a": file("f")},
    ),
    Case("a-quoted-argument", FROM + 'ARG A="one two"\nARG B=\'$A\'\nRUN echo "$A$B" >/a\nLABEL l="$A"\n'),
    Case(
        "variables-in-workdir-change",
        FROM + "ENV D=/one\nWORKDIR $D\nENV D=/two\nRUN pwd >/a\n",
    ),
]
