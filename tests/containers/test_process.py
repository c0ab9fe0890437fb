import pytest

from daemonless.containers import process
from daemonless.containers.grammar import UNLIMITED
from daemonless.containers.grammar_security import DEFAULT_CAPABILITIES
from daemonless.containers.host_facts import HostFacts
from daemonless.containers.request import RunRequest, Userns
from daemonless.errors import InvalidData, UsageError
from daemonless.isolation.userns import IdMap
from daemonless.oci.runtime import CAPABILITIES, RLIMITS

RANGES = ((0, 1000, 1), (1, 100000, 65536))
ID_MAP = IdMap(uids=RANGES, gids=RANGES)
SINGLE = IdMap(uids=((0, 1000, 1),), gids=((0, 1000, 1),), key="single", reason="no range")
HOST = HostFacts(hostname="host", rlimits=tuple((name, 1024, 4096) for name in RLIMITS), oom_score_adj=50)
LAST = len(CAPABILITIES) - 1


def build(image=None, *, id_map=ID_MAP, host=HOST, **fields):
    warnings = []
    built = process.build_process(
        RunRequest(image="a", **{"command": ("cmd",), **fields}),
        image or {},
        hostname="box",
        id_map=id_map,
        host=host,
        warn=warnings.append,
    )
    return built, warnings


@pytest.mark.parametrize(
    ("image_entrypoint", "image_cmd", "entrypoint", "command", "expected"),
    [
        (None, ["b"], None, (), ["b"]),
        (["a"], None, None, (), ["a"]),
        (["a"], ["b"], None, (), ["a", "b"]),
        (["a"], ["b"], None, ("c",), ["a", "c"]),
        (None, ["b"], None, ("c", "d"), ["c", "d"]),
        (["a"], ["b"], ("x",), (), ["x"]),
        (["a"], ["b"], ("x", "y"), ("c",), ["x", "y", "c"]),
        (["a"], ["b"], (), ("c",), ["c"]),
    ],
)
def test_arguments_combine_as_in_docker(image_entrypoint, image_cmd, entrypoint, command, expected):
    image = {"Entrypoint": image_entrypoint, "Cmd": image_cmd}
    assert build(image, entrypoint=entrypoint, command=command)[0]["args"] == expected


@pytest.mark.parametrize(
    ("image", "fields"),
    [({}, {}), ({"Cmd": ["b"]}, {"entrypoint": ()}), ({"Cmd": [""]}, {}), ({"Cmd": []}, {})],
)
def test_without_a_command_there_is_nothing_to_run(image, fields):
    with pytest.raises(UsageError, match="no command"):
        build(image, **{"command": (), **fields})


@pytest.mark.parametrize(
    "image",
    [{"Cmd": "sh"}, {"Entrypoint": [1]}, {"Env": "A=1"}, {"Entrypoint": ["a\0"]}, {"WorkingDir": 5},
     {"User": "a b"}, {"User": 5}, {"User": "4294967296"}, {"User": "-1"}],
)  # fmt: skip
def test_a_broken_image_config_is_refused(image):
    with pytest.raises(InvalidData, match="the image's"):
        build({"Cmd": ["a"], **image}, command=())


@pytest.mark.parametrize(
    ("image", "workdir", "expected"),
    [({}, "", "/"), ({"WorkingDir": "/app"}, "", "/app"), ({"WorkingDir": "app"}, "", "/app"),
     ({"WorkingDir": "/app"}, "/src", "/src"), ({"WorkingDir": ""}, "", "/")],
)  # fmt: skip
def test_working_directory(image, workdir, expected):
    assert build(image, workdir=workdir)[0]["cwd"] == expected


@pytest.mark.parametrize(
    ("user", "uid", "gid"),
    [
        ("", 0, 0),
        ("0", 0, 0),
        ("5", 5, 0),
        ("5:6", 5, 6),
        ("app", 0, 0),
        ("app:7", 0, 7),
        ("65536", 65536, 0),
    ],
)
def test_numbers_are_entered_and_names_left_to_the_start(user, uid, gid):
    found = build(user=user)[0]["user"]
    assert found == {"uid": uid, "gid": gid, "umask": 0o22, "additionalGids": [], "username": user}


def test_the_users_choice_comes_before_the_images():
    assert build({"User": "app"})[0]["user"]["username"] == "app"
    assert build({"User": "app"}, user="0")[0]["user"]["username"] == "0"


def test_keep_id_runs_as_the_caller_whatever_the_image_says():
    keep = Userns(mode="keep-id", uid=1000, gid=100)
    assert build({"User": "root"}, userns=keep)[0]["user"]["username"] == "1000:100"
    assert build({"User": "root"}, userns=keep, user="5")[0]["user"]["username"] == "5"


@pytest.mark.parametrize(
    ("user", "id_map"), [("65537", ID_MAP), ("0:65537", ID_MAP), ("1", SINGLE), ("0:1", SINGLE)]
)
def test_an_unmapped_number_is_refused(user, id_map):
    with pytest.raises(UsageError, match="not mapped") as caught:
        build(user=user, id_map=id_map)
    assert caught.value.hint


def test_a_name_passes_without_root_in_the_map():
    kept = IdMap(uids=((1000, 1000, 1),), gids=((1000, 1000, 1),))
    assert build(user="me", id_map=kept)[0]["user"]["username"] == "me"
    with pytest.raises(UsageError, match="not mapped"):
        build(id_map=kept)


@pytest.mark.parametrize("user", ["", "0", "00", "0:5"])
def test_capabilities_of_root(user):
    sets = build(user=user, cap_add=("CAP_NET_RAW",))[0]["capabilities"]
    expected = sorted({*DEFAULT_CAPABILITIES, "CAP_NET_RAW"})
    assert sets["bounding"] == sets["permitted"] == sets["effective"] == expected
    assert sets["inheritable"] == sets["ambient"] == []


@pytest.mark.parametrize("user", ["5", "app", "root", "1:0"])
def test_capabilities_of_others_are_those_added_by_name(user):
    sets = build(user=user)[0]["capabilities"]
    assert sets["bounding"] == sorted(DEFAULT_CAPABILITIES)
    assert sets["permitted"] == sets["effective"] == sets["inheritable"] == sets["ambient"] == []
    sets = build(user=user, cap_add=("CAP_NET_RAW",), cap_drop=("ALL",))[0]["capabilities"]
    assert all(names == ["CAP_NET_RAW"] for names in sets.values())


def test_privileged_root_has_all_the_kernel_knows():
    sets = build(privileged=True, host=HOST.replace(last_capability=37))[0]["capabilities"]
    assert sets["effective"] == sorted(CAPABILITIES[:38])
    assert sets["ambient"] == []
    assert build(privileged=True, user="5")[0]["capabilities"]["effective"] == []


def limits(built):
    return {limit["type"]: (limit["soft"], limit["hard"]) for limit in built["rlimits"]}


def test_default_limits_are_raised_to_the_callers_hard_limit():
    assert limits(build()[0]) == {"RLIMIT_NOFILE": (4096, 4096), "RLIMIT_NPROC": (4096, 4096)}
    assert limits(build(host_ulimits=True)[0]) == {}


def test_limits_are_clamped_instead_of_failing():
    built, warnings = build(ulimits=(("nofile", 100, 9999), ("core", 0, UNLIMITED), ("stack", 5, 5)))
    found = limits(built)
    assert found["RLIMIT_NOFILE"] == (100, 4096)
    assert found["RLIMIT_CORE"] == (0, 4096)
    assert found["RLIMIT_STACK"] == (5, 5)
    assert warnings == ["--ulimit nofile is lowered to your own hard limit, 4096"]


def test_oom_score_is_absent_or_clamped():
    assert "oomScoreAdj" not in build()[0]
    assert build(oom_score_adj=500)[0]["oomScoreAdj"] == 500
    built, warnings = build(oom_score_adj=-500)
    assert built["oomScoreAdj"] == 50
    assert "50" in warnings[0]


def run_exec(request, **options):
    own, _ = build(
        **{name: getattr(request, name) for name in ("user", "cap_add", "privileged", "env", "tty")}
    )
    built = process.exec_process(
        {"process": own}, request, ["ps"], id_map=ID_MAP, last_capability=HOST.last_capability, **options
    )
    return own, built


def test_exec_is_the_containers_process_with_another_command():
    own, built = run_exec(RunRequest(image="a", user="5", cap_add=("CAP_KILL",), env=("A=1",)))
    assert built == {**own, "args": ["ps"]}


def test_exec_changes_what_it_is_told_to():
    _, built = run_exec(
        RunRequest(image="a", user="5", env=("A=1", "B=2")),
        user="app",
        workdir="/x",
        tty=True,
        env=("A=3", "C="),
    )
    assert built["user"]["username"] == "app"
    assert built["cwd"] == "/x"
    assert built["terminal"] is True
    assert {"A=3", "B=2", "C=", "TERM=xterm"} <= set(built["env"])
    assert "A=1" not in built["env"]


def test_exec_as_another_user_loses_roots_capabilities_and_gains_none():
    _, built = run_exec(RunRequest(image="a"), user="app")
    assert built["capabilities"]["effective"] == []
    _, built = run_exec(RunRequest(image="a", user="app"), user="0")
    assert built["capabilities"]["effective"] == sorted(DEFAULT_CAPABILITIES)
    _, built = run_exec(RunRequest(image="a"), privileged=True)
    assert built["capabilities"]["effective"] == sorted(CAPABILITIES)


@pytest.mark.parametrize("user", ["a b", "4294967295", ":"])
def test_exec_refuses_an_odd_user(user):
    with pytest.raises(UsageError):
        run_exec(RunRequest(image="a"), user=user)
