"""Signals of an attached command."""

from __future__ import annotations

import os
import select
import signal
import sys

from daemonless.supervisor.attach import pass_signals_on, wake


def test_a_signal_ends_the_poll_it_comes_just_before() -> None:
    """In a process of its own: it changes what signals do."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            sleeper = os.fork()
            if sleeper == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                while True:
                    signal.pause()
            pidfd = os.pidfd_open(sleeper)
            woken = pass_signals_on(pidfd)
            poll = select.poll()
            poll.register(woken, select.POLLIN)
            assert not poll.poll(0)
            os.kill(os.getpid(), signal.SIGTERM)
            assert poll.poll(5000) == [(woken, select.POLLIN)]
            wake(woken)
            assert not poll.poll(0)
            assert os.waitpid(sleeper, 0)[1] == signal.SIGTERM
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
