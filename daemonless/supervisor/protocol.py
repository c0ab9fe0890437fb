"""Packets between a supervisor and the commands attached to it (SOCK_SEQPACKET, AF_UNIX).

The first byte is the kind; the rest is its payload.

    supervisor to client                     client to supervisor
      READY   JSON {"pid": N}                  INPUT    bytes for stdin
      FAILED  JSON {message, hint, status}     CLOSE    end of stdin
      STDOUT  bytes                            RESIZE   rows and columns, two bytes each, big-endian
      STDERR  bytes                            BROKEN   one byte, 1 or 2: nobody reads that stream
      EXIT    JSON, the exit record            WATCH    send no output, only the last EXIT
      HEALTH  JSON, the result of a probe      RELEASE  execute what waits before its execve;
              {"exitCode": N}, or null if               one byte a: this client is the one attached
              none could be made               PROBE    check the container's health now

EXIT ends the conversation with a client that takes part. `restarting` in it says that the container
is about to be started again; who watches stays connected until it is not.

Files in the run directory that a command makes and the supervisor heeds, so that what was asked
for holds however the two race: a mark is made before the signal it belongs to is sent.

    stop           the container stays ended; whoever stops it holds a lock on the file meanwhile
    restart        the container is started again at once when it ends
    paused.json    it is frozen; what a run leaves is removed by the next supervisor
    exec-ID        a session of `exec` lives, as long as the process it tells of does
"""

from __future__ import annotations

READY = b"R"
FAILED = b"F"
STDOUT = b"o"
STDERR = b"e"
EXIT = b"x"
HEALTH = b"h"

INPUT = b"i"
CLOSE = b"c"
RESIZE = b"w"
BROKEN = b"b"
WATCH = b"v"
RELEASE = b"s"
PROBE = b"p"

CHUNK = 65536  # bytes of output or input in one packet, at most
SOCKET_NAME = "attach"
STOP_MARK = "stop"
RESTART_MARK = "restart"
PAUSE_MARK = "paused.json"
SESSION_PREFIX = "exec-"
HEALTH_NAME = "health.json"
