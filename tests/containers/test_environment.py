import pytest

from daemonless.containers import environment
from daemonless.containers.grammar import variable


def build(image=(), requested=(), **options):
    warnings = []
    entries = environment.build(image, requested, warn=warnings.append, **options)
    return dict(entry.partition("=")[::2] for entry in entries), warnings


def test_the_defaults():
    assert build()[0] == {"PATH": environment.DEFAULT_PATH, "container": "daemonless"}


def test_each_source_overrides_the_ones_before():
    values, _ = build(
        ["PATH=/image", "A=image", "B=image", "https_proxy=image"],
        ["A=cli", "A=last"],
        inherited=["https_proxy=host", "no_proxy=host"],
        hostname="box",
    )
    assert values == {
        "PATH": "/image",
        "container": "daemonless",
        "https_proxy": "image",
        "no_proxy": "host",
        "A": "last",
        "B": "image",
        "HOSTNAME": "box",
    }


def test_term_comes_with_a_terminal_and_can_be_overridden():
    assert "TERM" not in build()[0]
    assert build(terminal=True)[0]["TERM"] == "xterm"
    assert build(requested=["TERM=linux"], terminal=True)[0]["TERM"] == "linux"


def test_hostname_of_the_user_wins():
    assert build(requested=["HOSTNAME=mine"], hostname="box")[0]["HOSTNAME"] == "mine"


def test_home_is_left_to_isolation():
    assert "HOME" not in build()[0]


@pytest.mark.parametrize("entry", ["HOME", "*", "AWS_*", "=x", "", "A=\0", "\0=x", 5, None])
def test_an_entry_of_the_image_never_reads_the_host(entry, monkeypatch):
    monkeypatch.setenv("HOME", "sentinel")
    monkeypatch.setenv("AWS_SECRET", "sentinel")
    values, warnings = build([entry, "OK=1"])
    assert values == {"PATH": environment.DEFAULT_PATH, "container": "daemonless", "OK": "1"}
    assert len(warnings) == 1
    assert warnings[0].isprintable()


def test_the_command_line_does_read_the_host():
    assert build(requested=variable("AWS_*", {"AWS_SECRET": "s"}))[0]["AWS_SECRET"] == "s"


def test_unset():
    assert "A" not in build(["A=1"], unset=["A", "MISSING"])[0]
    assert build(["A=1"], ["A=2"], unset=["A"])[0]["A"] == "2"
    assert build(["A=1"], ["B=2"], unset_all=True)[0] == {"PATH": environment.DEFAULT_PATH, "B": "2"}


def test_proxies_of_the_caller():
    caller = {"https_proxy": "a", "HTTP_PROXY": "b", "no_proxy": "", "PROXY": "c", "SECRET": "d"}
    assert set(environment.proxies_of(caller)) == {"https_proxy=a", "HTTP_PROXY=b"}
