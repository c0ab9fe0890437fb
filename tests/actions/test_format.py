"""`--format`, against what docker and podman print for the same template."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemonless.actions.format import Listing, Template, pretty, render_object
from daemonless.actions.gotemplate import compile_template
from daemonless.actions.values import Struct
from daemonless.errors import UsageError

CONTAINER = Struct(
    Id="abc",
    State=Struct(Running=True, Status="running", ExitCode=0, Pid=12, Health=Struct(Status="", Log=None)),
    Config=Struct(Env=["A=1", "B=2"], Labels={"a.b": "x", "c": "d"}, Cmd=None),
    NetworkSettings=Struct(
        Networks={"slirp4netns": Struct(IPAddress="10.0.2.100")},
        Ports={"80/tcp": [Struct(HostIp="", HostPort="8080")]},
    ),
    RepoDigests=["d1", "d2"],
    Mounts=[Struct(Source="/a"), Struct(Source="/b")],
    Ratio=1.5,
)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        # the idioms of scripts: plain fields
        ("{{.State.Running}}", "true"),
        ("{{.State.Status}}", "running"),
        ("{{.State.ExitCode}}", "0"),
        ("{{.State.Pid}}", "12"),
        ("{{.State.Health.Status}}", ""),
        ("{{ .Id }}", "abc"),
        ("{{json .Config.Env}}", '["A=1","B=2"]'),
        ("{{json .State.Health}}", '{"Status":"","Log":null}'),
        ("{{.Config.Labels}}", "map[a.b:x c:d]"),
        ("{{.Config.Labels.c}}", "d"),
        ("{{.Config.Labels.missing}}", "<no value>"),
        ("{{.Config.Cmd}}", "<no value>"),
        ("{{.Config.Env}}", "[A=1 B=2]"),
        ("{{.State.Health}}", "{ <nil>}"),
        ("{{.Ratio}}", "1.5"),
        ("Id: {{.Id}}\\tPid: {{.State.Pid}}\\n", "Id: abc\tPid: 12"),
        ("no template", "no template"),
        # and the ones that need the whole language
        ("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "10.0.2.100"),
        ('{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', "8080"),
        ("{{index .RepoDigests 0}}", "d1"),
        ("{{range .Mounts}}{{.Source}}{{end}}", "/a/b"),
        ('{{index .Config.Labels "a.b"}}', "x"),
        ('{{index .Config.Labels "missing"}}', ""),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "a.b=x;c=d;"),
        ("{{with .Config.Cmd}}x{{else}}none{{end}}", "none"),
        ("{{range $i, $e := .Config.Env}}{{if $i}},{{end}}{{$e}}{{end}}", "A=1,B=2"),
        ("{{.Id | printf `%.2s`}} {{len .Mounts}}", "ab 2"),
        ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2"),
        ('{{join .Config.Env ","}} {{upper .Id}} {{title .Id}} {{lower "ABC"}}', "A=1,B=2 ABC Abc abc"),
        ('{{truncate .Id 2}}|{{pad .Id 1 2}}|{{index (split "a,b" ",") 1}}', "ab| abc  |b"),
        ("{{ .Config.Env | json }}", '["A=1","B=2"]'),
        ("{{- .Id -}}   x", "abcx"),
        ("{{/* remark */}}a", "a"),
        ("{{$x := .Id}}{{$x}}", "abc"),
        ("{{and .State.Running (eq .State.Pid 12)}}", "true"),
    ],
)
def test_idioms(template: str, expected: str) -> None:
    assert render_object(template, CONTAINER) == f"{expected}\n"


@pytest.mark.parametrize(
    "template",
    [
        *(
            "{{.Id}}",
            "{{json .}}",
            "{{.State}}",
            "{{.Config}}",
            "a{{.Mounts}}b",
            "{{.Config.Labels.missing}}",
        ),
        *("{{.State.Health.Log}}", "{{.Ratio}}{{.State.Running}}", "{{json .Config.Labels}}"),
    ],
)
def test_plain_fields_render_as_gotpl_does(template: str) -> None:
    """Both renderers serve one language; only the order of a struct's fields and its braces differ."""
    ours = Template(template)
    assert ours._pieces is not None
    general = compile_template(template)(CONTAINER, False)
    if template in ("{{.State}}", "{{.Config}}", "a{{.Mounts}}b"):
        assert general.count(":") > ours.render(CONTAINER).count(":")
    else:
        assert ours.render(CONTAINER) == general


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{.Bogus}}", "can't evaluate field Bogus"),
        ("{{.State.Bogus}}", "can't evaluate field Bogus"),
        ("{{json .State.Bogus}}", "can't evaluate field Bogus"),
        ("{{range .Bogus}}{{end}}", "can't evaluate field Bogus"),
        ("{{.Id.Bogus}}", "can't evaluate field Bogus"),
        ("{{.Id", "unclosed action"),
        ("{{bogus .Id}}", "'bogus' not defined"),
        ("{{range .Mounts}}", "unexpected EOF"),
        ("{{index .RepoDigests 7}}", "has no 7"),
    ],
)
def test_mistakes(template: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        render_object(template, CONTAINER)
    assert message in raised.value.message
    assert "\n" not in raised.value.message


def test_an_unknown_field_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError) as raised:
        render_object("{{.State.Bogus}}", CONTAINER)
    assert raised.value.hint == "the fields are ExitCode, Health, Pid, Running, Status"


def test_json_of_an_object() -> None:
    assert json.loads(render_object("json", CONTAINER)) == json.loads(json.dumps(CONTAINER))


ROWS = [Struct(ID="1", Names="one", Size=5), Struct(ID="2", Names="second", Size=6)]
HEADINGS = {"ID": "CONTAINER ID"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{.ID}}", "1\n2\n"),
        ("{{.ID}}\\t{{.Names}}", "1\tone\n2\tsecond\n"),
        ("{{.ID}}\\n", "1\n2\n"),
        ("{{json .}}", '{"ID":"1","Names":"one","Size":5}\n{"ID":"2","Names":"second","Size":6}\n'),
        ("table {{.ID}}\t{{.Names}}", "CONTAINER ID  NAMES\n1             one\n2             second\n"),
        ("table {{.Names}} {{json .Size}}", "NAMES SIZE\none 5\nsecond 6\n"),
        ("table {{upper .Names}}\t{{.ID}}", "NAMES       CONTAINER ID\nONE         1\nSECOND      2\n"),
        ("{{if eq .ID `1`}}first{{end}}", "first\n\n"),
    ],
)
def test_listings(template: str, expected: str) -> None:
    assert Listing(ROWS, HEADINGS).render(template) == expected


def test_listing_without_heading_or_rows() -> None:
    assert Listing(ROWS, HEADINGS).render("table {{.ID}}", noheading=True) == "1\n2\n"
    assert Listing([], HEADINGS).render("table {{.ID}}\t{{.Names}}") == "CONTAINER ID  NAMES\n"
    assert Listing([], HEADINGS).render("{{.ID}}") == ""
    assert Listing([], HEADINGS).render("json") == "[]\n"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=50)
@given(_JSON)
def test_pretty_json_is_json(value: object) -> None:
    assert json.loads(pretty(value)) == value
    assert pretty(value) == json.dumps(value, indent=4)
