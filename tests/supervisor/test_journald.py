"""The log driver journald, against a datagram socket of our own in the journal's place."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from daemonless.actions.journal import parse_export
from daemonless.containers.logattributes import expand_tag, journal_fields, tag_problem
from daemonless.errors import SetupFailed
from daemonless.supervisor.journald import JournalLog, encode, has_journal
from daemonless.supervisor.logs import STDERR, STDOUT

F_GET_SEALS = 1034
HEAD = b"CONTAINER_NAME=web\n"


class Journal:
    """A socket that takes what the protocol says, when it is told to."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.logs: list[JournalLog] = []
        self.open()

    def open(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(5)

    def restart(self) -> None:
        self.socket.close()
        os.unlink(self.path)
        self.open()

    def take(self) -> bytes:
        data, ancillary, _, _ = self.socket.recvmsg(1 << 20, 256)
        for _, _, rights in ancillary:
            (fd,) = array.array("i", rights)
            assert fcntl.fcntl(fd, F_GET_SEALS) & 0xF == 0xF and not data
            data = os.pread(fd, 1 << 22, 0)
            os.close(fd)
        return data


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    server = Journal(tmp_path / "socket")
    yield server
    server.socket.close()
    for log in server.logs:
        log.close()


def log_to(journal: Journal, patience: float = 5) -> JournalLog:
    log = JournalLog({"CONTAINER_NAME": "web"}, journal.path, patience)
    journal.logs.append(log)
    return log


def test_a_line_is_an_entry(journal: Journal) -> None:
    log = log_to(journal)
    log.write(STDOUT, b"one\n\n\0\xff\r\nla")
    log.write(STDERR, b"oh\n")
    assert [journal.take() for _ in range(5)] == [
        HEAD + b"PRIORITY=6\nMESSAGE=one\n",
        HEAD + b"PRIORITY=6\nMESSAGE=\n",
        HEAD + b"PRIORITY=6\nMESSAGE=\0\xff\r\n",
        HEAD + b"PRIORITY=6\nCONTAINER_PARTIAL_MESSAGE=true\nMESSAGE=la\n",
        HEAD + b"PRIORITY=3\nMESSAGE=oh\n",
    ]


def test_a_value_with_newlines_is_preceded_by_its_length() -> None:
    assert encode({"A": "x", "B": "y\nz"}) == b"A=x\nB\n\3\0\0\0\0\0\0\0y\nz\n"


def test_what_is_too_large_for_a_datagram_comes_in_a_sealed_file(journal: Journal) -> None:
    line = b"x" * 3_000_000
    log_to(journal).write(STDOUT, line + b"\n")
    assert journal.take() == HEAD + b"PRIORITY=6\nMESSAGE=" + line + b"\n"


def test_a_journal_that_hangs_is_waited_for_once_and_its_losses_are_told(journal: Journal) -> None:
    log = log_to(journal, patience=0.01)
    log.write(STDOUT, b"".join(b"%d\n" % number for number in range(5000)))
    taken = []
    journal.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            taken.append(journal.take())
    assert 0 < len(taken) < 5000
    log.write(STDOUT, b"again\n")
    journal.socket.setblocking(True)
    assert journal.take().endswith(b"MESSAGE=again\n")
    lost = 5000 - len(taken)
    assert b"PRIORITY=4\nMESSAGE=daemonless: %d lines are lost here" % lost in journal.take()


def test_a_journal_that_restarts(journal: Journal) -> None:
    log = log_to(journal)
    log.write(STDOUT, b"one\n")
    journal.restart()
    log.write(STDOUT, b"two\n")
    assert journal.take().endswith(b"MESSAGE=two\n")


def test_a_journal_that_is_gone_costs_lines_only(journal: Journal) -> None:
    log = log_to(journal)
    journal.socket.close()
    log.write(STDOUT, b"one\n" * 1000)
    os.unlink(journal.path)
    log.write(STDOUT, b"two\n")
    log.write(STDERR, b"x" * 3_000_000)
    assert not has_journal(journal.path)
    with pytest.raises(SetupFailed, match="cannot log to the journal"):
        log_to(journal)


def test_close_returns_when_all_has_been_taken(journal: Journal) -> None:
    log = JournalLog({}, journal.path)
    log.write(STDOUT, b"one\ntwo\n")
    closing = threading.Thread(target=log.close)
    closing.start()
    assert [journal.take()[-4:], journal.take()[-4:]] == [b"one\n", b"two\n"]
    assert closing.is_alive()
    assert journal.take() == b""  # which the journal ignores
    closing.join(5)
    assert not closing.is_alive()


class Container:
    record: ClassVar = {
        "id": "0123456789abcdef" * 4,
        "name": "web",
        "image": "localhost/x:1",
        "imageId": "sha256:" + "ab" * 32,
    }


def test_fields_have_conmons_names() -> None:
    attributes = {"tag": "a tag", "com.x/y-z": "1", "9_": "2", "message": "3", "container_id": "4", "_": "5"}
    assert journal_fields(Container(), attributes) == {  # type: ignore[arg-type]
        "CONTAINER_ID": "0123456789ab",
        "CONTAINER_ID_FULL": Container.record["id"],
        "CONTAINER_NAME": "web",
        "CONTAINER_TAG": "a tag",
        "IMAGE_NAME": "localhost/x:1",
        "SYSLOG_IDENTIFIER": "a tag",
        "COM_X_Y_Z": "1",
    }
    assert journal_fields(Container(), {})["SYSLOG_IDENTIFIER"] == "web"  # type: ignore[arg-type]


def test_a_tag_is_a_template() -> None:
    assert expand_tag("{{.Name}}/{{ .ID }}/{{.ImageID}}", Container.record) == "web/0123456789ab/abababababab"
    assert tag_problem("{{.ImageName}} {{.Nothing}}") == "{{.Nothing}}"
    assert tag_problem("plain") == ""


def test_entries_of_any_bytes_cut_anywhere() -> None:
    binary = b"a\nb=\0\n\n"
    export = b"__CURSOR=1\nMESSAGE=x=y\n\n__CURSOR=2\nMESSAGE\n" + len(binary).to_bytes(8, "little") + binary
    export += b"\nPRIORITY=3\n\n"
    expected = [
        {b"__CURSOR": b"1", b"MESSAGE": b"x=y"},
        {b"__CURSOR": b"2", b"MESSAGE": binary, b"PRIORITY": b"3"},
    ]
    for cut in range(len(export) + 1):
        first, rest = parse_export(export[:cut])
        second, rest = parse_export(rest + export[cut:])
        assert first + second == expected and rest == b""
