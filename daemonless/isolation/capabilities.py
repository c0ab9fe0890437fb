"""Capabilities as the kernel takes them: names, bits and the kernel's highest (capabilities(7)).

What `--cap-add` and `--cap-drop` make of the default set is settled in `containers`; from there on
the runtime spec's lists decide, and these functions turn them into masks.
"""

from __future__ import annotations

from daemonless import syscalls
from daemonless.errors import InvalidData, printable
from daemonless.oci.runtime import CAPABILITIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_BITS = {name: bit for bit, name in enumerate(CAPABILITIES)}


def to_mask(names: Iterable[str]) -> int:
    """Return the 64-bit mask of capabilities named as the kernel does (CAP_CHOWN).

    Raises InvalidData for a name there is none of: leaving it out could drop what was asked for
    or, in a list of what to drop, keep it.
    """
    mask = 0
    for name in names:
        bit = _BITS.get(name)
        if bit is None:
            raise InvalidData(f"there is no capability {printable(name)}", suggestion(name))
        mask |= 1 << bit
    return mask


def to_names(mask: int) -> tuple[str, ...]:
    """Return the names of a mask's capabilities, in the order of their bits; unknown bits have none."""
    return tuple(name for name, bit in _BITS.items() if mask >> bit & 1)


def to_bits(mask: int) -> tuple[int, ...]:
    """Return the numbers of a mask's capabilities, lowest first."""
    return tuple(bit for bit in range(mask.bit_length()) if mask >> bit & 1)


def last_capability() -> int:
    """Return the number of the kernel's last capability.

    Asked by prctl(2), which answers EINVAL beyond it, because /proc/sys/kernel/cap_last_cap may be
    a container's own file.
    """
    last = len(CAPABILITIES) - 1
    while last < 63 and _exists(last + 1):
        last += 1
    while last > 0 and not _exists(last):
        last -= 1
    return last


def _exists(bit: int) -> bool:
    try:
        syscalls.prctl(syscalls.PR_CAPBSET_READ, bit)
    except OSError:
        return False
    return True


def suggestion(name: str) -> str:
    """Return a hint that names the capabilities spelt most like `name`.

    By shared pairs of letters (Dice's coefficient): difflib would have to be imported, and this may
    run inside a container.
    """
    wanted = _pairs(name.upper().removeprefix("CAP_"))
    likeness = []
    for known in _BITS:
        pairs = _pairs(known.removeprefix("CAP_"))
        likeness.append((2 * len(wanted & pairs) / (len(wanted) + len(pairs)), known))
    near = [known.removeprefix("CAP_") for score, known in sorted(likeness, reverse=True)[:2] if score > 0.4]
    return f"did you mean {' or '.join(near)}?" if near else "see capabilities(7) for the names"


def _pairs(text: str) -> set[str]:
    text = text.replace("_", "")
    return {text[i : i + 2] for i in range(len(text) - 1)}
