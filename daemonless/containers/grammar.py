"""The small languages of the command line: sizes, signals, users, variables, limits ...

One function for each kind of value: text in, plain data out, no file touched. A refusal is one
line that names the option, the value and the reason. Values that end up in files or in the
arguments of other programs may not hold control characters (shared invariant, row 40).
Mounts and devices are in `grammar_mounts`, addresses and ports in `grammar_network`.
"""

from __future__ import annotations

from daemonless import jsonio
from daemonless.errors import InvalidData, UsageError, printable
from daemonless.oci.runtime import CAPABILITIES, RLIMITS
from daemonless.oci.signals import signal_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ALPHANUMERIC = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
NAME_CHARACTERS = ALPHANUMERIC | frozenset("_.-")
MAX_ID = (1 << 32) - 2  # user_namespaces(7): 4294967295 is "no change", never an id
UNLIMITED = (1 << 64) - 1  # RLIM_INFINITY as the runtime spec writes it

RESTART_POLICIES = ("no", "always", "unless-stopped", "on-failure")

_UNITS = {"": 0, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50}


def refusal(option: str, value: str, reason: str, hint: str = "") -> UsageError:
    """Return the error for a value an option does not take."""
    return UsageError(f"invalid value for {option}, {printable(value)!r}: {reason}", hint)


def one_line(value: str, option: str) -> str:
    """Return `value` if it is free of control characters, line breaks among them."""
    if not value.isprintable() and any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise refusal(option, value, "it holds a control character")
    return value


def number(text: str, low: int, high: int, what: str, option: str, value: str) -> int:
    """Return a decimal number between the bounds; no sign, no blanks, ASCII digits only."""
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise refusal(option, value, f"{what} is not a number")
    if not low <= int(text) <= high:
        raise refusal(option, value, f"{what} is not between {low} and {high}")
    return int(text)


def choice(value: str, allowed: Iterable[str], option: str) -> str:
    """Return `value` if it is one of those allowed."""
    allowed = tuple(allowed)
    if value not in allowed:
        raise refusal(option, value, f"it is none of {', '.join(allowed)}")
    return value


def boolean(value: str, option: str) -> bool:
    """Parse what Go's strconv.ParseBool takes, because docker and podman do."""
    if value in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if value in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise refusal(option, value, "it is neither true nor false")


def size(value: str, option: str) -> int:
    """Parse `64m`, `1g`, `512KiB` into bytes; every unit is a power of 1024, as in docker."""
    text = value.strip().lower()
    digits = text.rstrip("bikmgtp")
    unit = text[len(digits) :]
    known = unit in ("", "b") or (unit[0] in _UNITS and unit[0] != "b" and unit[1:] in ("", "b", "ib"))
    if not (known and digits.isascii() and digits.isdigit() and len(digits) < 20):
        hint = "write it in a smaller unit: 1536m for 1.5g" if "." in digits else ""
        raise refusal(option, value, "it is not a whole number with a unit of b, k, m, g or t", hint)
    result = int(digits) << _UNITS[unit[:1]]
    if result >= 1 << 63:
        raise refusal(option, value, "it is larger than any machine")
    return result


def octal(value: str, option: str) -> int:
    """Parse a file mode of at most 07777."""
    if not (0 < len(value) <= 5 and all(c in "01234567" for c in value) and int(value, 8) <= 0o7777):
        raise refusal(option, value, "it is not an octal number such as 0755")
    return int(value, 8)


def mask(value: str, option: str = "--umask") -> int:
    """Parse a file creation mask of at most 0777 (umask(2))."""
    if octal(value, option) > 0o777:
        raise refusal(option, value, "it is not between 0000 and 0777")
    return int(value, 8)


def signal(value: str, option: str = "--signal") -> int:
    """Return the number of a signal. Raises UsageError if there is none of that name or number."""
    found = signal_number(value)
    if found is None:
        raise refusal(option, value, "there is no such signal")
    return found


def restart_policy(value: str, option: str = "--restart") -> tuple[str, int]:
    """Parse a restart policy: the policy, and after how many restarts on-failure gives up (0: never)."""
    name, colon, times = value.partition(":")
    name = "no" if name in ("", "never") else name
    if name not in RESTART_POLICIES:
        plain = name.lower().replace("_", "").replace("-", "").replace(" ", "")
        near = [known for known in RESTART_POLICIES if known.replace("-", "") == plain]
        if plain in ("disabled", "disable", "none", "off", "false"):
            near = ["no"]
        hint = f"write {option}={near[0]}" if near else f"it is one of {', '.join(RESTART_POLICIES)}"
        raise refusal(option, value, "there is no such restart policy", hint)
    if not colon:
        return name, 0
    if name != "on-failure":
        raise refusal(option, value, f"{name} takes no number of retries")
    return name, number(times, 0, 1 << 31, "number of retries", option, value)


def container_name(value: str, option: str = "--name") -> str:
    """Check a container's name; it becomes a file name, a host name, and part of messages."""
    if not value or len(value) > 128 or value[0] not in ALPHANUMERIC or not NAME_CHARACTERS.issuperset(value):
        raise refusal(option, value, "a name is up to 128 of [a-zA-Z0-9_.-], the first a letter or digit")
    return value


def hostname(value: str, option: str = "--hostname") -> str:
    """Check a host name: sethostname(2) takes 64 bytes, and /etc/hosts will hold it."""
    if not value or len(value) > 64 or value[0] not in ALPHANUMERIC or not NAME_CHARACTERS.issuperset(value):
        raise refusal(option, value, "a host name is up to 64 of [a-zA-Z0-9.-], the first a letter or digit")
    return value


def user(value: str, option: str = "--user") -> str:
    """Check `user[:group]`, each a name or a number, and return it unchanged.

    A value of digits is a number and nothing else: one out of range is refused here, never
    looked up as a name (CVE-2024-40635). Image data goes through this too.
    """
    name, colon, group = value.partition(":")
    _check_account(name, "the user", option, value)
    if colon:
        _check_account(group, "the group", option, value)
    return value


def group(value: str, option: str = "--group-add") -> str:
    """Check one group, a name or a number, and return it unchanged."""
    _check_account(value, "the group", option, value)
    return value


def _check_account(text: str, what: str, option: str, value: str) -> None:
    if text.isascii() and text.isdigit():
        number(text, 0, MAX_ID, what, option, value)
    elif not (
        0 < len(text) <= 64
        and text[0] in ALPHANUMERIC | {"_"}
        and text[0] not in "0123456789"
        and (NAME_CHARACTERS | {"@", "$", "+"}).issuperset(text)
    ):
        raise refusal(option, value, f"{what} is neither a number nor a name")


def capability(value: str, option: str) -> str:
    """Return the kernel's spelling of a capability, or ALL (capabilities(7))."""
    name = value.strip().upper()
    if name == "ALL":
        return name
    name = name if name.startswith("CAP_") else f"CAP_{name}"
    if name not in CAPABILITIES:
        raise refusal(option, value, "there is no such capability", "see capabilities(7) for the names")
    return name


def key_value(value: str, option: str) -> tuple[str, str]:
    """Split `KEY=VALUE`; a bare `KEY` has an empty value (labels)."""
    key, _, text = value.partition("=")
    if not key or "\0" in value:
        raise refusal(option, value, "it has no key")
    return one_line(key, option), text


def variable(value: str, caller: Mapping[str, str], option: str = "--env") -> list[str]:
    """Return the `NAME=VALUE` entries of one `-e`.

    `NAME` alone copies the caller's value, and is dropped if there is none; `PREFIX*` copies all
    that match. Only the command line can do so: image data never reads the host's environment.
    """
    name, equals, _ = value.partition("=")
    _check_variable(name, value, option)
    if equals:
        return [value]
    if name.endswith("*"):
        return [f"{key}={text}" for key, text in caller.items() if key.startswith(name[:-1])]
    return [f"{name}={caller[name]}"] if name in caller else []


def _check_variable(name: str, value: str, option: str) -> None:
    if not name:
        raise refusal(option, value, "the variable has no name")
    if "\0" in value or any(c.isspace() for c in name):
        raise refusal(option, value, "the variable's name holds a blank or a control character")
    one_line(name, option)


def variables_of_file(text: str, path: str, caller: Mapping[str, str]) -> list[str]:
    """Return the entries of an `--env-file`: a variable a line, `#` comments, no quoting."""
    entries: list[str] = []
    for line in _lines(text):
        entries += variable(line, caller, f"--env-file {printable(path)}")
    return entries


def labels_of_file(text: str, path: str) -> list[tuple[str, str]]:
    """Return the pairs of a `--label-file`: a label a line, `#` comments, no quoting."""
    return [key_value(line, f"--label-file {printable(path)}") for line in _lines(text)]


def _lines(text: str) -> list[str]:
    stripped = (line.lstrip(" \t").rstrip("\r") for line in text.removeprefix("\ufeff").split("\n"))
    return [line for line in stripped if line and line[0] != "#"]


def ulimit(value: str, option: str = "--ulimit") -> tuple[str, int, int]:
    """Parse `name=soft[:hard]` into (name, soft, hard); -1 and `unlimited` lift the limit."""
    name, equals, limits = value.partition("=")
    name = name.lower().removeprefix("rlimit_")
    if name not in RLIMITS:
        raise refusal(option, value, "there is no such limit", f"one of {' '.join(RLIMITS)}")
    if not equals:
        raise refusal(option, value, "it has no value", f"write {name}=SOFT[:HARD]")
    soft_text, colon, hard_text = limits.partition(":")
    soft = _limit(soft_text, "the soft limit", option, value)
    hard = _limit(hard_text, "the hard limit", option, value) if colon else soft
    if soft > hard:
        raise refusal(option, value, "the soft limit is above the hard limit")
    return name, soft, hard


def _limit(text: str, what: str, option: str, value: str) -> int:
    if text in ("-1", "unlimited"):
        return UNLIMITED
    return number(text, 0, UNLIMITED, what, option, value)


# Parameters that belong to a namespace the container has of its own (namespaces(7), ipc_namespaces(7)).
_IPC_SYSCTLS = (
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
)


def sysctl(value: str, option: str = "--sysctl") -> tuple[str, str, str]:
    """Parse `name=value` into (name, value, namespace that must be private: network or ipc)."""
    name, equals, text = value.partition("=")
    if not equals or not text.strip():
        raise refusal(option, value, "it is not NAME=VALUE")
    one_line(text.replace("\t", " "), option)
    if not all(part and NAME_CHARACTERS.issuperset(part) for part in name.split(".")) or ".." in name:
        raise refusal(option, value, "it is not the name of a kernel parameter")
    if name in ("kernel.hostname", "kernel.domainname"):
        raise refusal(option, value, "the host name is set otherwise", "use --hostname")
    if name.startswith("net."):
        return name, text, "network"
    if name in _IPC_SYSCTLS or name.startswith("fs.mqueue."):
        return name, text, "ipc"
    raise refusal(option, value, "the parameter is not the container's own but the whole machine's")


def command(value: str, option: str = "--entrypoint") -> tuple[str, ...]:
    """Parse an entrypoint: a JSON array of strings, one program, or nothing at all."""
    if not value.startswith("["):
        return (value,) if value else ()
    try:
        words = jsonio.loads(value, what=option)
    except InvalidData as error:
        raise refusal(option, value, error.message.removeprefix(f"{option} ")) from None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise refusal(option, value, "it is not an array of strings")
    if any("\0" in word for word in words):
        raise refusal(option, value, "it holds a NUL")
    return tuple(words)


def detach_keys(value: str, option: str = "--detach-keys") -> tuple[int, ...]:
    """Return the bytes of a key sequence such as `ctrl-p,ctrl-q` or `a`; empty disables it."""
    keys = []
    for key in value.split(",") if value else ():
        letter = key[5:].lower() if key[:5].lower() == "ctrl-" else ""
        if len(key) == 1 and key.isascii() and key.isprintable():
            keys.append(ord(key))
        elif len(letter) == 1 and letter in "@abcdefghijklmnopqrstuvwxyz[\\]^_":
            keys.append(ord(letter.upper()) - 64)
        else:
            raise refusal(option, value, f"{printable(key)!r} is no key", "for example ctrl-p,ctrl-q")
    return tuple(keys)
