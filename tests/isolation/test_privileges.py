"""Privileges dropped for real, in a child in a user namespace, and read back after execve."""

import json
import os
import resource
import select
import signal
import sys
import time

import pytest

from daemonless import syscalls as sc
from daemonless.containers.grammar_security import DEFAULT_CAPABILITIES
from daemonless.errors import InvalidData, SetupFailed
from daemonless.isolation import seccomp, userns
from daemonless.isolation.capabilities import last_capability, to_mask
from daemonless.isolation.identity import Identity, resolve
from daemonless.isolation.privileges import drop, prepare, set_oom_score_adj
from daemonless.oci.runtime import CAPABILITIES

DEFAULT = [*DEFAULT_CAPABILITIES]
ROOT = Identity(uid=0, gid=0, groups=(0,), home="/root")
USER = Identity(uid=1000, gid=1000, groups=(1000,), home="/")
RAW = ["CAP_NET_RAW"]


def as_root(bounding=DEFAULT, **changes):
    sets = {
        "bounding": bounding,
        "effective": bounding,
        "permitted": bounding,
        "inheritable": [],
        "ambient": [],
    }
    return {
        "user": {"uid": 0, "gid": 0},
        "capabilities": sets,
        "rlimits": [],
        "noNewPrivileges": False,
        **changes,
    }


def as_user(added=(), bounding=DEFAULT, **changes):
    sets = {name: [*added] for name in ("effective", "permitted", "inheritable", "ambient")}
    return as_root(**{"capabilities": {"bounding": [*bounding, *added], **sets}, **changes})


def single_map(inside):
    return userns.IdMap(uids=((inside, os.getuid(), 1),), gids=((inside, os.getgid(), 1),), key="single")


def range_map():
    """Return a map of many ids and how to write it: directly as root, with newuidmap as a user."""
    if os.geteuid() == 0:
        return userns.IdMap(uids=((0, 0, 65536),), gids=((0, 0, 65536),))
    return userns.load_id_map(os.getuid(), os.getgid())


def write_maps(pid, id_map):
    if os.geteuid() == 0 and not id_map.is_single:
        for name, ranges in (("uid_map", id_map.uids), ("gid_map", id_map.gids)):
            userns._write_proc(pid, name, " ".join(map(str, ranges[0])))
    else:
        userns.write_maps(pid, id_map)


def in_namespace(function, id_map):
    """Run `function` in a forked child with all capabilities of a new user namespace.

    Returns what it wrote to its standard output, or raises what it raised.
    """
    said_fd, out = os.pipe()
    begin, go = os.pipe()
    pid = sc.clone3(sc.CLONE_NEWUSER)
    if pid == 0:
        status = 1
        try:
            os.close(go)
            os.read(begin, 1)
            os.dup2(out, 1)
            if id_map.uids[0][0] == 0:
                userns.become_root(id_map)
            function()
            status = 0
        except BaseException as error:
            os.write(1, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(status)
    os.close(out)
    os.close(begin)
    try:
        write_maps(pid, id_map)
    finally:
        os.close(go)
        with os.fdopen(said_fd) as said:
            text = said.read()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise AssertionError(f"{status}: {text}")
    return text


def state_after_exec(process, who, program=b"", id_map=None, before=None):
    """Return /proc/self/status and limits of /bin/cat, executed with the dropped privileges."""
    id_map = id_map or single_map(who.uid)

    def function():
        if before:
            before()
        drop(prepare(process, who, program, keep_groups=id_map.is_single))
        os.execve("/bin/cat", ["cat", "/proc/self/status", "/proc/self/limits"], {})

    state = {}
    for line in in_namespace(function, id_map).splitlines():
        name, colon, value = line.partition(":\t")
        if colon:
            state[name] = value.strip()
        elif line.startswith("Max "):
            state[line[:26].strip()] = line[26:].split()[:2]
    return state


def masks(state):
    return {name: int(state[f"Cap{name}"], 16) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")}


def default_program(caps=DEFAULT):
    return seccomp._compile(seccomp.section_for("", frozenset(caps)))


# --- capabilities ------------------------------------------------------------------------------


@pytest.mark.parametrize("no_new_privileges", [False, True])
@pytest.mark.parametrize("bounding", [DEFAULT, [], [*DEFAULT, "CAP_SYS_ADMIN"]])
def test_root_has_the_bounding_set_and_passes_nothing_on(bounding, no_new_privileges):
    process = as_root(bounding, noNewPrivileges=no_new_privileges)
    state = state_after_exec(process, ROOT, default_program(bounding))
    mask = to_mask(bounding)
    assert masks(state) == {"Inh": 0, "Prm": mask, "Eff": mask, "Bnd": mask, "Amb": 0}
    assert state["Seccomp"] == "2"
    assert state["Seccomp_filters"] == str(inherited_filters() + 1)
    assert state["NoNewPrivs"] == str(int(no_new_privileges))


def inherited_filters():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("Seccomp_filters"))


@pytest.mark.parametrize("no_new_privileges", [False, True])
@pytest.mark.parametrize("added", [[], RAW, ["CAP_NET_RAW", "CAP_SYS_ADMIN"]])
def test_a_user_has_what_was_added_and_keeps_it_across_exec(added, no_new_privileges):
    process = as_user(added, noNewPrivileges=no_new_privileges)
    state = state_after_exec(process, USER, default_program())
    mask = to_mask(added)
    expected = {"Inh": mask, "Prm": mask, "Eff": mask, "Bnd": to_mask(DEFAULT) | mask, "Amb": mask}
    assert masks(state) == expected
    assert state["Seccomp"] == "2"
    assert state["Uid"].split() == ["1000"] * 4


def test_a_user_without_additions_has_no_capability_at_all():
    """Even if the spec gives root's lists: CVE-2022-29162 and its kin were inheritable sets."""
    process = as_root(DEFAULT)
    process["capabilities"]["inheritable"] = DEFAULT
    state = state_after_exec(process, USER)
    assert {name: masks(state)[name] for name in ("Prm", "Eff", "Amb")} == {"Prm": 0, "Eff": 0, "Amb": 0}


def test_nobody_gets_more_than_the_bounding_set():
    process = as_user()
    wide = ["CAP_SYS_ADMIN", "CAP_KILL"]
    sets = dict.fromkeys(("effective", "permitted", "inheritable", "ambient"), wide)
    process["capabilities"] = {"bounding": ["CAP_KILL"], **sets}
    kill = to_mask(["CAP_KILL"])
    assert masks(state_after_exec(process, USER)) == dict.fromkeys(("Inh", "Prm", "Eff", "Bnd", "Amb"), kill)
    process["capabilities"]["inheritable"] = ["CAP_KILL", "CAP_SYS_ADMIN"]
    assert masks(state_after_exec(process, ROOT))["Inh"] == 0


def test_each_set_is_cut_to_what_the_kernel_would_take():
    """Ambient lies within permitted and inheritable, and all lie within the bounding set."""
    process = as_root(["CAP_CHOWN", "CAP_KILL", "CAP_FOWNER"])
    process["capabilities"].update(
        permitted=["CAP_CHOWN", "CAP_KILL", "CAP_SYS_ADMIN"],
        effective=["CAP_CHOWN", "CAP_FOWNER"],
        inheritable=["CAP_FOWNER", "CAP_KILL", "CAP_SYS_ADMIN"],
        ambient=["CAP_CHOWN", "CAP_FOWNER", "CAP_KILL", "CAP_SYS_ADMIN"],
    )
    prepared = prepare(process, USER, b"", keep_groups=True)
    assert prepared.permitted == to_mask(["CAP_CHOWN", "CAP_KILL"])
    assert prepared.effective == to_mask(["CAP_CHOWN"])
    assert prepared.inheritable == to_mask(["CAP_FOWNER", "CAP_KILL"])
    assert prepared.ambient == (5,)  # CAP_KILL
    assert {*prepared.dropped} == {*range(last_capability() + 1)} - {0, 3, 5}


def test_all_capabilities_are_those_the_kernel_has():
    state = state_after_exec(as_root(CAPABILITIES), ROOT)
    assert masks(state)["Bnd"] == masks(state)["Eff"] == (2 << last_capability()) - 1


# --- identity ----------------------------------------------------------------------------------


needs_range = pytest.mark.skipif(
    os.geteuid() != 0 and userns.load_id_map(os.getuid(), os.getgid()).is_single,
    reason="the user has no subordinate ids",
)


@needs_range
@pytest.mark.parametrize(
    ("who", "extra", "groups"),
    [
        (ROOT, [], [0]),
        (Identity(uid=33, gid=34, groups=(34, 29, 44)), [], [29, 34, 44]),
        (Identity(uid=33, gid=34, groups=(34,)), [60, 34], [34, 60]),
        (Identity(uid=0, gid=7, groups=()), [], []),
    ],
)
def test_ids_and_groups_are_exactly_those_asked_for(who, extra, groups):
    process = as_root() if who.uid == 0 else as_user(RAW)
    process["user"]["additionalGids"] = extra
    state = state_after_exec(process, who, default_program(), range_map())
    assert state["Uid"].split() == [str(who.uid)] * 4
    assert state["Gid"].split() == [str(who.gid)] * 4
    assert [*map(int, state["Groups"].split())] == groups
    if who.uid:
        raw = to_mask(RAW)
        assert masks(state) == {"Inh": raw, "Prm": raw, "Eff": raw, "Bnd": to_mask(DEFAULT) | raw, "Amb": raw}


@needs_range
def test_the_callers_groups_do_not_leak():
    def join_others():
        os.setgroups([5, 6, 7])

    who = Identity(uid=33, gid=33, groups=(33,))
    state = state_after_exec(as_user(), who, id_map=range_map(), before=join_others)
    assert state["Groups"] == "33"


@pytest.mark.parametrize(
    "who",
    [Identity(uid=5, gid=0, groups=()), Identity(uid=0, gid=5, groups=())],
)
def test_an_id_that_is_not_mapped_is_refused(who):
    with pytest.raises(AssertionError, match=r"SetupFailed: cannot run as uid . with groups . ?.*not mapped"):
        state_after_exec(as_user(), who, id_map=single_map(0))


@pytest.mark.parametrize("uid", [-1, 0xFFFFFFFF, 1 << 32])
def test_an_id_the_kernel_takes_for_no_change_is_refused(uid):
    for who in (Identity(uid=uid, gid=0), Identity(uid=0, gid=uid), Identity(uid=0, gid=0, groups=(uid,))):
        with pytest.raises(InvalidData, match="out of range"):
            prepare(as_root(), who, b"", keep_groups=True)


# --- the rest of the process -------------------------------------------------------------------


def test_umask_and_limits():
    limits = [
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 4096},
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 1 << 40},
        {"type": "RLIMIT_FSIZE", "soft": 1 << 20, "hard": (1 << 64) - 1},
    ]

    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))

    process = as_root(rlimits=limits, user={"uid": 0, "gid": 0, "umask": 0o027})
    state = state_after_exec(process, ROOT, default_program(), before=lower)
    assert state["Umask"] == "0027"
    assert state["Max core file size"] == ["0", "4096"]
    assert state["Max open files"] == ["100", "300"]
    assert state["Max file size"] == ["1048576", "unlimited"]


def test_umask_is_022_unless_given():
    assert state_after_exec(as_root(), ROOT)["Umask"] == "0022"


def test_a_limit_above_ones_own_is_lowered_with_a_warning():
    own = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    entry = {"type": "RLIMIT_NOFILE", "soft": own + 5, "hard": own + 5}
    prepared = prepare(as_root(rlimits=[entry]), ROOT, b"", keep_groups=True)
    assert prepared.rlimits == ((resource.RLIMIT_NOFILE, own, own),)
    assert prepared.warnings == (f"limit nofile is lowered to {own}, your own hard limit",)
    entry = {"type": "RLIMIT_NOFILE", "soft": own, "hard": own}
    assert prepare(as_root(rlimits=[entry]), ROOT, b"", keep_groups=True).warnings == ()


def test_unknown_names_are_refused():
    with pytest.raises(InvalidData, match="there is no limit wings"):
        prepare(
            as_root(rlimits=[{"type": "RLIMIT_WINGS", "soft": 1, "hard": 1}]), ROOT, b"", keep_groups=True
        )
    with pytest.raises(InvalidData, match="there is no capability CAP_FLY"):
        prepare(as_root(["CAP_FLY"]), ROOT, b"", keep_groups=True)


def test_the_process_dies_with_its_parent():
    """PR_SET_PDEATHSIG is the last but one thing set, because a change of ids clears it."""
    alive, held = os.pipe()
    parent = os.fork()
    if parent == 0:
        os.close(alive)

        def parent_of_the_process():
            dropped = prepare(as_user(), USER, b"", keep_groups=True, death_signal=signal.SIGKILL)
            ready, done = os.pipe()
            if os.fork() == 0:
                drop(dropped)
                os.write(done, b"!")
                time.sleep(30)
            os.read(ready, 1)

        try:
            in_namespace(parent_of_the_process, single_map(1000))
            os._exit(0)
        finally:
            os._exit(1)
    os.close(held)
    ended = bool(select.select([alive], [], [], 10)[0])
    assert os.waitstatus_to_exitcode(os.waitpid(parent, 0)[1]) == 0
    assert ended
    assert os.read(alive, 1) == b""
    os.close(alive)


def test_the_oom_score_is_raised_and_never_lowered_by_force():
    def function():
        assert set_oom_score_adj({})
        assert set_oom_score_adj({"oomScoreAdj": 900})
        lowered = set_oom_score_adj({"oomScoreAdj": -1000})
        with open("/proc/self/oom_score_adj") as file:
            os.write(1, json.dumps([lowered, int(file.read())]).encode())

    lowered, value = json.loads(in_namespace(function, single_map(0)))
    assert (lowered, value) == (False, 900)


def test_a_fresh_session_keyring_is_joined_or_done_without(monkeypatch):
    calls = []
    for number, tolerated in ((38, True), (1, True), (122, True), (12, False)):

        def fail(number=number):
            calls.append(number)
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(sc, "join_session_keyring", fail)
        if tolerated:
            assert state_after_exec(as_root(), ROOT)["Umask"] == "0022"
        else:
            with pytest.raises(AssertionError, match="cannot join a session keyring: Cannot allocate memory"):
                state_after_exec(as_root(), ROOT)


# --- seccomp -----------------------------------------------------------------------------------


def test_the_kernel_enforces_the_default_profile():
    table = {
        "AF_INET": (41, 2, 1, 0),
        "AF_ALG": (41, 38, 5, 0),
        "AF_ALG with the high word set": (41, 38 | 1 << 32, 5, 0),
        "AF_VSOCK": (41, 40, 1, 0),
        "unshare user": (272, sc.CLONE_NEWUSER),
        "io_uring_setup": (425, 1, 0),
        "clone3": (435, 0, 0),
        "keyctl": (250, 0, -3, 0),
        "x32 getpid": (0x40000000 + 39,),
        "newer than the kernel": (5000,),
        "getppid": (110,),
    }
    if sc.MACHINE != "x86_64":
        pytest.skip("the numbers are those of x86-64")

    def function():
        drop(prepare(as_root(), ROOT, default_program(), keep_groups=True))
        result = {}
        for name, (number, *args) in table.items():
            try:
                sc._call(number, *args)
                result[name] = 0
            except OSError as error:
                result[name] = error.errno
        os.write(1, json.dumps(result).encode())

    assert json.loads(in_namespace(function, single_map(0))) == {
        "AF_INET": 0,
        "AF_ALG": 97,
        "AF_ALG with the high word set": 97,
        "AF_VSOCK": 97,
        "unshare user": 1,
        "io_uring_setup": 38,
        "clone3": 38,
        "keyctl": 38,
        "x32 getpid": 38,
        "newer than the kernel": 38,
        "getppid": 0,
    }


def test_the_filter_comes_last_with_no_new_privileges():
    """A profile may then deny even what dropping privileges needs."""
    denied = ["capset", "setresuid", "setgroups", "prlimit64", "umask"]
    section = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": denied, "action": "SCMP_ACT_ERRNO", "errnoRet": 13}],
    }
    program = seccomp._compile(section)
    state = state_after_exec(as_root(noNewPrivileges=True), ROOT, program)
    assert state["Seccomp"] == "2"
    with pytest.raises(AssertionError, match="SetupFailed: cannot set the capabilities: Permission denied"):
        state_after_exec(as_root(), ROOT, program)


def test_a_program_the_kernel_refuses_stops_the_start():
    with pytest.raises(
        AssertionError, match="SetupFailed: cannot install the seccomp filter: Invalid argument"
    ):
        state_after_exec(as_root(), ROOT, bytes(8))


# --- inside a container's root (shared invariant PY-1) -------------------------------------------


@pytest.mark.parametrize("user", ["app", "1000", "nobody\x1b", "passwd"])
def test_nothing_is_imported_opened_or_looked_up_on_the_way(tmp_path, user):
    """From the moment the root is entered; errors included, for they are sent from inside."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("app:x:1000:1000::/home/app:/bin/sh\n")
    if user == "passwd":
        (tmp_path / "etc/passwd").unlink()
        (tmp_path / "etc/passwd").mkdir()
    program = default_program()
    process = as_user(RAW, rlimits=[{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}])

    def function():
        root_fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
        forbidden = ("import", "open", "ctypes.dlopen", "compile", "exec", "subprocess.Popen", "os.listdir")

        def hook(event, args):
            if event in forbidden:
                os.write(1, f"{event} {args}".encode())
                os._exit(97)

        sys.path.clear()
        sys.meta_path.clear()
        sys.path_hooks.clear()
        sys.addaudithook(hook)
        try:
            who = resolve(root_fd, user, ())
            drop(prepare(process, who, program, keep_groups=True, death_signal=9))
            answer = b"dropped"
        except (SetupFailed, InvalidData) as error:
            answer = error.message.encode()
        os.write(1, answer)
        os._exit(0)

    said = in_namespace(function, single_map(1000))
    if user in ("app", "1000"):
        assert said == "dropped"
    else:
        assert said.startswith(
            ("unable to find user nobody\\x1b: it is", "the container's /etc/passwd is not")
        )
