from pathlib import Path

import pytest

from daemonless.errors import InvalidData
from daemonless.isolation.capabilities import last_capability, suggestion, to_bits, to_mask, to_names
from daemonless.oci.runtime import CAPABILITIES


def test_names_and_bits_are_the_kernels():
    assert to_mask(["CAP_CHOWN"]) == 1
    assert to_mask(["CAP_SYS_ADMIN"]) == 1 << 21
    assert to_mask(["CAP_CHECKPOINT_RESTORE", "CAP_CHOWN", "CAP_CHOWN"]) == 1 << 40 | 1
    assert to_mask(CAPABILITIES) == (1 << 41) - 1
    assert to_mask([]) == 0


@pytest.mark.parametrize("mask", [0, 1, 0xA80425FB, (1 << 41) - 1, 1 << 40])
def test_names_and_masks_are_inverse(mask):
    assert to_mask(to_names(mask)) == mask
    assert sum(1 << bit for bit in to_bits(mask)) == mask


@pytest.mark.parametrize(
    "name", ["CHOWN", "cap_chown", "CAP_SYSADMIN", "ALL", "", "CAP_\x1b[31m", "CAP_CHOWN "]
)
def test_anything_but_the_kernels_spelling_is_refused(name):
    with pytest.raises(InvalidData, match="there is no capability") as caught:
        to_mask(["CAP_KILL", name])
    assert caught.value.message.isprintable()
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("SYSADMIN", "SYS_ADMIN"),
        ("cap_net_admn", "NET_ADMIN"),
        ("NETRAW", "NET_RAW"),
        ("DAC_OVERIDE", "DAC_OVERRIDE"),
        ("CAP_SYS_PTRAC", "SYS_PTRACE"),
    ],
)
def test_a_misspelt_name_is_answered_with_what_was_meant(name, near):
    assert suggestion(name).startswith(f"did you mean {near}")


@pytest.mark.parametrize("name", ["", "X", "ZZZZ", "🦭" * 100])
def test_nothing_is_suggested_for_nothing_like_it(name):
    assert suggestion(name) == "see capabilities(7) for the names"


def test_the_last_capability_is_the_kernels():
    assert last_capability() == int(Path("/proc/sys/kernel/cap_last_cap").read_text())
