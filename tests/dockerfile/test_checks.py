from __future__ import annotations

import pytest

from daemonless.dockerfile.checks import check
from daemonless.dockerfile.document import DockerfileError
from daemonless.dockerfile.evaluate import Scope, evaluate
from daemonless.dockerfile.ignore import parse_ignore
from daemonless.dockerfile.parse import parse
from daemonless.errors import UsageError


def checked(*lines: str, ignore: str | None = None, **build_args: str):
    dockerfile = parse("\n".join(lines).encode(), "Dockerfile")
    scope = Scope(dockerfile, build_args, "linux/amd64", "linux/amd64")
    done: dict = {}
    for stage, (name, _platform) in zip(dockerfile.stages, scope.bases(), strict=True):
        below = dockerfile.find(name, before=stage.index)
        inherited = done[below.index] if below else None
        config = inherited.config if inherited else {"Env": ["PATH=/bin"]}
        done[stage.index] = evaluate(stage, config, scope, inherited=inherited)
    return check(dockerfile, scope, done, parse_ignore(ignore.encode()) if ignore is not None else None)


def found(*lines: str, **options: str) -> list[str]:
    return [f"{finding.rule}:{finding.first}" for finding in checked(*lines, **options).findings]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["FROM x", "RUN a", "copy a b"], ["ConsistentInstructionCasing:3"]),
        (["from x", "run a", "Copy a b"], ["ConsistentInstructionCasing:3"]),
        (["from x", "run a", "RUN b"], ["ConsistentInstructionCasing:3"]),
        (["from x", "copy a b"], []),
        (["FROM x as b"], ["FromAsCasing:1"]),
        (["from x AS b"], ["FromAsCasing:1"]),
        (["from x as b"], []),
        (["FROM x AS Bad"], ["StageNameCasing:1"]),
        (["FROM x AS scratch"], ["ReservedStageName:1"]),
        (["FROM x AS context"], ["ReservedStageName:1"]),
        (["FROM x AS b", "FROM x AS b"], ["DuplicateStageName:2"]),
        (["FROM x", "CMD a"], ["JSONArgsRecommended:2"]),
        (["FROM x", "ENTRYPOINT a"], ["JSONArgsRecommended:2"]),
        (["FROM x", 'SHELL ["a"]', "CMD a"], []),
        (["FROM x AS b", 'SHELL ["a"]', "FROM b", "CMD a"], []),
        (["FROM x", "MAINTAINER me"], ["MaintainerDeprecated:2"]),
        (["ARG base=y", "FROM $base"], []),
        (["FROM --platform=$BUILDPLATFORM x"], []),
        (["ARG D", "FROM scratch${D}"], []),
        (["FROM busybox:x${version} AS b"], ["UndefinedArgInFrom:1"]),
        (["FROM --platform=linux/amd64${ARHC} x"], ["UndefinedArgInFrom:1"]),
        (["FROM --platform=$TARGETPLATFORM x"], ["RedundantTargetPlatform:1"]),
        (["FROM --platform=${TARGETPLATFORM} x"], ["RedundantTargetPlatform:1"]),
        (["FROM --platform=linux/amd64 x"], ["FromPlatformFlagConstDisallowed:1"]),
        (["FROM --platform=linux/amd64 x AS my_amd64_stage"], []),
        (["FROM --platform=linux/amd64 x AS linux"], []),
        (["FROM x", "WORKDIR app/", "WORKDIR more"], ["WorkdirRelativePath:2"]),
        (["FROM x AS a", "WORKDIR /app", "FROM a", "WORKDIR sub"], []),
        (["FROM x", "ARG foo", "COPY D${foo} ."], []),
        (["FROM x AS b", "ARG foo=D", "FROM b", "COPY $foo ."], []),
        (["FROM x", "RUN echo $foo", "ENV A=$PATH"], []),
        (["FROM x", "COPY $foo .", "ARG foo=bar"], ["UndefinedVar:2"]),
        (["FROM x", "ENV A=1 B=$A"], ["UndefinedVar:2"]),
        (["FROM x", *["ENTRYPOINT []", "CMD []", "HEALTHCHECK NONE"] * 2],
         [f"MultipleInstructionsDisallowed:{line}" for line in (2, 3, 4)]),
        (["FROM x AS a", "CMD []", "FROM a", "CMD []"], []),
        (["FROM x", "ENV k v", "LABEL k v"], ["LegacyKeyValueFormat:2", "LegacyKeyValueFormat:3"]),
        (["FROM x", "ENV key=", 'LABEL a="" b='], ["SecretsUsedInArgOrEnv:2"]),
        (["FROM x", "ARG SECRET_PASSPHRASE", "ENV SUPER_Secret=foo git_key="],
         ["SecretsUsedInArgOrEnv:2", "SecretsUsedInArgOrEnv:3", "SecretsUsedInArgOrEnv:3"]),
        (["FROM x", "ENV PUBLIC_KEY= KEYBOARD=", "ARG public_token", "ARG AUTH_VERSION PASSWORD_FILE"], []),
        (["FROM x", "EXPOSE 80/TcP 81/UDP 82/udp"], ["ExposeProtoCasing:2"] * 2),
        (["FROM x", "EXPOSE 127.0.0.1:80:80 5000:5000 8000"], ["ExposeInvalidFormat:2"] * 2),
        (["FROM x", "RUN a \\", "", "  b"], ["NoEmptyContinuation:4"]),
        (["FROM x", "RUN a \\", "# fine", "  b"], []),
        (["# a comment", "FROM x AS b"], []),
    ],
)  # fmt: skip
def test_rules(lines, expected):
    assert found(*lines) == expected


@pytest.mark.parametrize(
    ("arg", "base", "given", "expected"),
    [
        ("VERSION", "busybox:$VERSION", "latest", ["InvalidDefaultArgInFrom:2"]),
        ("IMAGE", "$IMAGE", "busybox", ["InvalidDefaultArgInFrom:2"]),
        ('SFX="box:"', "busy${SFX}", "box:latest", ["InvalidDefaultArgInFrom:2"]),
        ('V="latest"', "busybox:${V}", "x", []),
        ("V", "busybox:stable${V}", "-musl", []),
        ("V", "busybox:${V:?needed}", "x", []),
    ],
)
def test_default_of_an_argument_in_from(arg, base, given, expected):
    assert found(f"ARG {arg}", f"FROM {base}", **{arg.partition("=")[0]: given}) == expected


@pytest.mark.parametrize(
    ("ignore", "copy", "expected"),
    [
        ("Dockerfile", "COPY Dockerfile .", True),
        ("Dockerfile", "ADD ./Dockerfile /x", True),
        ("foobar", "COPY --from=x foobar /x", False),
        ("**\n!Dockerfile", "COPY ./Dockerfile .", False),
        ("**\n!Dockerfile", "COPY . .", False),
        (".*", "COPY . .", False),
        ("*", "COPY . .", True),
        ("sub\n!sub/b", "COPY sub/a /", True),
        ("!sub/b\nsub", "COPY sub/a /", True),
        ("sub\n!sub/a", "COPY sub /sub", False),
        ("sub\n!sub/a", "COPY sub/*.txt /", False),
        ("sub", "COPY sub/*.txt /", True),
        ("EOF", "COPY <<EOF /x\nEOF", False),
    ],
)
def test_ignored_files(ignore, copy, expected):
    assert found("FROM x", copy, ignore=ignore) == (["CopyIgnoredFile:2"] if expected else [])


def test_descriptions_are_checked_when_asked():
    lines = [
        "",
        "# bar is it",
        "ARG foo=bar",
        "# BasE is it",
        "FROM x AS base",
        "# version is it",
        "ARG version",
        "# bad",
        "ARG foo=1 bar=2",
        "# bad",
        "",
        "ARG a",
        "# b",
        "#",
        "ARG b",
    ]
    assert found(*lines) == []
    assert found("# check=experimental=all", *lines[1:]) == [
        f"InvalidDefinitionDescription:{line}" for line in (3, 5, 9)
    ]


@pytest.mark.parametrize(
    ("syntax", "known"),
    [
        ("docker/dockerfile:1", True),
        ("docker.io/docker/dockerfile:1.7-labs", True),
        ("docker/dockerfile-upstream:master", True),
        ("docker/dockerfile@sha256:aa", True),
        ("docker/dockerfile:2", False),
        ("someone/else:1", False),
        ("registry:5000/dockerfile:10.1", False),
    ],
)
def test_other_syntaxes_are_not_fetched(syntax, known):
    assert found("# escape=`", f"# syntax={syntax}", "FROM x") == ([] if known else ["UnknownSyntax:2"])


def test_they_can_be_skipped():
    lines = ["FROM x", "CMD a", "MAINTAINER me"]
    assert found("# check=skip=JSONArgsRecommended, MaintainerDeprecated", *lines) == []
    assert found("# check=skip=all;error=true", *lines) == []
    assert found("FROM x", "# check=skip=JSONArgsRecommended // as meant", *lines[1:]) == [
        "MaintainerDeprecated:4"
    ]
    assert found("FROM x", "# check=skip=all", *lines[1:]) == ["MaintainerDeprecated:4"]
    assert found(*lines, BUILDKIT_DOCKERFILE_CHECK="skip=all") == []


def test_they_can_be_errors():
    assert checked("# check=error=true", "FROM x", "CMD a").is_error
    assert not checked("# check=error=true", "FROM x").is_error
    assert not checked("FROM x", "CMD a").is_error


@pytest.mark.parametrize("text", ["skip", "what=1", "error=maybe"])
def test_mistakes_in_options(text):
    with pytest.raises(DockerfileError, match=r"^Dockerfile:2: "):
        checked("# syntax=a", f"# check={text}", "FROM x")
    with pytest.raises(UsageError):
        checked("FROM x", BUILDKIT_DOCKERFILE_CHECK=text)


def test_what_was_meant():
    assert checked("FROM x", "ENV PATH=$PAHT:/bin").findings[0].message == (
        "nothing defines $PAHT (did you mean PATH?)"
    )
    assert "did you mean BUILDPLATFORM?" in checked("FROM x$BULIDPLATFORM").findings[0].message
