from __future__ import annotations

import pytest
from e2b_dockerfile_utils import DockerfileSyntaxError, parse_dockerfile_ast
from hypothesis import given, settings
from hypothesis import strategies as st

from daemonless.dockerfile.document import DockerfileError
from daemonless.dockerfile.evaluate import Scope, evaluate
from daemonless.dockerfile.parse import KEYWORDS, parse, parse_one


def one(*lines: str):
    """Return the instruction after FROM, and those that follow."""
    return parse("\n".join(["FROM x", *lines]).encode(), "Dockerfile").stages[0].instructions[0]


def test_stages():
    text = b"ARG A=1\n\nFROM --platform=$P a:$A AS Base\nRUN x\nfrom base\n"
    dockerfile = parse(text, "Dockerfile")
    assert [argument.args for argument in dockerfile.arguments] == [("A=1",)]
    base, last = dockerfile.stages
    assert (base.index, base.name, base.base, base.platform, base.first) == (0, "base", "a:$A", "$P", 3)
    assert (last.index, last.name, last.base, last.first, last.instructions) == (1, "", "base", 5, ())
    assert dockerfile.lines == ("ARG A=1", "", "FROM --platform=$P a:$A AS Base", "RUN x", "from base")
    assert dockerfile.find("BASE") == dockerfile.find("0") == base
    assert dockerfile.find("1") == last
    assert dockerfile.find("1", before=1) is dockerfile.find("2") is dockerfile.find("-1") is None


def test_of_two_stages_of_a_name_the_later_counts():
    dockerfile = parse(b"FROM a AS x\nFROM b AS x\nFROM c", "Dockerfile")
    assert dockerfile.find("x").base == "b"
    assert dockerfile.find("x", before=1).base == "a"


@pytest.mark.parametrize(
    ("lines", "args"),
    [
        (["RUN a  b"], ("a  b",)),
        (["run a"], ("a",)),
        (["\t RUN a "], ("a",)),
        (["RUN a \\", "  b"], ("a   b",)),
        (["RUN a\\", "b"], ("ab",)),
        (["RUN a \\  ", "b"], ("a b",)),
        (["RUN a \\", "# gone", "  # gone too \\", "b # stays"], ("a b # stays",)),
        (["RUN a \\", "", "  ", "b"], ("a b",)),
        (["RUN a \\", "# the end"], ("a",)),
        (["RUN a \\\\"], ("a \\\\",)),
        (["RUN a\r", "RUN b\r"], ("a",)),
        (["RUN a \\\r", "  b\r"], ("a   b",)),
        (['RUN ["a", "b c"]'], ("a", "b c")),
        (['RUN ["a", "\\u00e9\\ud83d\\ude00"]'], ("a", "é😀")),
        (['RUN ["\\ud800"]'], ("�",)),
        (["RUN ['a']"], ("['a']",)),
        (['RUN ["a"'], ('["a"',)),
        (['RUN ["a"] b'], ('["a"] b',)),
        (["CMD []"], ()),
        (["COPY a  b c/"], ("a", "b", "c/")),
        (['COPY ["a b", "c/"]'], ("a b", "c/")),
        (['COPY "a b" c'], ('"a', 'b"', "c")),
        (["ENV a=1 b='2 3' c=\"4\\\"\" d=5\\ 6"], ("a", "1", "=", "b", "'2 3'", "=", "c", '"4\\""', "=",
                                                   "d", "5\\ 6", "=")),
        (["ENV a b  c=d "], ("a", "b  c=d", "")),
        (["LABEL a=b=c"], ("a", "b=c", "=")),
        (["ARG a b=c"], ("a", "b=c")),
        (["EXPOSE 80  81/udp"], ("80", "81/udp")),
        (["VOLUME /a /b"], ("/a", "/b")),
        (["HEALTHCHECK  CMD   a  b"], ("CMD", "a  b")),
        (['HEALTHCHECK CMD ["a"]'], ("CMD", "a")),
        (["WORKDIR a b"], ("a b",)),
        (["MAINTAINER A B <c>"], ("A B <c>",)),
        (["RUN ü"], ("ü",)),
    ],
)  # fmt: skip
def test_arguments(lines, args):
    assert one(*lines).args == args


def test_flags():
    found = one("COPY --from=a --chown='x y':z --link -- --src /d")
    assert found.flags == ("--from=a", "--chown=x y:z", "--link")
    assert found.args == ("--src", "/d")


def test_lines_and_keywords():
    found = one("", "# c", "Run a \\", "", "b")
    assert (found.keyword, found.written, found.original) == ("RUN", "Run", "Run a b")
    assert (found.first, found.last) == (4, 6)


def test_heredocs():
    found = one("RUN <<EOF", "a", "", "\tEOF", "EOF", "RUN b")
    assert found.heredocs[0].as_dict() == {
        "name": "EOF", "content": "a\n\n\tEOF\n", "expand": True, "chomp": False,
    }  # fmt: skip
    assert (found.args, found.first, found.last) == (("<<EOF",), 2, 6)
    several = one("COPY <<-A <<'B' /d/", "\tx", "\tA", "$y", "B")
    assert [(doc.name, doc.content, doc.expand, doc.chomp) for doc in several.heredocs] == [
        ("A", "\tx\n", True, True), ("B", "$y\n", False, False),
    ]  # fmt: skip
    assert one("RUN cat 3<<E", "a", "E").heredocs[0].content == "a\n"
    assert one('RUN ["a", "<<E"]').heredocs == ()
    assert one("RUN echo '<<E' \\<<E 1<<").heredocs == ()
    assert one("RUN <<E\r", "a\r", "E\r").heredocs[0].content == "a\r\n"
    assert one("CMD <<E").args == ("<<E",)


def test_directives():
    dockerfile = parse(b"\xef\xbb\xbf# syntax = docker/dockerfile:1 \n#Escape=`\nFROM a\nRUN b `\nc\\\n", "x")
    assert dockerfile.directives == {"syntax": "docker/dockerfile:1", "escape": "`"}
    assert dockerfile.stages[0].instructions[0].args == ("b c\\",)
    assert parse(b"#\n# escape=`\nFROM a", "x").directives == {}
    assert parse(b"# else=1\n# escape=`\nFROM a", "x").escape == "\\"
    assert parse(b"\n# escape=`\nFROM a", "x").escape == "\\"


def test_triggers():
    assert one("ONBUILD RUN a \\", " b").trigger == "RUN a  b"
    assert one("onbuild copy <<E /x", "a", "E", "RUN b").trigger == "copy <<E /x\na\nE"
    assert parse_one("copy <<E /x\na\nE").heredocs[0].content == "a\n"


def test_comments():
    text = b"# syntax=a\n# x\n#\n# y\n# z\nFROM a\n\n# w\n\nRUN a\n"
    stage = parse(text, "x").stages[0]
    assert stage.start.comments == ("y", "z")
    assert stage.instructions[0].comments == ()


def test_empty_lines_in_continued_instructions():
    warnings = parse(b"FROM a\nRUN b \\\n\n c\n", "x").warnings
    assert [(warning.line, warning.message) for warning in warnings] == [
        (4, "an empty line in a continued instruction")
    ]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (b"", "Dockerfile: it has no FROM", "begin with FROM"),
        (b"# only\nARG a\n", "Dockerfile: it has no FROM", ""),
        (b"RUN a\nFROM b", "Dockerfile:1: RUN stands before the first FROM", "only ARG"),
        (b"FROM a\nRUNN b", "Dockerfile:2: there is no instruction 'RUNN'", "did you mean RUN?"),
        (b"FROM a\nXYZZY b", "Dockerfile:2: there is no instruction 'XYZZY'", "it is one of ADD"),
        (b"FROM a\n\x1b[1m", "Dockerfile:2: there is no instruction '\\\\x1b[1m'", ""),
        (b"FROM", "Dockerfile:1: FROM needs an argument", ""),
        (b"FROM a b", "Dockerfile:1: FROM takes an image, or an image and a name", "AS NAME"),
        (b"FROM a IS b", "Dockerfile:1: FROM takes an image, or an image and a name", ""),
        (b"FROM a AS 1b", "Dockerfile:1: '1b' is no name for a stage", "letter"),
        (b"FROM --plat=x a", "Dockerfile:1: FROM has no flag --plat", "did you mean --platform?"),
        (b"FROM --platform a", "Dockerfile:1: --platform needs a value", ""),
        (b"FROM a\nRUN", "Dockerfile:2: RUN needs an argument", ""),
        (b"FROM a\nENV A", "Dockerfile:2: ENV must have two arguments", ""),
        (b"FROM a\nENV A=1 B", "Dockerfile:2: Syntax error - can't find = in", ""),
        (b'FROM a\nCMD ["a", 1]', "Dockerfile:2: Only strings are supported in JSON arrays", ""),
        (b"FROM a\nCMD " + b"[" * 20000, "Dockerfile:2: its JSON array is nested too deeply", ""),
        (b"FROM a\nRUN <<E\nb", "Dockerfile:2: the here-document E has no end", "a line that holds E only"),
        (b"FROM a\nRUN \xff", "Dockerfile:2: it is not UTF-8", ""),
        (b"FROM a\nONBUILD", "Dockerfile:2: ONBUILD needs an instruction", ""),
        (b"FROM a\nONBUILD ONBUILD RUN b", "Dockerfile:2: ONBUILD cannot trigger ONBUILD", ""),
        (b"FROM a\nONBUILD from b", "Dockerfile:2: ONBUILD cannot trigger FROM", ""),
        (b"FROM a\nONBUILD COPPY b", "Dockerfile:2: there is no instruction 'COPPY'", "COPY"),
        (b"# escape=x\nFROM a", "Dockerfile:1: 'x' cannot be the escape character", ""),
        (b"# escape=`\n# escape=`\nFROM a", "Dockerfile:2: there is a second escape directive", ""),
        (b"#" * (5 << 20), "Dockerfile: it is larger than 4 MiB", ""),
    ],
)
def test_mistakes(text, message, hint):
    with pytest.raises(DockerfileError) as caught:
        parse(text, "Dockerfile")
    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint


def test_latin_1_in_a_comment_is_no_mistake():
    assert parse(b"# caf\xe9\nFROM a\n# \xe9", "x").stages[0].base == "a"


def test_excerpt():
    with pytest.raises(DockerfileError) as caught:
        parse(b"FROM a\nRUN b\n\tRUN c\nXRUN \\\n  d\x1b\nRUN e\n\nRUN f\n", "Dockerfile")
    assert caught.value.excerpt() == "\n".join(
        [
            "   2 |     RUN b",
            "   3 |         RUN c",
            "   4 | >>> XRUN \\",
            "   5 | >>>   d\\x1b",
            "   6 |     RUN e",
            "   7 |",
        ]
    )


PIECES = st.sampled_from(
    [*KEYWORDS, "FROM x", "FROM x AS y", "ONBUILD ", "\n", "\n", "\n", " ", "\\", "\\\n", "#", "# escape=`\n",
     "`", "$", "${", "}", "${A:-", ":", "/", "%", "'", '"', "[", "]", ",", '["a"]', "=", "A=1", "--",
     "--from=0 ",
     "--mount=type=cache,target=/x ", "<<", "<<E", "\nE\n", "a", "/a", "\t", "\r", "\0", "é", "80-81/udp"]
)  # fmt: skip


LINES = st.sampled_from(
    ["", " ", "# c", "RUN a \\", " b", 'run ["a"]', "RUN <<E", "RUN cat <<-'E' <<F", "E", "\tE", "F",
     "ENV a=b c='d e'", "ENV a b", "ARG a b=c", "CMD a \\ ", "\t# c \\", "EXPOSE 80  81", "x\r",
     "HEALTHCHECK --retries=1 CMD a", 'VOLUME ["/a"]', "VOLUME /a /b", "USER u", "WORKDIR /a b",
     "LABEL a=b\\", "MAINTAINER me", "COPY a b"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(LINES, max_size=8))
def test_as_e2b_reads_it(lines):
    text = "\n".join(["FROM x", *lines, "USER end"])
    try:
        theirs = parse_dockerfile_ast(text).instructions
    except DockerfileSyntaxError:
        with pytest.raises(DockerfileError):
            parse(text.encode(), "x")
        return
    (stage,) = parse(text.encode(), "x").stages
    for ours, their in zip([stage.start, *stage.instructions], theirs, strict=True):
        assert (ours.keyword, *ours.flags, *ours.args) == (their.name, *their.flags, *their.args)
        assert (ours.is_json, ours.first, ours.last) == (their.json, their.start_line, their.end_line)
        assert [document.content for document in ours.heredocs] == [doc.content for doc in their.heredocs]


def try_all(text: bytes) -> None:
    """Read and evaluate; a DockerfileError is the only one there may be."""
    try:
        dockerfile = parse(text, "Dockerfile")
        scope = Scope(dockerfile, {"A": "$x"}, "linux/amd64", "linux/amd64")
        scope.bases()
        for stage in dockerfile.stages:
            found = evaluate(stage, {"OnBuild": ["RUN a"]}, scope)
            assert len(found.steps) == len(stage.instructions) + 1
    except DockerfileError as error:
        assert "\n" not in error.message
        error.excerpt()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(text):
    try_all(text)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=25))
def test_anything_like_a_dockerfile(pieces):
    try_all("".join(["FROM x\n", *pieces]).encode())
