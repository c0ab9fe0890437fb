"""The program is run in an interpreter and compared with the section, call by call."""

import itertools
import json
import operator
import os
import subprocess
import sys

import bpf_interpreter
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemonless.containers.grammar_security import DEFAULT_CAPABILITIES
from daemonless.errors import InvalidData, SetupFailed, Unsupported
from daemonless.isolation import bpf, seccomp
from daemonless.isolation.bpf import compile_section
from daemonless.isolation.syscall_numbers import LAST, system_calls
from daemonless.oci.runtime import CAPABILITIES

PODMAN_CAPS = frozenset(DEFAULT_CAPABILITIES)
ALL_CAPS = frozenset(CAPABILITIES)
CAP_SETS = {
    "none": frozenset(),
    "default": PODMAN_CAPS,
    "audit": PODMAN_CAPS | {"CAP_AUDIT_WRITE"},
    "admin": PODMAN_CAPS | {"CAP_SYS_ADMIN"},
    "bpf": PODMAN_CAPS | {"CAP_BPF", "CAP_PERFMON"},
    "all": ALL_CAPS,
}
AUDIT = {"x86_64": 0xC000003E, "x86": 0x40000003, "aarch64": 0xC00000B7, "arm": 0x40000028}
SUBS = {"x86_64": ("x86_64", "x86"), "aarch64": ("aarch64", "arm")}
ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x50000
EPERM, EINVAL, ENOSYS, EAFNOSUPPORT = ERRNO | 1, ERRNO | 22, ERRNO | 38, ERRNO | 97
WORD, LONG = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF

VALUES = {
    "SCMP_ACT_ALLOW": ALLOW,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_TRAP": 0x30000,
    "SCMP_ACT_KILL": 0,
    "SCMP_ACT_KILL_THREAD": 0,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
}


def default_section(caps=PODMAN_CAPS, architecture="", machine="x86_64"):
    profile = seccomp.load_profile(seccomp.DEFAULT_PROFILE)
    return seccomp.resolve_profile(profile, caps, architecture, machine)


def native_section(caps=PODMAN_CAPS):
    return seccomp.section_for("", caps)


def rule(**changes):
    return {"names": ["read"], "action": "SCMP_ACT_ALLOW", **changes}


def arg(**changes):
    return {"index": 0, "op": "SCMP_CMP_EQ", "value": 1, "valueTwo": 0, **changes}


def answer_of(action, errno):
    return VALUES[action] if action in VALUES else ERRNO | (1 if errno is None else errno)


COMPARE = {
    "SCMP_CMP_EQ": operator.eq,
    "SCMP_CMP_NE": operator.ne,
    "SCMP_CMP_LT": operator.lt,
    "SCMP_CMP_LE": operator.le,
    "SCMP_CMP_GE": operator.ge,
    "SCMP_CMP_GT": operator.gt,
}


def holds(arg, args):
    value = args[arg["index"]]
    if arg["op"] == "SCMP_CMP_MASKED_EQ":
        return value & arg["value"] == arg.get("valueTwo", 0)
    return COMPARE[arg["op"]](value, arg["value"])


def rules_by_name(section):
    """Return, for each call, the (conditions, any or all of them, answer) of its rules, in order."""
    result = {}
    for rule in section["syscalls"]:
        conditions = rule.get("args") or []
        quantifier = any if len({c["index"] for c in conditions}) < len(conditions) else all
        for name in rule["names"]:
            answer = answer_of(rule["action"], rule.get("errnoRet"))
            result.setdefault(name, []).append((conditions, quantifier, answer))
    return result


def matching(rules, args):
    """Return the answers of all rules that match a call, in order."""
    return [answer for conditions, match, answer in rules if match(holds(c, args) for c in conditions)]


def expected(section, rules, args):
    answers = matching(rules, args)
    return answers[0] if answers else answer_of(section["defaultAction"], section.get("defaultErrnoRet"))


def interesting_args(rules):
    """Return argument vectors around every value that the rules compare with."""
    seen = {}
    for conditions, _, _ in rules:
        for arg in conditions:
            values = seen.setdefault(arg["index"], {0, 46, WORD, LONG})
            for base in (arg["value"], arg.get("valueTwo") or 0):
                near = (base - 1, base, base + 1, base ^ (1 << 32))
                values.update(value & LONG for value in near)
    axes = [sorted(seen.get(index, {0})) for index in range(6)]
    return itertools.product(*axes)


def check_every_call(section, machine):
    code = bpf_interpreter.decode(compile_section(section, machine))
    by_name = rules_by_name(section)
    for table in SUBS[machine]:
        calls = system_calls(table)
        names = {number: name for name, number in calls.items()}
        for number in range(LAST + 1):
            rules = by_name.get(names.get(number), [])
            for args in interesting_args(rules):
                answer = bpf_interpreter.run(code, AUDIT[table], number, args)[0]
                assert answer == expected(section, rules, args), (table, number, args)
    return code


@pytest.mark.parametrize(
    ("machine", "architecture", "caps"),
    [
        ("x86_64", "amd64", "default"),
        ("x86_64", "amd64", "audit"),
        ("x86_64", "386", "all"),
        ("aarch64", "arm64", "default"),
    ],
)
def test_the_default_program_answers_every_call_as_its_section_says(machine, architecture, caps):
    code = check_every_call(default_section(CAP_SETS[caps], architecture, machine), machine)
    assert len(code) < 1000


@pytest.mark.parametrize("caps", CAP_SETS.values(), ids=CAP_SETS)
def test_the_default_profile_does_not_depend_on_the_order_of_its_groups(caps):
    for name, rules in rules_by_name(default_section(caps)).items():
        for args in interesting_args(rules) if len(rules) > 1 else ():
            assert len({*matching(rules, args)}) <= 1, (name, args)


def test_a_call_costs_few_instructions():
    code = bpf_interpreter.decode(compile_section(default_section(), "x86_64"))
    costs = [bpf_interpreter.run(code, AUDIT["x86_64"], number)[1] for number in range(LAST + 1)]
    assert max(costs) < 80
    assert sum(costs) / len(costs) < 15


NEW_NAMESPACES = (1 << 7, 1 << 17, 1 << 25, 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30)
MOUNTS = (
    *(
        "mount",
        "umount2",
        "setns",
        "pivot_root",
        "open_tree",
        "open_tree_attr",
        "fsopen",
        "fsconfig",
        "fsmount",
    ),
    *("fspick", "move_mount", "mount_setattr", "sethostname", "setdomainname", "quotactl", "fanotify_init"),
)
ABSENT = ("io_uring_setup", "io_uring_enter", "io_uring_register", "add_key", "keyctl", "request_key")
OBSOLETE = ("userfaultfd", "kexec_load", "kexec_file_load", "swapon", "swapoff", "vmsplice")
GOLDEN = [
    # call, arguments, capabilities, answer
    ("read", (), "none", ALLOW),
    ("execve", (), "none", ALLOW),
    ("ptrace", (), "none", ALLOW),
    *[("socket", (family, 1, 0), "default", ALLOW) for family in (1, 2, 10, 17, 29, 31, 45)],
    *[("socket", (family, 5, 0), "all", EAFNOSUPPORT) for family in (38, 40)],
    *[("socket", (38 | high, 5, 0), "default", EAFNOSUPPORT) for high in (1 << 32, 1 << 63)],
    ("socket", (46, 1, 0), "all", ENOSYS),
    ("socket", (16, 3, 0), "default", ALLOW),
    ("socket", (16, 3, 9), "default", EINVAL),
    ("socket", (16 | 1 << 40, 3, 9 | 1 << 40), "default", EINVAL),
    ("socket", (16, 3, 9), "audit", ALLOW),
    ("socketpair", (1, 1, 0), "default", ALLOW),
    ("socketcall", (), "all", ENOSYS),
    *[("unshare", (flag,), "default", EPERM) for flag in NEW_NAMESPACES],
    *[("clone", (flag | 17,), "default", EPERM) for flag in NEW_NAMESPACES[1:]],
    ("unshare", (0x10000000,), "admin", ALLOW),
    ("unshare", (0x400,), "default", ALLOW),  # CLONE_FILES
    ("clone", (0x003D0F00,), "default", ALLOW),  # a thread of glibc
    ("clone", (0x10000011,), "admin", ALLOW),
    ("clone3", (), "default", ENOSYS),
    ("clone3", (), "admin", ALLOW),
    *[(name, (), "default", EPERM) for name in MOUNTS],
    *[(name, (), "admin", ALLOW) for name in MOUNTS],
    *[(name, (), "all", ENOSYS) for name in ABSENT],
    *[(name, (), "all", EPERM) for name in OBSOLETE],
    ("bpf", (), "default", EPERM),
    ("bpf", (), "bpf", ALLOW),
    ("perf_event_open", (), "default", EPERM),
    ("perf_event_open", (), "bpf", ALLOW),
    ("open_by_handle_at", (), "default", EPERM),
    ("open_by_handle_at", (), "all", ALLOW),
    ("init_module", (), "default", EPERM),
    ("syslog", (), "default", EPERM),
    ("reboot", (), "default", EPERM),
    ("chroot", (), "default", ALLOW),
    ("chroot", (), "none", EPERM),
    ("pidfd_getfd", (), "default", EPERM),
    ("clock_settime", (), "default", EPERM),
    *[("personality", (value,), "default", ALLOW) for value in (0, 8, 0x20000, 0x20008, WORD, LONG)],
    ("personality", (0x40000,), "all", ENOSYS),
    ("fchmodat2", (), "none", ALLOW),
    ("_sysctl", (), "all", ENOSYS),
]


@pytest.mark.parametrize(("name", "args", "caps", "answer"), GOLDEN)
def test_what_the_default_profile_allows(name, args, caps, answer):
    table = "x86" if name == "socketcall" else "x86_64"
    code = bpf_interpreter.decode(compile_section(default_section(CAP_SETS[caps]), "x86_64"))
    assert bpf_interpreter.run(code, AUDIT[table], system_calls(table)[name], args)[0] == answer


@pytest.mark.parametrize(
    ("architecture", "answer"), [("386", ALLOW), ("amd64", ENOSYS), ("", ENOSYS), ("arm64", ENOSYS)]
)
def test_socketcall_is_for_32_bit_images_alone(architecture, answer):
    """arm64 stands for every image that an emulator runs: its calls are the machine's own."""
    code = bpf_interpreter.decode(compile_section(default_section(architecture=architecture), "x86_64"))
    assert bpf_interpreter.run(code, AUDIT["x86"], 102)[0] == answer


@pytest.mark.parametrize("default", ["SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW"])
def test_foreign_architectures_and_x32(default):
    section = {
        "defaultAction": default,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"],
        "syscalls": [],
    }
    code = bpf_interpreter.decode(compile_section(section, "x86_64"))
    for arch in (AUDIT["x86"], AUDIT["aarch64"], 0, WORD):
        assert bpf_interpreter.run(code, arch, 0)[0] == KILL_PROCESS
    for number in (0x40000000, 0x40000001, 0x40000000 + 521, 0x7FFFFFFF, WORD):
        assert bpf_interpreter.run(code, AUDIT["x86_64"], number)[0] == ENOSYS


@pytest.mark.parametrize(
    ("action", "answer"),
    [("SCMP_ACT_ERRNO", ENOSYS), ("SCMP_ACT_ALLOW", ALLOW), ("SCMP_ACT_KILL_PROCESS", KILL_PROCESS)],
)
def test_calls_newer_than_the_tables(action, answer):
    section = {"defaultAction": action, "syscalls": []}
    code = bpf_interpreter.decode(compile_section(section, "x86_64"))
    own = EPERM if action == "SCMP_ACT_ERRNO" else answer
    assert bpf_interpreter.run(code, AUDIT["x86_64"], LAST)[0] == own
    assert bpf_interpreter.run(code, AUDIT["x86_64"], LAST + 1)[0] == answer


def test_private_calls_of_arm():
    code = bpf_interpreter.decode(compile_section(default_section(machine="aarch64"), "aarch64"))
    assert bpf_interpreter.run(code, AUDIT["arm"], 0xF0002)[0] == ALLOW  # cacheflush
    assert bpf_interpreter.run(code, AUDIT["arm"], 0xF0003)[0] == ENOSYS  # usr26
    denying = {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]}
    code = bpf_interpreter.decode(compile_section(denying, "aarch64"))
    assert bpf_interpreter.run(code, AUDIT["arm"], 0xF0003)[0] == EPERM
    for number in (0xF0000, 0xF0007):
        assert bpf_interpreter.run(code, AUDIT["arm"], number)[0] == ENOSYS


OPERATORS = ("EQ", "NE", "LT", "LE", "GE", "GT", "MASKED_EQ")
numbers = st.sampled_from([0, 1, 9, WORD, WORD + 1, 0x1_0000_0005, 1 << 63, LONG]) | st.integers(0, LONG)
arguments = st.builds(
    lambda index, op, value, two: {"index": index, "op": f"SCMP_CMP_{op}", "value": value, "valueTwo": two},
    st.integers(0, 2),
    st.sampled_from(OPERATORS),
    numbers,
    numbers,
)
rules = st.builds(
    lambda names, action, args: {"names": names, "action": action, "args": args},
    st.lists(st.sampled_from(["read", "write", "open", "mmap", "rseq", "landlock_add_rule"]), min_size=1),
    st.sampled_from([*VALUES, "SCMP_ACT_ERRNO"]),
    st.lists(arguments, max_size=4),
)


@settings(max_examples=50, deadline=None, database=None)
@given(st.lists(rules, max_size=8), st.sampled_from(["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"]))
def test_any_section_means_what_it_says(syscalls, default):
    section = {"defaultAction": default, "syscalls": syscalls}
    code = bpf_interpreter.decode(compile_section(section, "x86_64"))
    by_name = rules_by_name(section)
    for name in ("read", "write", "rseq", "close"):
        number, own = system_calls("x86_64")[name], by_name.get(name, [])
        for args in itertools.islice(interesting_args(own), 0, 3000, 43):
            assert bpf_interpreter.run(code, AUDIT["x86_64"], number, args)[0] == expected(section, own, args)


def test_jumps_reach_across_a_large_program():
    syscalls = [
        {
            "names": [name],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 1, "op": "SCMP_CMP_EQ", "value": number << 33 | 7, "valueTwo": 0}],
        }
        for number, name in enumerate(sorted(system_calls("x86_64")))
    ]
    section = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": syscalls}
    code = bpf_interpreter.decode(compile_section(section, "x86_64"))
    assert 1500 < len(code) < 4096
    for number, name in enumerate(sorted(system_calls("x86_64"))):
        call = system_calls("x86_64")[name]
        assert bpf_interpreter.run(code, AUDIT["x86_64"], call, (0, number << 33 | 7))[0] == ALLOW
        assert bpf_interpreter.run(code, AUDIT["x86_64"], call, (0, number << 33 | 6))[0] == EPERM


def test_a_program_of_more_than_4096_instructions_is_refused():
    args = [{"index": 0, "op": "SCMP_CMP_EQ", "value": value, "valueTwo": 0} for value in range(1100)]
    section = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule(args=args)]}
    with pytest.raises(InvalidData, match="too large"):
        compile_section(section, "x86_64")


@pytest.mark.parametrize(
    ("profile", "kind", "message"),
    [
        ({}, InvalidData, "has no defaultAction"),
        ({"defaultAction": "ALLOW"}, InvalidData, "unknown action: ALLOW"),
        ({"defaultAction": 3}, InvalidData, "unknown action: 3"),
        ({"defaultAction": "SCMP_ACT_NOTIFY"}, Unsupported, "SCMP_ACT_NOTIFY"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 5000}, InvalidData, "errno out of range"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EWHAT"}, InvalidData, "unknown errno: EWHAT"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{}]}, InvalidData, "has no name"),
        (
            {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"]}]},
            InvalidData,
            "has no action",
        ),
        ({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": 5}, InvalidData, "not in docker's format"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": ["read"]}, InvalidData, "not in docker's format"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule(names=[5])]}, InvalidData, "not in docker's"),
        (
            {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule(args=[arg(index=6)])]},
            InvalidData,
            "argument 6",
        ),
        ({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule(args=[arg(op="EQ")])]}, InvalidData, "EQ"),
        (
            {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule(args=[arg(value=-1)])]},
            InvalidData,
            "value: -1",
        ),
        (
            {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule(args=[arg(value="1")])]},
            InvalidData,
            "value: 1",
        ),
        (
            {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule(args=[1])]},
            InvalidData,
            "breaks the runtime spec",
        ),
        ({"defaultAction": "SCMP_ACT_ERRNO", "flags": ["SECCOMP_FILTER_FLAG_LOG"]}, Unsupported, "FLAG_LOG"),
        (
            {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_S390X"]},
            InvalidData,
            "does not cover",
        ),
        (
            {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule(includes={"minKernel": "new"})]},
            InvalidData,
            "not in docker's format",
        ),
        (
            {"defaultAction": "SCMP_ACT_ALLOW", "architectures": [], "syscalls": [{}]},
            InvalidData,
            "action: None",
        ),
        ({"defaultAction": "SCMP_ACT_ALLOW", "architectures": [], "syscalls": 1}, InvalidData, "breaks the"),
        (
            {"defaultAction": "SCMP_ACT_ALLOW", "architectures": [], "syscalls": ["x"]},
            InvalidData,
            "breaks the",
        ),
    ],
)
def test_broken_profiles_are_refused_when_a_container_is_created(tmp_path, profile, kind, message):
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(profile))
    with pytest.raises(kind, match=message) as caught:
        seccomp.section_for(str(path), PODMAN_CAPS)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(("text", "kind"), [("[]", InvalidData), ("{", InvalidData), ("", InvalidData)])
def test_files_that_hold_no_profile(tmp_path, text, kind):
    path = tmp_path / "profile.json"
    path.write_text(text)
    with pytest.raises(kind):
        seccomp.section_for(str(path), PODMAN_CAPS)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(SetupFailed, match="No such file"):
        seccomp.section_for(str(tmp_path / "none"), PODMAN_CAPS)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InvalidData, match="not a regular file"):
        seccomp.section_for(str(tmp_path / "fifo"), PODMAN_CAPS)


def test_unconfined_has_no_section():
    assert seccomp.section_for("unconfined", PODMAN_CAPS) is None


def test_an_unknown_architecture_is_unsupported():
    with pytest.raises(Unsupported, match="riscv64"):
        default_section(machine="riscv64")


def test_groups_are_chosen_by_capability_architecture_and_kernel():
    def names(caps, architecture, machine="x86_64", **group):
        profile = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule(**group)]}
        return bool(seccomp.resolve_profile(profile, frozenset(caps), architecture, machine)["syscalls"])

    assert names((), "amd64")
    assert names(("CAP_A",), "amd64", includes={"caps": ["CAP_A"]})
    assert not names(("CAP_A",), "amd64", includes={"caps": ["CAP_A", "CAP_B"]})
    assert not names(("CAP_A",), "amd64", excludes={"caps": ["CAP_B", "CAP_A"]})
    assert names((), "386", includes={"arches": ["x86"]})
    assert not names((), "amd64", includes={"arches": ["x86", "arm"]})
    assert not names((), "arm64", "aarch64", excludes={"arches": ["arm64"]})
    assert names((), "arm64", "x86_64", excludes={"arches": ["arm64"]})
    assert names((), "arm", "aarch64", includes={"arches": ["arm"]})
    assert names((), "amd64", includes={"minKernel": "4.8"})
    assert not names((), "amd64", includes={"minKernel": "99.0"})
    assert not names((), "amd64", excludes={"minKernel": "4.8"})
    assert names((), "amd64", excludes={"minKernel": "99.0"}, includes={}, comment="x")


def test_podmans_spelling_of_an_errno_and_one_name_a_group():
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrno": "ENOSYS",
        "syscalls": [{"name": "read", "action": "SCMP_ACT_ERRNO", "errno": "EPERM", "errnoRet": 22}],
    }
    section = seccomp.resolve_profile(profile, PODMAN_CAPS)
    assert section["defaultErrnoRet"] == 38
    assert section["syscalls"] == [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]


def test_a_denial_before_an_allowance_stands():
    section = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [rule(action="SCMP_ACT_KILL", args=[arg(value=3)]), rule(), rule(action="SCMP_ACT_LOG")],
    }
    code = bpf_interpreter.decode(compile_section(section, "x86_64"))
    assert bpf_interpreter.run(code, AUDIT["x86_64"], 0, (3,))[0] == 0
    assert bpf_interpreter.run(code, AUDIT["x86_64"], 0, (4,))[0] == ALLOW


# --- the cache ---------------------------------------------------------------------------------


def cached_file(cache):
    (path,) = (cache / "seccomp").iterdir()
    return path


def test_a_program_is_compiled_once_and_kept_private(tmp_path):
    section = native_section()
    program = seccomp.load_program(section, str(tmp_path))
    assert program == compile_section(section)
    path = cached_file(tmp_path)
    assert path.stat().st_mode & 0o7777 == 0o600
    before = path.stat().st_mtime_ns, path.stat().st_ino
    assert seccomp.load_program(json.loads(json.dumps(section)), str(tmp_path)) == program
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
    seccomp.load_program(native_section(ALL_CAPS), str(tmp_path))
    assert len([*(tmp_path / "seccomp").iterdir()]) == 2


def test_a_cached_program_needs_no_compiler(tmp_path):
    seccomp.load_program(native_section(), str(tmp_path))
    program = (
        "import sys; sys.path[:0] = [sys.argv[1]]\n"
        "from daemonless.isolation import seccomp\n"
        "caps = frozenset(sys.argv[3:])\n"
        "seccomp.load_program(seccomp.section_for('', caps), sys.argv[2])\n"
        "print('daemonless.isolation.bpf' in sys.modules)\n"
    )
    root = seccomp.__file__.rpartition("/daemonless/")[0]
    arguments = [sys.executable, "-ISEc", program, root, str(tmp_path), *PODMAN_CAPS]
    assert subprocess.check_output(arguments, timeout=20) == b"False\n"


def damage_each_part(data):
    yield b""
    yield data[: len(data) // 2]
    yield data[:-8]
    yield data + bytes(8)
    for position in (0, 20, 60, len(data) - 5, len(data) - 8 * 200):
        yield data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def test_a_damaged_program_is_replaced(tmp_path):
    section = native_section()
    program = seccomp.load_program(section, str(tmp_path))
    path = cached_file(tmp_path)
    good = path.read_bytes()
    for bad in damage_each_part(good):
        path.write_bytes(bad)
        assert seccomp.load_program(section, str(tmp_path)) == program
        assert path.read_bytes() == good


def test_a_program_for_another_section_is_not_taken(tmp_path):
    seccomp.load_program({"defaultAction": "SCMP_ACT_ALLOW"}, str(tmp_path))
    permissive = cached_file(tmp_path).read_bytes()
    cached_file(tmp_path).unlink()
    program = seccomp.load_program(native_section(), str(tmp_path))
    cached_file(tmp_path).write_bytes(permissive)
    assert seccomp.load_program(native_section(), str(tmp_path)) == program


def test_a_program_that_others_could_have_written_is_not_taken(tmp_path, monkeypatch):
    seccomp.load_program(native_section(), str(tmp_path))
    path = cached_file(tmp_path)
    key = bytes.fromhex(path.name)
    assert seccomp._cached(str(path), key)
    for mode in (0o620, 0o602):
        path.chmod(mode)
        assert not seccomp._cached(str(path), key)
    path.chmod(0o600)
    link = tmp_path / "link"
    link.symlink_to(path)
    assert not seccomp._cached(str(link), key)
    # only root could give the file away
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert not seccomp._cached(str(path), key)


def test_a_cache_that_cannot_be_used_is_done_without(tmp_path):
    section = native_section()
    (tmp_path / "file").write_text("")
    assert seccomp.load_program(section, str(tmp_path / "file" / "cache")) == compile_section(section)
    seccomp.load_program(section, str(tmp_path))
    path = cached_file(tmp_path)
    path.unlink()
    os.mkfifo(path)
    assert seccomp.load_program(section, str(tmp_path)) == compile_section(section)
    path.unlink()
    path.mkdir()
    assert seccomp.load_program(section, str(tmp_path)) == compile_section(section)


def test_tables_agree_with_the_wrappers_of_raw_calls():
    from daemonless import syscalls  # noqa: PLC0415 - the private table is only compared here

    for name, (x86_64, aarch64) in syscalls._OLD.items():
        assert system_calls("x86_64")[name] == x86_64
        assert system_calls("aarch64")[name] == aarch64
    for table in AUDIT:
        assert system_calls(table)["openat2"] == syscalls._OPENAT2
        assert len({*system_calls(table).values()}) == len(system_calls(table))


def test_every_name_of_the_default_profile_exists():
    known = {name for table in AUDIT for name in system_calls(table)}
    profile = seccomp.load_profile(seccomp.DEFAULT_PROFILE)
    assert {name for group in profile["syscalls"] for name in group["names"]} <= known
    gates = {cap for group in profile["syscalls"] for cap in group.get("excludes", {}).get("caps", ())}
    assert gates <= ALL_CAPS
    assert bpf.MAX_INSTRUCTIONS == bpf_interpreter.MAX_INSTRUCTIONS
