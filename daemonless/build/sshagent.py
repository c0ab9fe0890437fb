"""An ssh agent for a step, that signs with the caller's keys and does nothing else.

The step talks to a socket of its own. A process of ours passes on what asks for the list of keys or for
a signature, to the caller's agent or to one made for the given key files; whatever would add, remove
or lock keys is refused (the agent protocol, draft-ietf-sshm-ssh-agent, sections 3 and 6.1).
"""

from __future__ import annotations

import os
import select
import socket
import stat
import time

from daemonless import syscalls as sc
from daemonless.errors import NotFound, SetupFailed, UsageError, printable
from daemonless.isolation.task import die_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_FAILURE = b"\0\0\0\1\5"  # SSH_AGENT_FAILURE
_ALLOWED = (11, 13)  # SSH_AGENTC_REQUEST_IDENTITIES, SSH_AGENTC_SIGN_REQUEST
_MAX_MESSAGE = 256 << 10  # bytes, as OpenSSH
_PATIENCE = 5  # seconds for ssh-agent to listen
_PLACES = ("/usr/bin", "/bin", "/usr/local/bin")
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "SSH_AUTH_SOCK": "keys", "SSH_ASKPASS_REQUIRE": "never"}


class Agent:
    """The processes behind the socket `agent` of a directory."""

    def __init__(self) -> None:
        self.pids: list[int] = []

    def stop(self) -> None:
        """End them."""
        for pid in self.pids:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        self.pids.clear()


def start_agent(paths: tuple[str, ...], directory: str) -> Agent:
    """Listen at `agent` in the directory for who may use the agent or the keys at `paths`.

    Raises NotFound for a path that is not there, UsageError for keys that cannot be used without a person.
    """
    agent = Agent()
    try:
        upstream = _socket_of(paths)
        if not upstream:
            upstream = "keys"
            _load_keys(agent, paths, directory)
        listener = socket.socket(socket.AF_UNIX)
        here = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            listener.bind(f"/proc/self/fd/{here}/agent")  # the path itself may be too long for an address
            listener.listen(16)
            agent.pids.append(_fork(lambda: _serve(listener, upstream), directory))
        finally:
            os.close(here)
            listener.close()
    except BaseException:
        agent.stop()
        raise
    return agent


def _socket_of(paths: tuple[str, ...]) -> str:
    """Return the socket that is meant; empty for keys. Raises NotFound."""
    for path in paths:
        try:
            if stat.S_ISSOCK(os.stat(path).st_mode):
                return path
        except OSError as error:
            raise NotFound(f"cannot use the ssh agent or key {printable(path)}: {error.strerror}") from None
    return ""


def _load_keys(agent: Agent, paths: tuple[str, ...], directory: str) -> None:
    """Start ssh-agent(1) at the socket `keys` of a directory, and give it the keys."""
    pid = _start("ssh-agent", ["-D", "-a", "keys"], directory)
    agent.pids.append(pid)
    deadline = time.monotonic() + _PATIENCE
    while not os.path.exists(f"{directory}/keys"):
        if time.monotonic() > deadline:
            raise SetupFailed("ssh-agent does not listen", "try --ssh with an agent of your own")
        time.sleep(0.002)
    for path in paths:
        if not os.access(path, os.R_OK):
            raise NotFound(f"cannot read the ssh key {printable(path)}")
        if os.waitpid(_start("ssh-add", ["-q", path], directory), 0)[1]:
            raise UsageError(
                f"the ssh key {printable(path)} cannot be used",
                "it must be private (chmod 600) and without a passphrase; "
                "for others: ssh-add KEY, then --ssh default",
            )


def _start(program: str, arguments: list[str], directory: str) -> int:
    """Start a program that dies with this process; return its pid."""
    for place in _PLACES:
        path = f"{place}/{program}"
        if os.access(path, os.X_OK):
            break
    else:
        raise NotFound(f"{program} is not installed", "sudo apt-get install openssh-client")
    return _fork(lambda: os.execve(path, [program, *arguments], _ENVIRONMENT), directory)


def _fork(work: Callable[[], NoReturn], directory: str) -> int:
    """Fork a process that does `work` in a directory, and dies with this one; return its pid."""
    caller = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            die_with(caller)
            # ssh-agent may be setgid, and the kernel would forget whom it is to die with.
            sc.prctl(sc.PR_SET_NO_NEW_PRIVS, 1)
            os.chdir(directory)  # a path of any length is an address from here
            null = os.open("/dev/null", os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            os.setsid()  # no terminal to ask for a passphrase
            work()
        finally:
            os._exit(127)
    return pid


# --- the process between the two ----------------------------------------------------------------


def _serve(listener: socket.socket, upstream: str) -> NoReturn:
    """Answer until killed."""
    clients: dict[int, tuple[socket.socket, socket.socket]] = {}
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                client, agent = listener.accept()[0], socket.socket(socket.AF_UNIX)
                clients[client.fileno()] = client, agent
                poll.register(client, select.POLLIN)
                _connect(agent, upstream)
            elif not _answer(*clients[fd]):
                poll.unregister(fd)
                for each in clients.pop(fd):
                    each.close()


def _connect(agent: socket.socket, upstream: str) -> None:
    try:
        agent.connect(upstream)
    except OSError:
        pass  # every answer is then a failure


def _answer(client: socket.socket, agent: socket.socket) -> bool:
    """Pass on one message and its answer; False at the end of the connection."""
    try:
        message = _receive(client)
    except OSError:
        return False
    if not message:
        return False
    answer = _FAILURE
    if message[4] in _ALLOWED:
        try:
            agent.sendall(message)
            answer = _receive(agent) or _FAILURE
        except OSError:
            pass
    try:
        client.sendall(answer)
    except OSError:
        return False
    return True


def _receive(peer: socket.socket) -> bytes:
    """Return a whole message, its length in front; nothing at the end or for what is none."""
    head = _exactly(peer, 4)
    length = int.from_bytes(head, "big")
    if len(head) < 4 or not 0 < length <= _MAX_MESSAGE:
        return b""
    body = _exactly(peer, length)
    return head + body if len(body) == length else b""


def _exactly(peer: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (part := peer.recv(count - len(data))):
        data += part
    return data
