"""Compile an OCI seccomp section to the classic BPF program that seccomp(2) takes.

Pure, and cold: a start finds its program in the cache of `isolation.seccomp`. Follows
config-linux.md "Seccomp" of the runtime spec 1.1 and Documentation/userspace-api/seccomp_filter.rst.

Where the spec leaves a choice:
- Rules are tried in the section's order; the first that matches decides. (libseccomp lets an
  unconditional rule displace conditional ones, which turns a denial followed by an allowance
  into an allowance.)
- The conditions of a rule must all hold, except that a rule naming one argument several times
  is as many rules, as in runc and crun.
- Names that an architecture does not have are passed over: profiles name calls of many.
- Calls of an architecture outside the section kill the process. On x86-64 that includes int 0x80
  unless SCMP_ARCH_X86 is listed; calls with the x32 bit are answered ENOSYS, listed or not,
  as by the kernels of all distributions, which are built without that ABI.
- A default that answers with an errno answers ENOSYS for calls newer than `syscall_numbers`:
  whoever wrote the section could not have meant them, and C libraries fall back on ENOSYS alone.

The number decides first, by a binary search over ranges of equal treatment, so that a call costs
about a dozen instructions. Only loads of the number and the architecture, comparisons and returns
are used up to there: the kernel recognises calls that are allowed regardless of arguments and skips the
program for them (kernel/seccomp.c, seccomp_cache_prepare).
"""

from __future__ import annotations

import os

from daemonless.errors import InvalidData, Unsupported, printable
from daemonless.isolation import syscall_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Condition = tuple[int, str, int, int]  # argument, operator, value, second value
    Rule = tuple[tuple[Condition, ...], int]  # conditions that must all hold; the program's answer

# linux/bpf_common.h
_LOAD, _AND, _JUMP = 0x20, 0x54, 0x05  # ld [k]; and #k; ja k
_JUMP_EQ, _JUMP_GT, _JUMP_GE = 0x15, 0x25, 0x35
_RETURN = 0x06
MAX_INSTRUCTIONS = 4096  # BPF_MAXINSNS

_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data

# linux/seccomp.h; what the spec calls SCMP_ACT_*
_ERRNO, _TRACE = 0x00050000, 0x7FF00000
_ACTIONS = {
    "SCMP_ACT_ALLOW": 0x7FFF0000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_TRACE": _TRACE,
    "SCMP_ACT_ERRNO": _ERRNO,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
}
_KILL_PROCESS = 0x80000000
_EPERM, _ENOSYS, _MAX_ERRNO = 1, 38, 4095

# name of the table in `syscall_numbers`, AUDIT_ARCH_* of linux/audit.h
_ARCHITECTURES = {
    "SCMP_ARCH_X86_64": ("x86_64", 0xC000003E),
    "SCMP_ARCH_X86": ("x86", 0x40000003),
    "SCMP_ARCH_AARCH64": ("aarch64", 0xC00000B7),
    "SCMP_ARCH_ARM": ("arm", 0x40000028),
}
_X32_BIT = 0x40000000
_OPERATORS = (
    "SCMP_CMP_EQ",
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
)


def compile_section(section: dict[str, Any], machine: str = "") -> bytes:
    """Return the program of a runtime-spec `linux.seccomp` section: struct sock_filter, 8 bytes each.

    `machine` is what uname(2) calls the machine, this one if empty. Raises InvalidData for a
    section that breaks the spec or does not fit into 4096 instructions, Unsupported for
    actions, flags and machines that are not supported.
    """
    machine = machine or os.uname().machine
    try:
        _check_features(section)
        default = _answer(section.get("defaultAction"), section.get("defaultErrnoRet"))
        architectures = _architectures(section, machine)
        rules = _rules(section)
    except (AttributeError, KeyError, TypeError):
        raise InvalidData("the seccomp profile breaks the runtime spec") from None
    program = _Program()
    after = program.leaf(_KILL_PROCESS)
    for table, audit in reversed(architectures):
        calls = _treatment(rules, syscall_numbers.system_calls(table), default, x32=table == "x86_64")
        entry = program.load(_NUMBER, program.search(calls))
        after = program.jump(_JUMP_EQ, audit, entry, after)
    program.load(_ARCHITECTURE, after)
    return program.assemble()


def _check_features(section: dict[str, Any]) -> None:
    if section.get("listenerPath") or section.get("listenerMetadata"):
        raise Unsupported("cannot apply the seccomp profile: it needs a listener for SCMP_ACT_NOTIFY")
    for flag in section.get("flags") or ():
        # one thread exists when the filter is installed, so TSYNC changes nothing
        if flag != "SECCOMP_FILTER_FLAG_TSYNC":
            raise Unsupported(
                f"cannot apply the seccomp profile: flag {printable(str(flag))} is not supported"
            )


def _architectures(section: dict[str, Any], machine: str) -> list[tuple[str, int]]:
    """Return table and AUDIT_ARCH_* of each architecture of the section, the machine's own first."""
    native = next((arch for arch in _ARCHITECTURES.values() if arch[0] == machine), None)
    if native is None:
        raise Unsupported(f"cannot apply a seccomp profile: there is no system call table for {machine}")
    names = section.get("architectures") or []
    known = [_ARCHITECTURES[name] for name in names if name in _ARCHITECTURES]
    if names and native not in known:
        raise InvalidData(f"the seccomp profile does not cover this machine's architecture, {machine}")
    return [native, *(arch for arch in dict.fromkeys(known) if arch != native)]


def _answer(action: object, errno: object) -> int:
    """Return what a program answers for an action of the spec."""
    if action == "SCMP_ACT_NOTIFY":
        raise Unsupported("cannot apply the seccomp profile: SCMP_ACT_NOTIFY is not supported")
    value = _ACTIONS.get(action) if isinstance(action, str) else None
    if value is None:
        raise InvalidData(f"the seccomp profile has an unknown action: {printable(str(action))}")
    if value not in (_ERRNO, _TRACE):
        return value
    data = _EPERM if errno is None else _integer(errno, "errnoRet")
    if data > (_MAX_ERRNO if value == _ERRNO else 0xFFFF):
        raise InvalidData(f"the seccomp profile has an errno out of range: {data}")
    return value | data


def _rules(section: dict[str, Any]) -> dict[str, tuple[Rule, ...]]:
    """Return the rules of each system call, in order, up to the first unconditional one."""
    result: dict[str, tuple[Rule, ...]] = {}
    for entry in section.get("syscalls") or ():
        answer = _answer(entry.get("action"), entry.get("errnoRet"))
        conditions = [_condition(arg) for arg in entry.get("args") or ()]
        indices = {condition[0] for condition in conditions}
        if len(indices) < len(conditions):
            rules: tuple[Rule, ...] = tuple(((condition,), answer) for condition in conditions)
        else:
            rules = ((tuple(conditions), answer),)
        for name in entry["names"]:
            earlier = result.get(name, ())
            if not earlier or earlier[-1][0]:
                result[name] = earlier + rules
    return result


def _condition(arg: dict[str, Any]) -> Condition:
    index = _integer(arg.get("index"), "index")
    operator = arg.get("op")
    if index > 5 or operator not in _OPERATORS:
        raise InvalidData(
            f"the seccomp profile has an invalid condition: argument {index}, {printable(str(operator))}"
        )
    return (
        index,
        operator,
        _integer(arg.get("value"), "value"),
        _integer(arg.get("valueTwo") or 0, "valueTwo"),
    )


def _integer(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 64:
        raise InvalidData(f"the seccomp profile has an invalid {what}: {printable(str(value))}")
    return value


def _treatment(
    rules: dict[str, tuple[Rule, ...]], calls: dict[str, int], default: int, *, x32: bool
) -> list[tuple[int, tuple[Rule, ...]]]:
    """Return (first number, rules) of each range of numbers that are treated alike, from 0 on."""
    otherwise: Rule = ((), default)
    newer: Rule = ((), _ERRNO | _ENOSYS) if default & 0xFFFF0000 == _ERRNO else otherwise
    points: dict[int, tuple[Rule, ...]] = {0: (otherwise,), syscall_numbers.LAST + 1: (newer,)}
    if x32:
        points[_X32_BIT] = (((), _ERRNO | _ENOSYS),)
    for name, number in sorted(calls.items(), key=lambda call: call[1]):
        chain = rules.get(name, ())
        points[number] = chain if chain and not chain[-1][0] else (*chain, otherwise)
        points.setdefault(number + 1, (otherwise if number < syscall_numbers.LAST else newer,))
    ranges: list[tuple[int, tuple[Rule, ...]]] = []
    for number in sorted(points):
        if not ranges or ranges[-1][1] != points[number]:
            ranges.append((number, points[number]))
    return ranges


class _Program:
    """A program written from its end to its start, so that every jump's target exists already.

    A position counts from the end. Conditional jumps reach 255 instructions forward; for what lies
    further the nearest `ja`, whose reach is unlimited, is laid in between.
    """

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int]] = []
        self._shared: dict[object, int] = {}

    def _emit(self, code: int, k: int, if_true: int = 0, if_false: int = 0) -> int:
        self._code.append((code, if_true, if_false, k))
        return len(self._code) - 1

    def leaf(self, answer: int) -> int:
        position = self._shared.get(answer)
        if position is None or len(self._code) - position > 200:  # another copy is as long as a `ja` to it
            position = self._shared[answer] = self._emit(_RETURN, answer)
        return position

    def load(self, offset: int, then: int) -> int:
        if then != len(self._code) - 1:
            self._emit(_JUMP, len(self._code) - 1 - then)
        return self._emit(_LOAD, offset)

    def jump(self, code: int, k: int, if_true: int, if_false: int) -> int:
        if_true, if_false = self._reach(if_true), self._reach(if_false)
        last = len(self._code) - 1
        return self._emit(code, k, last - if_true, last - if_false)

    def _reach(self, target: int) -> int:
        distance = len(self._code) - 1 - target
        if distance < 255:  # one less than the limit: the other target may need a `ja` as well
            return target
        return self._emit(_JUMP, distance)

    def search(self, ranges: list[tuple[int, tuple[Rule, ...]]]) -> int:
        """Find the number in the accumulator among `ranges` and go on with its rules."""
        if len(ranges) == 1:
            return self._chain(ranges[0][1])
        middle = len(ranges) // 2
        upper = self.search(ranges[middle:])
        lower = self.search(ranges[:middle])
        return self.jump(_JUMP_GE, ranges[middle][0], upper, lower)

    def _chain(self, rules: tuple[Rule, ...]) -> int:
        if len(rules) == 1:
            return self.leaf(rules[0][1])
        if rules not in self._shared:
            position = self.leaf(rules[-1][1])
            for conditions, answer in reversed(rules[:-1]):
                otherwise, position = position, self.leaf(answer)
                for condition in reversed(conditions):
                    position = self._compare(condition, position, otherwise)
            self._shared[rules] = position
        return self._shared[rules]

    def _compare(self, condition: Condition, yes: int, no: int) -> int:
        """Test one argument: 64 bits, as two words with the low one first (little endian)."""
        index, operator, value, second = condition
        low, high = _ARGUMENTS + 8 * index, _ARGUMENTS + 8 * index + 4
        low_value, high_value = value & 0xFFFFFFFF, value >> 32
        if operator == "SCMP_CMP_MASKED_EQ":
            position = self._masked(low, low_value, second & 0xFFFFFFFF, yes, no)
            return self._masked(high, high_value, second >> 32, position, no)
        if operator in ("SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE"):
            yes, no = no, yes  # the opposites of EQ, GE, GT
        if operator in ("SCMP_CMP_EQ", "SCMP_CMP_NE"):
            position = self.load(low, self.jump(_JUMP_EQ, low_value, yes, no))
            return self.load(high, self.jump(_JUMP_EQ, high_value, position, no))
        order = _JUMP_GE if operator in ("SCMP_CMP_GE", "SCMP_CMP_LT") else _JUMP_GT
        position = self.load(low, self.jump(order, low_value, yes, no))
        position = self.jump(_JUMP_EQ, high_value, position, no)
        return self.load(high, self.jump(_JUMP_GT, high_value, yes, position))

    def _masked(self, offset: int, mask: int, wanted: int, yes: int, no: int) -> int:
        if mask == wanted == 0:
            return yes
        position = self.jump(_JUMP_EQ, wanted, yes, no)
        if mask != 0xFFFFFFFF:
            position = self._emit(_AND, mask)
        return self.load(offset, position)

    def assemble(self) -> bytes:
        if len(self._code) > MAX_INSTRUCTIONS:
            raise InvalidData(
                f"the seccomp profile is too large: {len(self._code)} instructions, "
                f"the kernel takes {MAX_INSTRUCTIONS}"
            )
        return b"".join(
            code.to_bytes(2, "little") + bytes((if_true, if_false)) + k.to_bytes(4, "little")
            for code, if_true, if_false, k in reversed(self._code)
        )
