from __future__ import annotations

import pytest

from daemonless.dockerfile.document import DockerfileError
from daemonless.dockerfile.evaluate import DEFAULT_PATH, Scope, evaluate
from daemonless.dockerfile.parse import parse
from daemonless.dockerfile.steps import CopyWork, Evaluated, RunWork, WorkdirWork

PATH = f"PATH={DEFAULT_PATH}"
SHELL = ("/bin/sh", "-c")


def scope_of(*lines: str, contexts: tuple[str, ...] = (), **build_args: str) -> Scope:
    dockerfile = parse("\n".join(lines).encode(), "Dockerfile")
    return Scope(dockerfile, build_args, "linux/arm/v7", "linux/amd64", contexts=contexts)


def stages(*lines: str, base: dict | None = None, **options) -> list[Evaluated]:
    """Evaluate all stages; `base` is the config of every image."""
    scope = scope_of(*lines, **options)
    found: list[Evaluated] = []
    for stage, (name, _platform) in zip(scope.dockerfile.stages, scope.bases(), strict=True):
        below = scope.dockerfile.find(name, before=stage.index)
        inherited = found[below.index] if below else None
        found.append(
            evaluate(stage, inherited.config if inherited else base or {}, scope, inherited=inherited)
        )
    return found


def config(*lines: str, base: dict | None = None, **options) -> dict:
    """Return the last stage's config, but for a PATH that is the default one."""
    found = dict(stages(*lines, base=base, **options)[-1].config)
    found["Env"] = [entry for entry in found["Env"] if entry != PATH]
    return {key: value for key, value in found.items() if value}


def steps(*lines: str, **options) -> list:
    return list(stages("FROM x", *lines, **options)[-1].steps)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["CMD a b"], {"Cmd": [*SHELL, "a b"]}),
        (["CMD $A"], {"Cmd": [*SHELL, "$A"]}),
        (['CMD ["$A"]'], {"Cmd": ["$A"]}),
        (["CMD a", "CMD []"], {}),
        (['SHELL ["bash", "-c"]', "CMD a"], {"Cmd": ["bash", "-c", "a"], "Shell": ["bash", "-c"]}),
        (["CMD a", 'ENTRYPOINT ["x"]'], {"Entrypoint": ["x"], "Cmd": [*SHELL, "a"]}),
        (['ENTRYPOINT ["x"]', "ENTRYPOINT []"], {}),
        (["ENTRYPOINT x y"], {"Entrypoint": [*SHELL, "x y"]}),
        (["ENV A=1 B='2 3' C=\"$A\" D=4\\ 5", "ENV A=6 C=$A"], {"Env": ["A=6", "B=2 3", "C=1", "D=4 5"]}),
        (["ENV A one  'two' "], {"Env": ["A=one  two"]}),
        (["ENV A=k ${A}=1", "ENV ${A}=1"], None),
        (["ENV A=k", "ENV ${A}=1"], {"Env": ["A=k", "k=1"]}),
        (["ARG V=1.5", "ENV M=${V%.*} N=${V#*.} O=${W:-o}"], {"Env": ["M=1", "N=5", "O=o"]}),
        (["LABEL a=1 'b c'=\"$A\"", "ENV A=2", "LABEL a=$A"],
         {"Env": ["A=2"], "Labels": {"a": "2", "b c": ""}}),
        (["EXPOSE 80 81/UDP 90-91/ 127.0.0.1:5000:6000"],
         {"ExposedPorts": {"80/tcp": {}, "81/udp": {}, "90/tcp": {}, "91/tcp": {}, "6000/tcp": {}}}),
        (["ENV P='1 2'", "EXPOSE $P"], {"Env": ["P=1 2"], "ExposedPorts": {"1/tcp": {}, "2/tcp": {}}}),
        (["VOLUME /a /b", 'VOLUME ["/c d"]'], {"Volumes": {"/a": {}, "/b": {}, "/c d": {}}}),
        (["WORKDIR /a", "WORKDIR b/../c/.", "ENV D=d", "WORKDIR $D/"],
         {"Env": ["D=d"], "WorkingDir": "/a/c/d"}),
        (["WORKDIR a"], {"WorkingDir": "/a"}),
        (["WORKDIR //a//b"], {"WorkingDir": "/a/b"}),
        (["WORKDIR /../.."], {"WorkingDir": "/"}),
        (["ARG U=me", "USER $U:1"], {"User": "me:1"}),
        (["STOPSIGNAL SIGRTMIN+3"], {"StopSignal": "SIGRTMIN+3"}),
        (["ENV S=9", "STOPSIGNAL $S"], {"Env": ["S=9"], "StopSignal": "9"}),
        (["HEALTHCHECK CMD a $B"], {"Healthcheck": {"Test": ["CMD-SHELL", "a $B"]}}),
        (["HEALTHCHECK NONE"], {"Healthcheck": {"Test": ["NONE"]}}),
        (['HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=0s --start-interval=2s \\',
          '--retries=3 CMD ["a"]'],
         {"Healthcheck": {"Test": ["CMD", "a"], "Interval": 90 * 10**9, "Timeout": 5 * 10**8,
                          "StartInterval": 2 * 10**9, "Retries": 3}}),
        (["ONBUILD COPY . /x", "ONBUILD RUN <<E", "a", "E"], {"OnBuild": ["COPY . /x", "RUN <<E\na\nE"]}),
        (["MAINTAINER me", "ARG A", "RUN a"], {}),
    ],
)  # fmt: skip
def test_config(lines, expected):
    if expected is None:
        with pytest.raises(DockerfileError, match=r"Dockerfile:2: .* has no name before the ="):
            config("FROM x", *lines)
    else:
        assert config("FROM x", *lines) == expected


def test_what_is_inherited():
    base = {"Cmd": ["c"], "Entrypoint": ["e"], "Env": ["PATH=/bin", "A=1"], "User": "u", "WorkingDir": "/w",
            "Labels": {"a": "b"}, "Volumes": {"/v": {}}, "ExposedPorts": {"1/tcp": {}},
            "StopSignal": "INT"}  # fmt: skip
    assert config("FROM x", base=base) == base
    assert config("FROM x", "ENTRYPOINT f", base=base)["Entrypoint"] == [*SHELL, "f"]
    assert "Cmd" not in config("FROM x", "ENTRYPOINT f", base=base)
    assert config("FROM x", "ENV B=$A", "WORKDIR s", "LABEL c=d", "EXPOSE 2", "VOLUME /w", base=base) == {
        **base, "Env": ["PATH=/bin", "A=1", "B=1"], "WorkingDir": "/w/s", "Labels": {"a": "b", "c": "d"},
        "Volumes": {"/v": {}, "/w": {}}, "ExposedPorts": {"1/tcp": {}, "2/tcp": {}},
    }  # fmt: skip
    assert base["Labels"] == {"a": "b"}
    assert stages("FROM scratch")[0].config == {"Env": [PATH]}
    assert stages("FROM x", base={"Env": ["A=1"]})[0].config == {"Env": ["A=1", PATH]}


def test_a_step_keeps_the_config_of_its_time():
    first, second = steps("ENV A=1", "ENV A=2 B=3")
    assert (first.config["Env"], second.config["Env"]) == ([PATH, "A=1"], [PATH, "A=2", "B=3"])


@pytest.mark.parametrize(
    ("lines", "build_args", "expected"),
    [
        (["ARG A=1", "FROM x", "ENV R=$A"], {}, ""),
        (["ARG A=1", "FROM x", "ARG A", "ENV R=$A"], {}, "1"),
        (["ARG A=1", "FROM x", "ARG A=2", "ENV R=$A"], {}, "2"),
        (["ARG A=1", "FROM x", "ARG A=2", "ENV R=$A"], {"A": "3"}, "3"),
        (["ARG A=1", "ARG B=${A}2", "FROM x", "ARG B", "ENV R=$B"], {"A": "7"}, "72"),
        (["FROM x", "ARG A", "ENV R=${A-unset}"], {}, "unset"),
        (["FROM x", "ARG A", "ENV R=${A-unset}"], {"A": ""}, ""),
        (["FROM x", "ARG A=1 B=$A", "ENV R=$B"], {}, "1"),
        (["FROM x", "ENV A=1", "ARG A=2", "ENV R=$A"], {"A": "3"}, "1"),
        (["FROM x AS b", "ARG A=1", "FROM b", "ENV R=$A"], {}, "1"),
        (["FROM x AS b", "ARG A=1", "FROM y", "ENV R=$A"], {}, ""),
        (["FROM x", "ENV R=$TARGETARCH"], {}, ""),
        (["FROM x", "ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT",
          "ENV R=$TARGETPLATFORM,$TARGETOS,$TARGETARCH,$TARGETVARIANT"], {}, "linux/arm/v7,linux,arm,v7"),
        (["FROM x", "ARG BUILDPLATFORM BUILDARCH BUILDOS BUILDVARIANT",
          "ENV R=$BUILDPLATFORM,$BUILDARCH,$BUILDOS,$BUILDVARIANT"], {}, "linux/amd64,amd64,linux,"),
        (["FROM x", "ARG TARGETARCH=none", "ENV R=$TARGETARCH"], {}, "none"),
        (["FROM x", "ARG TARGETARCH", "ENV R=$TARGETARCH"], {"TARGETARCH": "mine"}, "mine"),
        (["FROM x", "ARG TARGETSTAGE", "ENV R=$TARGETSTAGE"], {}, "default"),
        (["FROM x AS y", "ARG TARGETSTAGE", "ENV R=$TARGETSTAGE"], {}, "y"),
        (["FROM x", "ENV R=$http_proxy"], {"http_proxy": "p"}, ""),
        (["FROM x", "ARG http_proxy", "ENV R=$http_proxy"], {"http_proxy": "p"}, "p"),
    ],
)  # fmt: skip
def test_arguments(lines, build_args, expected):
    assert f"R={expected}" in config(*lines, **build_args)["Env"]


def test_bases():
    scope = scope_of(
        "ARG I=img", "ARG T", "FROM $I:${T:-3} AS a", "FROM --platform=$BUILDPLATFORM ${I}", T="4"
    )
    assert scope.bases() == [("img:4", ""), ("img", "linux/amd64")]
    for line, reason in [
        ("FROM $X", "the image '$X' is empty"),
        ("FROM --platform=$X y", '"" is not a platform'),
        ("FROM --platform=a/b/c/d y", '"a/b/c/d" is not a platform'),
        ("FROM ${X", "cannot expand '${X': syntax error: missing '}'"),
    ]:
        with pytest.raises(DockerfileError) as caught:
            scope_of(line).bases()
        assert caught.value.message.startswith(f"Dockerfile:1: {reason}")


def test_arguments_nobody_wants():
    scope = scope_of("ARG A", "FROM x", "ARG B", B="", A="", C="", HTTP_PROXY="", no_proxy="",
                     SOURCE_DATE_EPOCH="0", BUILDKIT_SYNTAX="x")  # fmt: skip
    evaluate(scope.dockerfile.stages[0], {}, scope)
    assert scope.unused_build_args() == ["C"]


def test_run():
    given = steps(
        "ENV E=1 A=env",
        "ARG A=arg B=2 C",
        "WORKDIR /w",
        "USER me",
        "RUN --network=none --security=insecure --mount=type=cache,target=$B,id=$E a \\",
        "  $B",
    )[-1]
    assert given.work == RunWork(
        args=(*SHELL, "a   $B"),
        env=(PATH, "E=1", "A=env", "B=2"),
        network="none",
        security="insecure",
        mounts=given.work.mounts,
    )  # fmt: skip
    assert (given.work.mounts[0].target, given.work.mounts[0].id) == ("/w/2", "1")
    assert given.created_by == "RUN |3 A=env B=2 C= /bin/sh -c a   $B # buildkit"
    assert given.text.endswith("a $B")
    assert (given.first, given.last) == (6, 7)


def test_run_of_json_and_of_another_shell():
    assert steps('RUN ["a", "$B"]')[0].work.args == ("a", "$B")
    assert steps('SHELL ["bash", "-e"]', "RUN a")[-1].work.args == ("bash", "-e", "a")


@pytest.mark.parametrize(
    ("lines", "args", "files"),
    [
        (["RUN <<E", "a $B", "c", "E"], (*SHELL, "a $B\nc\n"), ()),
        (["RUN <<-E", "\ta", "\tE"], (*SHELL, "a\n"), ()),
        (["RUN <<E", "#!/bin/python", "x", "E"], (*SHELL, "/dev/pipes/E"), (("E", "#!/bin/python\nx\n"),)),
        (["RUN cat <<A - <<'B' > f", "1", "A", "2", "B"],
         (*SHELL, "cat <<A - <<'B' > f\n1\nA\n2\nB"), ()),
        (["RUN <<A cat", "1", "A"], (*SHELL, "<<A cat\n1\nA"), ()),
    ],
)  # fmt: skip
def test_run_of_heredocs(lines, args, files):
    step = steps(*lines)[0]
    assert (step.work.args, step.work.files) == (args, files)
    assert "\n" not in step.text


def copied(line: str, *before: str) -> CopyWork:
    return steps(*before, *line.split("\n"))[-1].work


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("COPY a /b", {"sources": ("a",), "destination": "/b"}),
        ("COPY a b /c/", {"sources": ("a", "b"), "destination": "/c/"}),
        ("COPY a .", {"sources": ("a",), "destination": "/w/"}),
        ("COPY a ./", {"sources": ("a",), "destination": "/w/"}),
        ("COPY a b", {"sources": ("a",), "destination": "/w/b"}),
        ("COPY a /x/.", {"sources": ("a",), "destination": "/x/"}),
        ("COPY a /", {"sources": ("a",), "destination": "/"}),
        ("COPY a ../../b/", {"sources": ("a",), "destination": "/b/"}),
        ("COPY $V $V/", {"sources": ("v",), "destination": "/w/v/"}),
        ('COPY ["a b", "/c d/"]', {"sources": ("a b",), "destination": "/c d/"}),
        (
            "COPY --from=$V --chown=$V:2 --chmod=u+$V --link --parents --exclude=$V --exclude=b a /",
            {"sources": ("a",), "destination": "/", "from_": "v", "chown": "v:2", "chmod": "u+v",
             "link": True, "parents": True, "exclude": ("v", "b")},
        ),
        ("COPY --link=false a /", {"sources": ("a",), "destination": "/"}),
        (
            "ADD --checksum=sha256:$V --keep-git-dir=true --unpack=false https://x/$V /",
            {"is_add": True, "sources": ("https://x/v",), "destination": "/", "checksum": "sha256:v",
             "keep_git_dir": True, "unpack": False},
        ),
        ("ADD --unpack a /", {"is_add": True, "sources": ("a",), "destination": "/", "unpack": True}),
        ("COPY <<F /x\na '$V'\nF", {"inline": (("F", "a 'v'\n"),), "destination": "/x"}),
        ("COPY <<'F' <<-G s /x/\n$V\nF\n\t$V\n\tG",
         {"sources": ("s",), "inline": (("F", "$V\n"), ("G", "v\n")), "destination": "/x/"}),
    ],
)  # fmt: skip
def test_copy(line, expected):
    assert copied(line, "ENV V=v", "WORKDIR /w") == CopyWork(**{"is_add": False, **expected})


def test_history():
    lines = ["ARG A=1", "ENV B=2 C='3 4'", "LABEL l=m", "WORKDIR w", "USER u", "EXPOSE 80", "VOLUME /v",
             "COPY --from=a --chown=1 b /c", "ADD b .", "COPY <<F /d", "F", 'CMD ["x", "y z"]',
             "ENTRYPOINT e", 'SHELL ["s", "t"]', "STOPSIGNAL 9", "MAINTAINER m"]  # fmt: skip
    assert [step.created_by for step in steps(*lines)] == [
        "ARG A=1", "ENV B=2 C=3 4", "LABEL l=m", "WORKDIR /w", "USER u", "EXPOSE [80/tcp]", "VOLUME [/v]",
        "COPY --chown=1 b /c # buildkit", "ADD b . # buildkit", "COPY <<F /d # buildkit", 'CMD ["x" "y z"]',
        'ENTRYPOINT ["/bin/sh" "-c" "e"]', "SHELL [s t]", "STOPSIGNAL 9", "MAINTAINER m",
    ]  # fmt: skip
    assert stages("FROM x AS a", "MAINTAINER m", "FROM a")[-1].author == "m"


def test_only_what_makes_a_layer_has_work_and_a_key():
    made = steps("WORKDIR /", "WORKDIR /w", "ENV A=b", "RUN c", "COPY d /e", "LABEL f=g")
    assert [type(step.work) for step in made] == [
        type(None),
        WorkdirWork,
        type(None),
        RunWork,
        CopyWork,
        type(None),
    ]
    assert [bool(step.key) for step in made] == [False, True, False, True, True, False]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (["RUN a"], ["RUN a"], True),
        (["RUN a"], ["run  a"], True),
        (["RUN a"], ["RUN a b"], False),
        (["RUN a"], ["LABEL x=y", "RUN a"], True),
        (["RUN a"], ["EXPOSE 80", "CMD x", "RUN a"], True),
        (["RUN a"], ["ENV X=y", "RUN a"], False),
        (["RUN a"], ["ARG X=y", "RUN a"], False),
        (["RUN a"], ["ARG X", "RUN a"], True),
        (["RUN a"], ["USER x", "RUN a"], False),
        (["RUN a"], ["WORKDIR /x", "RUN a"], False),
        (["RUN a"], ['SHELL ["x"]', "RUN a"], False),
        (["RUN a"], ["RUN --network=none a"], False),
        (["RUN a"], ["RUN --mount=type=tmpfs,target=/x a"], False),
        (["RUN <<E", "a", "E"], ["RUN <<E", "b", "E"], False),
        (["COPY a /b"], ["ENV X=y", "USER x", "COPY a /b"], True),
        (["COPY a /b"], ["WORKDIR /", "COPY a b"], True),
        (["COPY a /b"], ["ARG S=a", "COPY $S /b"], True),
        (["COPY a /b"], ["COPY a /b/"], False),
        (["COPY a /b"], ["COPY --chown=1 a /b"], False),
        (["COPY a /b"], ["COPY --from=other a /b"], True),
        (["COPY a /b"], ["ADD a /b"], False),
        (["COPY <<E /b", "x", "E"], ["COPY <<E /b", "y", "E"], False),
        (["WORKDIR /a"], ["ENV X=y", "WORKDIR /a"], True),
        (["WORKDIR /a"], ["USER x", "WORKDIR /a"], False),
    ],
)
def test_keys(one, other, same):
    assert (steps(*one)[-1].key == steps(*other)[-1].key) is same


def test_triggers_run_first_and_once():
    base = {"OnBuild": ["ENV A=1", "COPY <<E /x\n$A\nE", "RUN --mount=type=cache,target=/c b"]}
    done = stages("FROM x", "ENV B=$A", base=base)[0]
    assert [step.created_by for step in done.steps] == [
        "ENV A=1", "COPY <<E /x # buildkit", "RUN /bin/sh -c b # buildkit", "ENV B=1",
    ]  # fmt: skip
    assert [(step.first, step.last) for step in done.steps] == [(1, 1), (1, 1), (1, 1), (2, 2)]
    assert done.steps[1].work.inline == (("E", "1\n"),)
    assert "OnBuild" not in done.config


def test_triggers_of_a_stage():
    first, second, third = stages("FROM x AS a", "ONBUILD ENV A=1", "FROM a AS b", "FROM b")
    assert [entry for entry in first.config["Env"] if entry[0] == "A"] == []
    assert second.config["Env"] == third.config["Env"] == [PATH, "A=1"]
    assert len(third.steps) == 0


def test_an_unusable_trigger():
    for text in ("NOPE x", "", "RUN a\nRUN b", "\ud800"):
        with pytest.raises(DockerfileError, match=r"^Dockerfile:1: the base has an unusable ONBUILD"):
            stages("FROM x", base={"OnBuild": [text]})


@pytest.mark.parametrize(
    ("lines", "message", "hint"),
    [
        (["COPY a"], "COPY needs a source and a destination", ""),
        (["COPY a b c"], "COPY has several sources", "end it with a slash: c/"),
        (["COPY --frm=a b c"], "COPY has no flag --frm", "did you mean --from?"),
        (["COPY --from=a --from=b c d"], "--from is given twice", ""),
        (["COPY --from a b"], "--from needs a value", "--from=VALUE"),
        (["COPY --link=maybe a b"], "--link is either true or false", ""),
        (["CMD --x y"], "CMD takes no flags, and --x is one", ""),
        (["COPY <<E <<F", "E", "F"], "the destination of COPY cannot be", ""),
        (["COPY 'a b"], "cannot expand", ""),
        (['COPY "a b" c/'], "cannot expand", ""),
        (["ENV =a"], "'=a' has no name before the =", ""),
        (["ARG =a"], "'=a' is no argument", ""),
        (['ENV A="${B:?must be}"'], "cannot expand '\"${B:?must be}\"': B: must be", ""),
        (["EXPOSE x"], "x is not a port", "53/udp"),
        (["EXPOSE 9-8"], "9-8 is not a port", ""),
        (["EXPOSE 80/icmp"], "80/icmp is not a port", ""),
        (["STOPSIGNAL NOPE"], "there is no signal 'NOPE'", ""),
        (["VOLUME a"], "'a' is not an absolute path", ""),
        (["VOLUME ['/a']"], "'[/a]' is not an absolute path", ""),
        (["USER $A"], "USER is empty once", ""),
        (["WORKDIR $A"], "WORKDIR is empty once", ""),
        (["SHELL bash"], "SHELL takes a JSON array", "SHELL ["),
        (["SHELL []"], "SHELL takes a JSON array", ""),
        (["RUN []"], "RUN has no command", ""),
        (["RUN --network=bridge a"], "--network is none of default, none, host", ""),
        (["RUN --security=x a"], "--security is none of", ""),
        (["RUN --mount=type=x \\", "a"], "cannot use --mount=type=x", ""),
        (["HEALTHCHECK CMD"], "after the flags of HEALTHCHECK", ""),
        (["HEALTHCHECK NONE a"], "HEALTHCHECK NONE takes neither", ""),
        (["HEALTHCHECK --interval=1us CMD a"], "--interval takes a time", "1m30s"),
        (["HEALTHCHECK --interval=-1s CMD a"], "--interval takes a time", ""),
        (["HEALTHCHECK --retries=-1 CMD a"], "--retries takes a number", ""),
        (["HEALTHCHECK --retry=1 CMD a"], "HEALTHCHECK has no flag --retry", "s?"),
        (["COPY --from=0 a b"], "the stage 0 cannot take files from itself", ""),
        (["COPY --from=Base a b"], "the stage Base cannot take files from itself", ""),
        (["COPY --from=y a b", "FROM z AS y"], "the stage y begins later, in line 3", ""),
        (["COPY --from=1 a b", "FROM z"], "the stage 1 begins later, in line 3", ""),
        (["COPY --from=7 a b"], "there is no stage 7", "there are 1"),
        (["COPY --from=-1 a b"], "there is no stage -1", ""),
        (["RUN --mount=from=y,target=/y a", "FROM z AS y"], "the stage y begins later", ""),
    ],
)  # fmt: skip
def test_mistakes(lines, message, hint):
    with pytest.raises(DockerfileError) as caught:
        stages("FROM x AS base", *lines)
    assert caught.value.message.startswith(f"Dockerfile:2: {message}")
    assert hint in caught.value.hint
    assert ">>>" in caught.value.excerpt()


def test_origins():
    lines = ["FROM x AS a", "FROM y", "COPY --from=A b /", "COPY --from=0 b /", "COPY --from=alpine b /",
             "COPY --from=later b /", "FROM z AS later"]  # fmt: skip
    made = stages(*lines, contexts=("later",))[1].steps
    assert [step.work.from_ for step in made] == ["A", "0", "alpine", "later"]
    assert len(stages("FROM x AS a", "RUN b", "FROM y AS a", "COPY --from=a b /")) == 2


def test_mistakes_before_the_first_from():
    with pytest.raises(DockerfileError, match=r"^Dockerfile:2: cannot expand"):
        scope_of("ARG A=1", "ARG B=${", "FROM x")
