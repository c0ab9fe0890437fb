import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemonless.containers import grammar
from daemonless.errors import UsageError

CALLER = {"HOME": "/home/me", "AWS_KEY": "k", "AWS_SECRET": "s", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("17", 17),
        ("17b", 17),
        ("4k", 4096),
        ("64m", 64 << 20),
        ("64M", 64 << 20),
        ("64MB", 64 << 20),
        ("64MiB", 64 << 20),
        ("2g", 2 << 30),
        ("1t", 1 << 40),
        (" 1m ", 1 << 20),
    ],
)
def test_size(text, expected):
    assert grammar.size(text, "--shm-size") == expected


@pytest.mark.parametrize(
    "text", ["", "m", "1.5g", "-1", "+1", "1 m", "1x", "1bb", "1mm", "٣m", "9" * 30, "0x10"]
)
def test_size_refuses(text):
    with pytest.raises(UsageError, match="--shm-size"):
        grammar.size(text, "--shm-size")


def test_a_fraction_is_refused_with_a_way_out():
    with pytest.raises(UsageError) as caught:
        grammar.size("1.5g", "--shm-size")
    assert "1536m" in caught.value.hint


@settings(max_examples=50)
@given(st.integers(0, 1 << 40), st.sampled_from("bkmg"))
def test_size_scales_by_1024(number, unit):
    expected = number * 1024 ** "bkmg".index(unit)
    if expected < 1 << 63:
        assert grammar.size(f"{number}{unit}", "-m") == expected
    else:
        with pytest.raises(UsageError):
            grammar.size(f"{number}{unit}", "-m")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("TERM", 15),
        ("term", 15),
        ("SIGTERM", 15),
        ("sigusr1", 10),
        ("9", 9),
        ("64", 64),
        ("RTMIN", 34),
        ("SIGRTMIN+3", 37),
        ("rtmin+30", 64),
        ("RTMAX-1", 63),
        ("RTMAX", 64),
        ("CLD", 17),
    ],
)
def test_signal(text, number):
    assert grammar.signal(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "65",
        "-9",
        "SIG",
        "BLOCK",
        "SIG_BLOCK",
        "_DFL",
        "SETMASK",
        "RTMIN+31",
        "RTMIN-1",
        "RTMAX+1",
        "TERM x",
        "SIGSIGTERM",
        "٩",
    ],
)
def test_signal_refuses(text):
    with pytest.raises(UsageError, match="no such signal"):
        grammar.signal(text)


@pytest.mark.parametrize("name", ["a", "web", "Web_1.test-x", "0", "a" * 128])
def test_container_name(name):
    assert grammar.container_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "-a", ".a", "_a", "a/b", "a b", "ä", "a\n", "a\0", "..", "a" * 129, "a:b"]
)
def test_container_name_refuses(name):
    with pytest.raises(UsageError):
        grammar.container_name(name)


@pytest.mark.parametrize("name", ["", "-h", "a b", "a\n127.0.0.1 evil", "a" * 65, "h\0", "a#b"])
def test_hostname_refuses(name):
    with pytest.raises(UsageError):
        grammar.hostname(name)


@pytest.mark.parametrize(
    "value",
    ["0", "1000", "1000:1000", "4294967294", "www-data", "_apt", "postgres:postgres", "app:0", "00", "u@d"],
)
def test_user(value):
    assert grammar.user(value) == value


@pytest.mark.parametrize(
    "value",
    ["", ":", "root:", ":0", "4294967295", "4294967296", "99999999999999999999999", "-1", "0x0", " 0",
     "0 ", "٣", "a b", "root\n", "a:b:c", "1user", "+0", "-x"],
)  # fmt: skip
def test_user_out_of_range_or_odd_is_never_looked_up(value):
    with pytest.raises(UsageError):
        grammar.user(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("A=1", ["A=1"]),
        ("A=", ["A="]),
        ("A=b=c", ["A=b=c"]),
        ("A=two\nlines", ["A=two\nlines"]),
        ("HOME", ["HOME=/home/me"]),
        ("EMPTY", ["EMPTY="]),
        ("MISSING", []),
        ("AWS_*", ["AWS_KEY=k", "AWS_SECRET=s"]),
        ("AWS_*=x", ["AWS_*=x"]),
        ("NO_*", []),
    ],
)
def test_variable(value, expected):
    assert grammar.variable(value, CALLER) == expected


@pytest.mark.parametrize("value", ["", "=x", "A B=1", "A\n=1", "A=x\0y", "A\t"])
def test_variable_refuses(value):
    with pytest.raises(UsageError):
        grammar.variable(value, CALLER)


def test_env_file():
    text = "\ufeff# comment\n\n  A=1 \nB='quoted' # not a comment\r\nHOME\nMISSING\n\t# indented\nC=\n"
    assert grammar.variables_of_file(text, "f", CALLER) == [
        "A=1 ",
        "B='quoted' # not a comment",
        "HOME=/home/me",
        "C=",
    ]


def test_env_file_error_names_the_file():
    with pytest.raises(UsageError, match=r"--env-file my\.env"):
        grammar.variables_of_file("export A=1\n", "my.env", {})


def test_label_file():
    assert grammar.labels_of_file("a=1\n#x\nb\nc = 2\n", "f") == [("a", "1"), ("b", ""), ("c ", " 2")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("nofile=1024", ("nofile", 1024, 1024)),
        ("nofile=1024:2048", ("nofile", 1024, 2048)),
        ("RLIMIT_CORE=0", ("core", 0, 0)),
        ("core=0:-1", ("core", 0, grammar.UNLIMITED)),
        ("memlock=unlimited", ("memlock", grammar.UNLIMITED, grammar.UNLIMITED)),
    ],
)
def test_ulimit(value, expected):
    assert grammar.ulimit(value) == expected


@pytest.mark.parametrize(
    "value", ["", "nofile", "nofile=", "nofile=x", "nofile=2:1", "nofile=1:", "files=1", "nofile=-2"]
)
def test_ulimit_refuses(value):
    with pytest.raises(UsageError, match="--ulimit"):
        grammar.ulimit(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("net.ipv4.ip_forward=1", ("net.ipv4.ip_forward", "1", "network")),
        ("net.ipv4.tcp_rmem=4096\t87380 6291456", ("net.ipv4.tcp_rmem", "4096\t87380 6291456", "network")),
        ("kernel.shmmax=1", ("kernel.shmmax", "1", "ipc")),
        ("fs.mqueue.msg_max=5", ("fs.mqueue.msg_max", "5", "ipc")),
    ],
)
def test_sysctl(value, expected):
    assert grammar.sysctl(value) == expected


@pytest.mark.parametrize(
    "value",
    ["", "net.x", "net.x=", "kernel.core_pattern=|/x", "kernel.hostname=x", "vm.swappiness=1",
     "net/../kernel.x=1", "net..x=1", "net.x=1\nkernel.y=2", "net.x=1\0", "kernel.shm_rmid_forced_x=1",
     ".net.x=1", "fs.file-max=1"],
)  # fmt: skip
def test_sysctl_takes_only_what_is_the_containers_own(value):
    with pytest.raises(UsageError):
        grammar.sysctl(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", ()), ("/bin/sh", ("/bin/sh",)), ("a b", ("a b",)), ('["a","b c"]', ("a", "b c")), ("[]", ())],
)
def test_entrypoint(value, expected):
    assert grammar.command(value) == expected


@pytest.mark.parametrize("value", ["[", '["a"', "[1]", '[["a"]]', '["a\\u0000"]', '["a"] x'])
def test_entrypoint_refuses(value):
    with pytest.raises(UsageError, match="--entrypoint"):
        grammar.command(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ()),
        ("ctrl-p,ctrl-q", (16, 17)),
        ("a", (97,)),
        ("ctrl-@", (0,)),
        ("CTRL-A,z", (1, 122)),
        ("ctrl-]", (29,)),
    ],
)
def test_detach_keys(value, expected):
    assert grammar.detach_keys(value) == expected


@pytest.mark.parametrize("value", ["ctrl-", "ctrl-1", "ab", "a,,b", "ä", "\x01"])
def test_detach_keys_refuses(value):
    with pytest.raises(UsageError):
        grammar.detach_keys(value)


@pytest.mark.parametrize(("value", "expected"), [("0", 0), ("0022", 0o22), ("777", 0o777)])
def test_umask(value, expected):
    assert grammar.mask(value) == expected


@pytest.mark.parametrize("value", ["", "8", "1000", "0o22", "-1", "000022"])
def test_umask_refuses(value):
    with pytest.raises(UsageError, match="--umask"):
        grammar.mask(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("net_raw", "CAP_NET_RAW"),
        ("CAP_SYS_ADMIN", "CAP_SYS_ADMIN"),
        ("all", "ALL"),
        ("cap_chown", "CAP_CHOWN"),
    ],
)
def test_capability(value, expected):
    assert grammar.capability(value, "--cap-add") == expected


@pytest.mark.parametrize("value", ["", "CAP_", "CAP_ALL", "SUPERUSER", "chown,kill"])
def test_capability_refuses(value):
    with pytest.raises(UsageError, match="no such capability"):
        grammar.capability(value, "--cap-add")


@settings(max_examples=100)
@given(st.text(max_size=30))
def test_whatever_is_typed_errors_are_one_line(text):
    for parse in (
        grammar.container_name,
        grammar.hostname,
        grammar.user,
        grammar.ulimit,
        grammar.sysctl,
        grammar.signal,
        grammar.detach_keys,
        grammar.mask,
        grammar.command,
    ):
        try:
            parse(text)
        except UsageError as error:
            assert error.message.isprintable()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no", ("no", 0)),
        ("never", ("no", 0)),
        ("", ("no", 0)),
        ("always", ("always", 0)),
        ("unless-stopped", ("unless-stopped", 0)),
        ("on-failure", ("on-failure", 0)),
        ("on-failure:3", ("on-failure", 3)),
    ],
)
def test_restart_policy(text: str, expected: tuple[str, int]) -> None:
    assert grammar.restart_policy(text) == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("disabled", "--restart=no"),
        ("Always", "--restart=always"),
        ("onfailure", "--restart=on-failure"),
        ("unless_stopped", "--restart=unless-stopped"),
        ("sometimes", "it is one of no, always"),
    ],
)
def test_a_restart_policy_that_does_not_exist_has_a_hint(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        grammar.restart_policy(text)
    assert hint in caught.value.hint


@pytest.mark.parametrize("text", ["always:3", "on-failure:", "on-failure:-1", "on-failure:many"])
def test_bad_numbers_of_restarts(text: str) -> None:
    with pytest.raises(UsageError):
        grammar.restart_policy(text)
