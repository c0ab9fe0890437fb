"""Packets between a supervisor and the commands attached to it (SOCK_SEQPACKET, AF_UNIX).

The first byte is the kind; the rest is its payload.

    supervisor to client                     client to supervisor
      READY   JSON {"pid": N}                  INPUT    bytes for stdin
      FAILED  JSON {message, hint, status}     CLOSE    end of stdin
      STDOUT  bytes                            RESIZE   rows and columns, two bytes each, big-endian
      STDERR  bytes                            BROKEN   one byte, 1 or 2: nobody reads that stream
      EXIT    JSON, the exit record            WATCH    send no output, only EXIT
"""

from __future__ import annotations

READY = b"R"
FAILED = b"F"
STDOUT = b"o"
STDERR = b"e"
EXIT = b"x"

INPUT = b"i"
CLOSE = b"c"
RESIZE = b"w"
BROKEN = b"b"
WATCH = b"v"

CHUNK = 65536  # bytes of output or input in one packet, at most
SOCKET_NAME = "attach"
