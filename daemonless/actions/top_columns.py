"""The columns of `top`: podman's descriptors, and what ps(1) calls them and prints in them.

Both show the container's own ids and names unless a column begins with an h, for host.
"""

from __future__ import annotations

import grp
import os
import pwd
import time

from daemonless.containers.processes import Process, Processes
from daemonless.errors import UsageError, printable
from daemonless.isolation.capabilities import last_capability, to_names
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_SECCOMP = {0: "disabled", 1: "strict", 2: "filter"}
_TICKS = os.sysconf("SC_CLK_TCK")  # of process times, a second
_CLOCK_BOOTTIME = 7  # counts while the machine sleeps, as the start times do
_MAX_TEXT = 1 << 16  # characters of a command line
_REAL, _EFFECTIVE = 0, 1  # of the four ids of a process


class Column(Record):
    """A heading, and how to make a cell."""

    heading: str
    cell: Callable[[Processes, Process], str]


# --- cells ------------------------------------------------------------------------------------


def _elapsed(process: Process) -> float:
    """Return the seconds since the start, at least one tick."""
    return max(time.clock_gettime(_CLOCK_BOOTTIME) - process.start_ticks / _TICKS, 1 / _TICKS)


def _cpu_seconds(process: Process) -> float:
    return process.cpu_ticks / _TICKS


def _started(process: Process) -> float:
    """Return when the process started, in seconds since 1970."""
    return time.time() - _elapsed(process)


def _start_as(process: Process, form: str) -> str:
    return time.strftime(form, time.localtime(_started(process)))


def _percent(process: Process) -> float:
    return 100 * _cpu_seconds(process) / _elapsed(process)


def go_duration(seconds: float) -> str:
    """Return a length of time the way Go prints it: `1h2m3.4s`, `250ms`, `0s`."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.9g}ms"
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    text = f"{whole % 60 + round(seconds - whole, 9):.11g}s"
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + text


def _ps_time(process: Process) -> str:
    whole = int(_cpu_seconds(process))
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def _ps_elapsed(process: Process) -> str:
    whole = int(_elapsed(process))
    days, hours = divmod(whole // 3600, 24)
    text = f"{whole // 60 % 60:02}:{whole % 60:02}"
    if days or hours:
        text = f"{hours:02}:{text}"
    return f"{days}-{text}" if days else text


def _ps_start(process: Process) -> str:
    return _start_as(process, "%H:%M" if _elapsed(process) < 86400 else "%b%d")


def _terminal(process: Process) -> str:
    number = process.terminal
    major, minor = number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00
    if 136 <= major <= 143:  # Documentation/admin-guide/devices.txt: Unix98 pseudo terminals
        return f"pts/{(major - 136) * 256 + minor}"
    return f"tty{minor}" if major == 4 else "?"


def _command(processes: Processes, process: Process) -> str:
    text = " ".join(process.arguments())
    return printable(text, _MAX_TEXT) if text.strip() else f"[{printable(process.comm)}]"


def _ps_state(processes: Processes, process: Process) -> str:
    """Return ps's multi-character state: the main letter, and N L s l + as far as /proc tells."""
    flags = "<" if process.nice < 0 else "N" if process.nice > 0 else ""
    if processes.inside(process, "NSsid") == processes.pid(process):
        flags += "s"
    if process.threads > 1:
        flags += "l"
    if process.foreground_group > 0 and process.foreground_group == process.number("NSpgid"):
        flags += "+"
    return process.state + flags


def _id(process: Process, key: str, which: int) -> int:
    values = process.status.get(key, [])
    return int(values[which]) if len(values) > which else 0


def _user(which: int) -> Callable[[Processes, Process], str]:
    return lambda ps, p: ps.name("passwd", ps.uid(_id(p, "Uid", which)))


def _group(which: int) -> Callable[[Processes, Process], str]:
    return lambda ps, p: ps.name("group", ps.gid(_id(p, "Gid", which)))


def _groups(processes: Processes, process: Process) -> str:
    return ",".join(processes.name("group", processes.gid(int(gid))) for gid in process.status["Groups"])


def _host_user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _host_group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _capabilities(key: str) -> Callable[[Processes, Process], str]:
    def cell(processes: Processes, process: Process) -> str:
        mask = int(process.status.get(key, ["0"])[0], 16)
        if mask == (2 << last_capability()) - 1:
            return "full"
        return ",".join(sorted(name.removeprefix("CAP_") for name in to_names(mask))) or "none"

    return cell


def _memory_percent(process: Process) -> str:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1024
    return f"{100 * process.number('VmRSS') / total:.1f}"


_PODMAN: dict[str, Column] = {
    name: Column(heading=heading, cell=cell)
    for name, heading, cell in (
        ("args", "COMMAND", _command),
        ("capamb", "AMBIENT CAPS", _capabilities("CapAmb")),
        ("capbnd", "BOUNDING CAPS", _capabilities("CapBnd")),
        ("capeff", "EFFECTIVE CAPS", _capabilities("CapEff")),
        ("capinh", "INHERITED CAPS", _capabilities("CapInh")),
        ("capprm", "PERMITTED CAPS", _capabilities("CapPrm")),
        ("comm", "COMMAND", lambda ps, p: printable(p.comm)),
        ("etime", "ELAPSED", lambda ps, p: go_duration(_elapsed(p))),
        ("group", "GROUP", _group(_EFFECTIVE)),
        ("groups", "GROUPS", _groups),
        ("hgroup", "HGROUP", lambda ps, p: _host_group(_id(p, "Gid", _EFFECTIVE))),
        ("hgroups", "HGROUPS", lambda ps, p: ",".join(_host_group(int(g)) for g in p.status["Groups"])),
        ("hpid", "HPID", lambda ps, p: str(p.host_pid)),
        ("huid", "HUID", lambda ps, p: str(_id(p, "Uid", _EFFECTIVE))),
        ("huser", "HUSER", lambda ps, p: _host_user(_id(p, "Uid", _EFFECTIVE))),
        ("label", "LABEL", lambda ps, p: p.label() or "?"),
        ("nice", "NI", lambda ps, p: str(p.nice)),
        ("pcpu", "%CPU", lambda ps, p: f"{_percent(p):.3f}"),
        ("pgid", "PGID", lambda ps, p: str(ps.inside(p, "NSpgid"))),
        ("pid", "PID", lambda ps, p: str(ps.pid(p))),
        ("ppid", "PPID", lambda ps, p: str(ps.parent(p))),
        ("rgroup", "RGROUP", _group(_REAL)),
        ("rss", "RSS", lambda ps, p: str(p.number("VmRSS"))),
        ("ruser", "RUSER", _user(_REAL)),
        ("seccomp", "SECCOMP", lambda ps, p: _SECCOMP.get(p.number("Seccomp"), "?")),
        ("state", "STATE", lambda ps, p: p.state),
        ("stime", "STIME", lambda ps, p: _start_as(p, "%Y-%m-%d %H:%M:%S %z %Z")),
        ("time", "TIME", lambda ps, p: go_duration(_cpu_seconds(p))),
        ("tty", "TTY", lambda ps, p: _terminal(p)),
        ("uid", "UID", lambda ps, p: str(ps.uid(_id(p, "Uid", _EFFECTIVE)))),
        ("user", "USER", _user(_EFFECTIVE)),
        ("vsz", "VSZ", lambda ps, p: str(p.virtual // 1024)),
    )
}
_CODES = {
    "%C": "pcpu",
    "%G": "group",
    "%P": "ppid",
    "%U": "user",
    "%a": "args",
    "%c": "comm",
    "%g": "rgroup",
    "%n": "nice",
    "%p": "pid",
    "%r": "pgid",
    "%t": "etime",
    "%u": "ruser",
    "%x": "time",
    "%y": "tty",
    "%z": "vsz",
}
# Where ps(1) prints something else under the same name, and names that only it has.
_PS: dict[str, Column] = _PODMAN | {
    name: Column(heading=heading, cell=cell)
    for name, heading, cell in (
        ("c", "C", lambda ps, p: str(int(_percent(p)))),
        ("cmd", "CMD", _command),
        ("egid", "EGID", lambda ps, p: str(ps.gid(_id(p, "Gid", _EFFECTIVE)))),
        ("etime", "ELAPSED", lambda ps, p: _ps_elapsed(p)),
        ("etimes", "ELAPSED", lambda ps, p: str(int(_elapsed(p)))),
        ("gid", "GID", lambda ps, p: str(ps.gid(_id(p, "Gid", _EFFECTIVE)))),
        ("lwp", "LWP", lambda ps, p: str(ps.thread(p))),
        ("lstart", "STARTED", lambda ps, p: _start_as(p, "%a %b %e %H:%M:%S %Y")),
        ("nlwp", "NLWP", lambda ps, p: str(p.threads)),
        ("pcpu", "%CPU", lambda ps, p: f"{_percent(p):.1f}"),
        ("pmem", "%MEM", lambda ps, p: _memory_percent(p)),
        ("rgid", "RGID", lambda ps, p: str(ps.gid(_id(p, "Gid", _REAL)))),
        ("ruid", "RUID", lambda ps, p: str(ps.uid(_id(p, "Uid", _REAL)))),
        ("s", "S", lambda ps, p: p.state),
        ("sid", "SID", lambda ps, p: str(ps.inside(p, "NSsid"))),
        ("spid", "SPID", lambda ps, p: str(ps.thread(p))),
        ("start", "START", lambda ps, p: _ps_start(p)),
        ("stat", "STAT", _ps_state),
        ("stime", "STIME", lambda ps, p: _ps_start(p)),
        ("time", "TIME", lambda ps, p: _ps_time(p)),
        ("tty", "TT", lambda ps, p: _terminal(p)),
    )
}
_PS_SYNONYMS = {
    "%cpu": "pcpu",
    "%mem": "pmem",
    "command": "args",
    "cputime": "time",
    "egroup": "group",
    "euid": "uid",
    "euser": "user",
    "ni": "nice",
    "pgrp": "pgid",
    "rssize": "rss",
    "sess": "sid",
    "session": "sid",
    "start_time": "stime",
    "thcount": "nlwp",
    "tid": "spid",
    "tname": "tty",
    "tt": "tty",
    "ucmd": "comm",
    "ucomm": "comm",
    "vsize": "vsz",
}
DEFAULT = ("user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args")
# The standard formats of ps(1), by the option that chooses them; the headings that differ.
_PS_BASIC = ("pid", "tty=TTY", "time", "comm=CMD")
_PS_FULL = ("user=UID", "pid", "ppid", "c", "stime", "tty=TTY", "time", "cmd")
_PS_USER = ("user", "pid", "pcpu", "pmem", "vsz", "rss", "tty=TTY", "stat", "start", "time", "args")
_PS_LETTERS = {"f": _PS_FULL, "F": _PS_FULL, "u": _PS_USER}
# Threads, and the columns that come with them: what they are in the basic format, and after which.
_PS_THREADS: dict[str, dict[str, tuple[str, ...]]] = {
    "T": {"pid": ("spid",)},
    "L": {"pid": ("lwp",), "c": ("nlwp",)},
    "H": {},
}
_SELECTION = frozenset("eAadxwrg")  # they choose among processes, or how wide lines are: all of both
# What is compared instead of the cell's text.
_SORT_KEYS: dict[str, Callable[[Process], float]] = {
    "time": lambda p: p.cpu_ticks,
    "etime": _elapsed,
    **dict.fromkeys(("start", "stime", "lstart"), lambda p: p.start_ticks),
}


# --- choices ----------------------------------------------------------------------------------


class Choice(Record):
    """What a table of processes is to show."""

    columns: tuple[Column, ...]
    headings: bool = True
    threads: bool = False  # a row for each of them
    order: tuple[tuple[str, bool], ...] = ()  # ps keywords to sort by, and whether the largest comes first

    def rows(self, processes: Processes) -> list[list[str]]:
        """Return the cells of the table, headings first."""
        found = processes.all
        if self.threads:
            found = [thread for process in found for thread in process.split() if processes.thread(thread)]
        for name, is_reverse in reversed(self.order):
            found = sorted(found, key=_sort_key(processes, name), reverse=is_reverse)
        rows = [[column.heading for column in self.columns]] if self.headings else []
        return rows + [[column.cell(processes, process) for column in self.columns] for process in found]


def _sort_key(processes: Processes, name: str) -> Callable[[Process], tuple[float, str]]:
    """Return the key to sort processes by a column: as a number if it is one."""

    def key(process: Process) -> tuple[float, str]:
        if name in _SORT_KEYS:
            return _SORT_KEYS[name](process), ""
        text = _PS[name].cell(processes, process)
        try:
            return float(text), ""
        except ValueError:
            return 0, text

    return key


def choose(words: list[str]) -> Choice:
    """Return what the words after the container ask for.

    The words are podman's descriptors or options of ps(1). Raises UsageError for others.
    """
    if words[:1] == ["--"]:
        words = words[1:]
    names = [name for word in words for name in word.replace(",", " ").split()] or list(DEFAULT)
    if not words or all(name in _PODMAN or name in _CODES for name in names):
        return Choice(columns=tuple(_PODMAN[_CODES.get(name, name)] for name in names))
    if words[0][:1] == "-" or _SELECTION.union("uohHk").issuperset(words[0]):
        return _ps_options(words)
    unknown = next(name for name in names if name not in _PODMAN and name not in _CODES)
    raise UsageError(
        f"unknown format descriptor {printable(unknown)}", f"the descriptors are {' '.join(_PODMAN)}"
    )


def _ps_options(words: list[str]) -> Choice:
    """Read a command line of ps(1): what chooses columns is obeyed, all processes are shown anyway."""
    formats: list[str] = []
    standard: tuple[str, ...] = _PS_BASIC
    more: dict[str, tuple[str, ...]] = {}
    order: list[tuple[str, bool]] = []
    headings, threads = True, False
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word[:2] == "--":
            name, _, text = word[2:].partition("=")
            if name == "format":
                formats.append(text or _following(rest, word))
            elif name == "sort":
                order += _ps_order(text or _following(rest, word))
            elif name in ("no-headers", "no-heading", "no-headings", "noheaders", "noheading"):
                headings = False
            elif name not in ("headers", "deselect", "cumulative"):
                raise _refused(word)
            continue
        letters = word.removeprefix("-")
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in "oO":
                formats.append(letters or _following(rest, word))
                letters = ""
            elif letter == "k" and word[0] != "-":
                order += _ps_order(letters or _following(rest, word))
                letters = ""
            elif letter in _PS_LETTERS:
                standard = _PS_LETTERS[letter]
            elif letter in _PS_THREADS and (letter != "T" or word[0] == "-"):
                threads = True
                more = _PS_THREADS[letter]
            elif letter == "h" and word[0] != "-":
                headings = False
            elif letter not in _SELECTION:
                raise _refused(word)
    widened = [name for item in standard for name in (item, *more.get(item, ()))]
    columns = tuple(column for text in formats or [",".join(widened)] for column in _ps_columns(text))
    return Choice(
        columns=columns,
        headings=headings and any(column.heading for column in columns),
        threads=threads,
        order=tuple(order),
    )


def _ps_order(text: str) -> list[tuple[str, bool]]:
    """Read the argument of --sort: keywords with commas between, each after a + or a - for reverse."""
    order = []
    for item in text.split(","):
        name = item.removeprefix("+").removeprefix("-")
        name = _PS_SYNONYMS.get(name, name)
        if name not in _PS:
            raise _unknown_keyword(name)
        order.append((name, item[:1] == "-"))
    return order


def _ps_columns(text: str) -> list[Column]:
    """Read the argument of -o: keywords with commas or blanks between; one ends in =HEADING."""
    columns = []
    for item in text.replace(" ", ",").split(","):
        name, equals, heading = item.partition("=")
        column = _PS.get(_PS_SYNONYMS.get(name, name))
        if column is None and name:
            raise _unknown_keyword(name)
        if column is not None:
            columns.append(column.replace(heading=heading) if equals else column)
    return columns


def _following(rest: list[str], word: str) -> str:
    if not rest:
        raise UsageError(f"the ps option {printable(word)} needs a list of keywords")
    return rest.pop(0)


def _unknown_keyword(name: str) -> UsageError:
    return UsageError(
        f"unknown ps format keyword {printable(name)}", f"the keywords are {' '.join(sorted(_PS))}"
    )


def _refused(word: str) -> UsageError:
    return UsageError(
        f"unsupported ps option {printable(word)}",
        "use -ef, aux, -T, -L, --sort=KEYWORD or -o KEYWORD,...; "
        "or the program of the image: daemonless exec CONTAINER ps ...",
    )
