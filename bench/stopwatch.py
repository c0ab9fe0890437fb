"""A small process of the measured user that starts commands and times them.

Reads one JSON request a line, {"argv", "env", "count", "parallel"}, and answers {"ms", "status"}.
It stays small and spawns with posix_spawn, which does not copy the caller: forking the process that
measures would add milliseconds to commands that take ten.
"""

from __future__ import annotations

import json
import os
import sys
import time


def measure(argv: list[str], env: dict[str, str], count: int, parallel: int) -> tuple[float, int]:
    """Run a command `count` times, `parallel` at once; return milliseconds and the worst status."""
    null = os.open(os.devnull, os.O_RDWR)
    errors = os.open(env["ERRORS"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate((null, null, errors))]
    running = worst = 0
    started = time.perf_counter()
    while count or running:
        if count and running < parallel:
            os.posix_spawnp(argv[0], argv, env, file_actions=actions)
            count, running = count - 1, running + 1
            continue
        worst = max(worst, abs(os.waitstatus_to_exitcode(os.wait()[1])))
        running -= 1
    took = (time.perf_counter() - started) * 1000
    os.close(null)
    os.close(errors)
    return took, worst


for line in sys.stdin:
    ms, status = measure(**json.loads(line))
    print(json.dumps({"ms": ms, "status": status}), flush=True)
