"""registries.conf: what is merged, what a name stands for, where an image is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemonless.errors import InvalidData, UsageError
from daemonless.oci.reference import parse_reference
from daemonless.registry.errors import Refused
from daemonless.registry.registries import Registries, load_registries

DIGEST = "sha256:" + "a" * 64


class Machine:
    """A machine's and a user's files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.env = {"HOME": str(directory / "home")}
        self.user = "home/.config/containers"

    def write(self, name: str, text: str) -> str:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def load(self, text: str | None = None) -> Registries:
        if text is not None:
            self.write("etc/containers/registries.conf", text)
        return load_registries(self.env, str(self.directory / "etc"))

    def asked(self, text: str, name: str) -> list[str]:
        endpoints = self.load(text).endpoints(parse_reference(name))
        return [f"{each.reference}{' insecure' * each.insecure}" for each in endpoints]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def names(registries: Registries, name: str) -> list[str]:
    return [str(reference) for reference in registries.spelled_out(name)]


def test_without_files_names_are_as_docker_has_them(machine):
    registries = machine.load()
    assert names(registries, "debian:12") == ["docker.io/library/debian:12"]
    [only] = registries.endpoints(parse_reference("debian"))
    assert str(only.reference) == "docker.io/library/debian:latest"
    assert not only.insecure and not only.is_mirror


def test_aliases(machine):
    registries = machine.load(
        '[aliases]\n"fedora" = "registry.fedoraproject.org/fedora"\n"a/b" = "quay.io/a/c"'
    )
    assert names(registries, "fedora:40") == ["registry.fedoraproject.org/fedora:40"]
    assert names(registries, f"fedora@{DIGEST}") == [f"registry.fedoraproject.org/fedora@{DIGEST}"]
    assert names(registries, "a/b") == ["quay.io/a/c:latest"]
    assert names(registries, "docker.io/fedora") == ["docker.io/library/fedora:latest"]
    assert names(registries, "localhost/fedora") == ["localhost/fedora:latest"]


def test_short_names_are_searched_for(machine):
    registries = machine.load('unqualified-search-registries = ["quay.io", "docker.io"]')
    assert names(registries, "app:1") == ["quay.io/app:1", "docker.io/library/app:1"]
    assert names(registries, "example.com/app") == ["example.com/app:latest"]


def test_short_names_that_may_not_be_guessed(machine):
    text = 'unqualified-search-registries = [{}]\nshort-name-mode = "enforcing"\n'
    registries = machine.load(text.format('"quay.io", "docker.io"'))
    with pytest.raises(UsageError, match="short name") as caught:
        registries.spelled_out("app")
    assert "quay.io/app, docker.io/app" in caught.value.hint
    assert names(machine.load(text.format('"quay.io"')), "app") == ["quay.io/app:latest"]


def test_drop_ins_add_up_and_the_last_word_counts(machine):
    machine.write(
        "etc/containers/registries.conf.d/10.conf",
        '[aliases]\n"a" = "one.example/a"\n"b" = "one.example/b"',
    )
    machine.write(
        "etc/containers/registries.conf.d/20.conf",
        'unqualified-search-registries = ["two.example"]\n'
        '[[registry]]\nlocation = "x.example"\ninsecure = true',
    )
    machine.write("etc/containers/registries.conf.d/30.txt", "not read")
    machine.write(f"{machine.user}/registries.conf.d/10.conf", '[aliases]\n"a" = ""\n"b" = "three.example/b"')
    registries = machine.load(
        'unqualified-search-registries = []\n[[registry]]\nlocation = "x.example"\nblocked = true'
    )
    assert names(registries, "a") == ["two.example/a:latest"]
    assert names(registries, "b") == ["three.example/b:latest"]
    assert registries.endpoints(parse_reference("x.example/a"))[0].insecure


def test_the_users_own_file_is_in_the_place_of_the_systems(machine):
    machine.write("etc/containers/registries.conf.d/10.conf", '[aliases]\n"a" = "one.example/a"')
    machine.write(f"{machine.user}/registries.conf", '[aliases]\n"b" = "own.example/b"')
    machine.write(f"{machine.user}/registries.conf.d/1.conf", '[aliases]\n"c" = "own.example/c"')
    registries = machine.load('unqualified-search-registries = ["system.example"]')
    assert names(registries, "a") == ["docker.io/library/a:latest"]
    assert names(registries, "b") == ["own.example/b:latest"]
    assert names(registries, "c") == ["own.example/c:latest"]


def test_the_file_of_the_environment(machine):
    machine.write(f"{machine.user}/registries.conf", '[aliases]\n"b" = "own.example/b"')
    machine.env["CONTAINERS_REGISTRIES_CONF"] = machine.write("x.conf", '[aliases]\n"b" = "given.example/b"')
    assert names(machine.load(), "b") == ["given.example/b:latest"]
    machine.env["CONTAINERS_REGISTRIES_CONF"] += ".not"
    with pytest.raises(UsageError, match="does not exist"):
        machine.load()


def test_what_podman_was_answered(machine):
    machine.write("home/.cache/containers/short-name-aliases.conf", '[aliases]\n"a" = "quay.io/x/a"')
    assert names(machine.load(), "a") == ["quay.io/x/a:latest"]


MIRRORS = """
[[registry]]
prefix = "docker.io"
location = "registry.example/hub"
{more}
[[registry.mirror]]
location = "one.example:5000"
insecure = true
[[registry.mirror]]
location = "two.example/cache/"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "three.example"
pull-from-mirror = "tag-only"
"""


def test_mirrors_come_first_and_by_kind_of_name(machine):
    text = MIRRORS.format(more="")
    assert machine.asked(text, "busybox:1") == [
        "one.example:5000/library/busybox:1 insecure",
        "three.example/library/busybox:1",
        "registry.example/hub/library/busybox:1",
    ]
    assert machine.asked(text, f"busybox@{DIGEST}") == [
        f"one.example:5000/library/busybox@{DIGEST} insecure",
        f"two.example/cache/library/busybox@{DIGEST}",
        f"registry.example/hub/library/busybox@{DIGEST}",
    ]
    assert machine.asked(text, "quay.io/busybox") == ["quay.io/busybox:latest"]


def test_mirrors_by_digest_only(machine):
    text = """
        [[registry]]
        location = "quay.io"
        mirror-by-digest-only = true
        [[registry.mirror]]
        location = "one.example"
    """
    assert machine.asked(text, "quay.io/a:1") == ["quay.io/a:1"]
    assert machine.asked(text, f"quay.io/a@{DIGEST}") == [f"one.example/a@{DIGEST}", f"quay.io/a@{DIGEST}"]


@pytest.mark.parametrize(
    ("prefix", "name", "expected"),
    [
        ("example.com", "example.com/a/b:1", "moved.example/x/a/b:1"),
        ("example.com/a", "example.com/a/b:1", "moved.example/x/b:1"),
        ("example.com/a", "example.com/ab:1", None),
        ("example.com", "example.com:5000/a:1", "moved.example/x:5000/a:1"),
        ("example.com/a:1", "example.com/a:1", None),  # a tag is nothing to podman either
        ("example.com/a", "example.com/a:1", "moved.example/x:1"),
        ("*.example.com", "reg.example.com/a:1", "moved.example/x/a:1"),
        ("*.example.com", "deep.reg.example.com/a:1", "moved.example/x/a:1"),
        ("*.example.com", "example.com/a:1", None),
        ("*.example.com", "reg.example.com.evil.org/a:1", None),
        ("*.example.com", "evil.org/reg.example.com/a:1", None),
    ],
)
def test_prefixes_and_what_becomes_of_names(machine, prefix, name, expected):
    text = f'[[registry]]\nprefix = "{prefix}"\nlocation = "moved.example/x"'
    if expected and ":5000/" in expected:  # a port belongs to the host: there is no such name
        with pytest.raises(InvalidData):
            machine.asked(text, name)
    else:
        assert machine.asked(text, name) == [expected or name]


def test_a_wildcard_without_location_moves_nothing(machine):
    text = '[[registry]]\nprefix = "*.example.com"\ninsecure = true'
    assert machine.asked(text, "reg.example.com/a:1") == ["reg.example.com/a:1 insecure"]


def test_the_longest_prefix_wins(machine):
    text = """
        [[registry]]
        prefix = "quay.io/team"
        location = "team.example"
        [[registry]]
        prefix = "quay.io"
        blocked = true
    """
    assert machine.asked(text, "quay.io/team/a:1") == ["team.example/a:1"]
    with pytest.raises(Refused, match=r"quay\.io is blocked in .*registries\.conf"):
        machine.asked(text, "quay.io/other:1")


def test_a_push_goes_to_the_registry_itself(machine):
    registries = machine.load(MIRRORS.format(more="insecure = true"))
    place = registries.destination(parse_reference("busybox:1"))
    assert str(place.reference) == "docker.io/library/busybox:1" and place.insecure


def test_the_first_version_of_the_format(machine):
    registries = machine.load(
        '[registries.search]\nregistries = ["quay.io"]\n[registries.insecure]\nregistries = ["a.example"]\n'
        '[registries.block]\nregistries = ["b.example"]'
    )
    assert names(registries, "app") == ["quay.io/app:latest"]
    assert registries.endpoints(parse_reference("a.example/x"))[0].insecure
    with pytest.raises(Refused):
        registries.endpoints(parse_reference("b.example/x"))


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "unqualified-search-registries = 1",
        "unqualified-search-registries = [1]",
        'unqualified-search-registries = ["https://quay.io"]',
        'short-name-mode = "guess"',
        'short-name-mode = "disabled"\n[aliases]\na = 1',
        'short-name-mode = "disabled"\n[aliases]\na = "short"',
        "aliases = 1",
        "registry = 1",
        "registry = [1]",
        "[[registry]]\ninsecure = true",
        '[[registry]]\nprefix = "*.a.example/b"',
        '[[registry]]\nlocation = "a.example"\ninsecure = "yes"',
        '[[registry]]\nlocation = "a.example"\nblocked = 1',
        '[[registry]]\nlocation = "a.example"\nmirror = "b.example"',
        '[[registry]]\nlocation = "a.example"\n[[registry.mirror]]\ninsecure = true',
        '[[registry]]\nlocation = "a.example"\n'
        '[[registry.mirror]]\nlocation="b.example"\npull-from-mirror="never"',
        '[[registry]]\nlocation = "a.example"\nmirror-by-digest-only=true\n'
        '[[registry.mirror]]\nlocation="b.example"\npull-from-mirror="all"',
    ],
)
def test_what_is_wrong_names_the_file(machine, text):
    with pytest.raises(InvalidData, match=r"registries\.conf"):
        machine.load(text)


@pytest.mark.parametrize("wrong", ["a = 1", 'a = "short"', "a"])
def test_aliases_in_a_file_of_their_own_are_read_for_short_names_alone(machine, wrong):
    registries = machine.load(f"# what is short\n\n [aliases] \n{wrong}\n")
    assert names(registries, "quay.io/x/y") == ["quay.io/x/y:latest"]
    with pytest.raises(InvalidData, match=r"registries\.conf"):
        registries.spelled_out("box")


@pytest.mark.parametrize("before", ["# nothing\n", '[aliases]\na = "quay.io/x/a"\n', "[ aliases ]\n"])
def test_a_table_after_comments_or_aliases_counts(machine, before):
    text = f'{before} [[registry]]\nlocation = "b.example"\nblocked = true'
    with pytest.raises(Refused):
        machine.load(text).endpoints(parse_reference("b.example/x"))


def test_drop_ins_that_may_not_be_read_are_none(machine):
    blocked = '[[registry]]\nlocation = "b.example"\nblocked = true'
    directory = Path(machine.write("etc/containers/registries.conf.d/x.conf", blocked)).parent
    directory.chmod(0)
    try:
        assert machine.load().endpoints(parse_reference("b.example/x"))
    finally:
        directory.chmod(0o700)
