"""Terminals of a container: allocated in its own devpts, never found by name."""

from __future__ import annotations

import fcntl
import os
import termios

from daemonless import syscalls as sc

_TIOCGPTPEER = 0x5441
_TIOCSPTLCK = 0x40045431


def open_terminal(root_fd: int) -> tuple[int, int]:
    """Allocate a terminal in the container's own devpts; return (master, slave) descriptors.

    The slave comes from the master (TIOCGPTPEER, ioctl_tty(2)), never from a name that the
    container could have replaced (CVE-2025-52565).
    """
    resolve = sc.RESOLVE_IN_ROOT | sc.RESOLVE_NO_SYMLINKS
    master = sc.openat2(root_fd, b"dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY, 0, resolve)
    fcntl.ioctl(master, _TIOCSPTLCK, bytes(4))
    return master, fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)


def take_terminal(slave: int) -> None:
    """Make `slave` the controlling terminal and the standard streams of a new session."""
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for number in (0, 1, 2):
        os.dup2(slave, number, inheritable=True)
