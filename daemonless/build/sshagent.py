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

from daemonless.errors import NotFound, SetupFailed, UsageError, printable
from daemonless.isolation.task import die_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_FAILURE = b"\0\0\0\1\5"  # SSH_AGENT_FAILURE
_ALLOWED = (11, 13)  # SSH_AGENTC_REQUEST_IDENTITIES, SSH_AGENTC_SIGN_REQUEST
_MAX_MESSAGE = 256 << 10  # bytes, as OpenSSH
_PATIENCE = 5  # seconds for ssh-agent to listen
_DIRECTORIES = ("/usr/bin", "/bin", "/usr/local/bin")


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
        upstream = paths[0] if paths else ""
        try:
            is_socket = len(paths) == 1 and stat.S_ISSOCK(os.stat(upstream).st_mode)
        except OSError as error:
            raise NotFound(
                f"cannot use the ssh agent or key {printable(upstream)}: {error.strerror}"
            ) from None
        if not is_socket:
            upstream = f"{directory}/keys"
            _load_keys(agent, paths, upstream)
        listener = socket.socket(socket.AF_UNIX)
        here = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        listener.bind(f"/proc/self/fd/{here}/agent")  # the path itself may be too long for an address
        os.close(here)
        listener.listen(16)
        caller = os.getpid()
        pid = os.fork()
        if pid == 0:
            _serve(listener, upstream, caller)
        agent.pids.append(pid)
        listener.close()
    except BaseException:
        agent.stop()
        raise
    return agent


def _load_keys(agent: Agent, paths: tuple[str, ...], where: str) -> None:
    """Start ssh-agent(1) at the socket `where` and give it the keys."""
    agent.pids.append(_spawn("ssh-agent", ["-D", "-a", where], {}))
    deadline = time.monotonic() + _PATIENCE
    while not os.path.exists(where):
        if time.monotonic() > deadline:
            raise SetupFailed("ssh-agent does not listen", f"the path may be too long: {where}")
        time.sleep(0.002)
    environment = {"SSH_AUTH_SOCK": where, "SSH_ASKPASS_REQUIRE": "never", "DISPLAY": ""}
    for path in paths:
        if not os.access(path, os.R_OK):
            raise NotFound(f"cannot read the ssh key {printable(path)}")
        status = os.waitpid(_spawn("ssh-add", ["-q", path], environment), 0)[1]
        if status:
            raise UsageError(
                f"the ssh key {printable(path)} cannot be used",
                "it must be private (chmod 600) and without a passphrase; "
                "for others: ssh-add KEY, then --ssh default",
            )


def _spawn(program: str, arguments: list[str], environment: dict[str, str]) -> int:
    for directory in _DIRECTORIES:
        path = f"{directory}/{program}"
        if os.access(path, os.X_OK):
            break
    else:
        raise NotFound(f"{program} is not installed", "sudo apt-get install openssh-client")
    null = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    return os.posix_spawn(
        path, [program, *arguments], {"PATH": "/usr/bin:/bin", **environment}, file_actions=null, setsid=True
    )


# --- the process between the two ----------------------------------------------------------------


def _serve(listener: socket.socket, upstream: str, caller: int) -> NoReturn:
    """Answer until killed."""
    try:
        die_with(caller)
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
    finally:
        os._exit(1)


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
