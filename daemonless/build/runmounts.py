"""The mounts of a RUN: from what its Dockerfile says to mounts of the runtime spec and where they come from.

The value of a secret is in memory only: in this process, in the file system in memory that is mounted for
the step, or in the environment of its command.
"""

from __future__ import annotations

import os

from daemonless.build.cachemounts import CacheStore, Held, Identity, cache_id
from daemonless.build.mountsources import CacheSource, FileSource, SocketSource, Tree, TreeSource
from daemonless.build.runjob import Directory, RunJob
from daemonless.build.secrets import value_of
from daemonless.containers.request import config_section
from daemonless.errors import NotFound, UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from daemonless.build.sshagent import Agent
    from daemonless.dockerfile.steps import RunMount
    from daemonless.isolation.launch import Source
    from daemonless.oci.runtime import Mount

_FILE_OPTIONS = ("bind", "rprivate", "ro", "nosuid", "nodev")


class RunMounts:
    """What the mounts of one step come to; a context manager that holds what they need."""

    def __init__(self, job: RunJob) -> None:
        """Ready the mounts, waiting for caches that other steps use. Raises what is wrong with them."""
        self.mounts: dict[str, Mount] = {}  # by destination, for the runtime spec
        self.sources: list[tuple[str, Source]] = []
        self.files: set[str] = set()  # destinations that are files
        self.unknown: set[str] = set()  # and those of which it is not known before they are mounted
        self.variables: list[str] = []
        self._job = job
        self._held: dict[str, Held] = {}
        self._agents: list[Agent] = []
        self._count = 0
        add: dict[str, Callable[[RunMount], None]] = {
            "bind": self._bind,
            "cache": self._cache,
            "tmpfs": self._tmpfs,
            "secret": self._secret,
            "ssh": self._ssh,
        }
        try:
            self._take_caches()
            for mount in job.work.mounts:
                add[mount.type](mount)
            for name, content in job.work.files:
                destination = f"/dev/pipes/{name}"
                self._file(destination, os.fsencode(content), 0, 0, 0o755, *_FILE_OPTIONS)
        except BaseException:
            self.release()
            raise

    def settle(self) -> None:
        """Note that everything is mounted."""
        for held in self._held.values():
            held.settle()

    def release(self) -> None:
        """Let go of the caches and the agents."""
        for agent in self._agents:  # they have inherited the locks
            agent.stop()
        for held in self._held.values():
            held.release()

    def __enter__(self) -> RunMounts:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _add(self, target: str, kind: str, source: str, *options: str) -> str:
        """Add a mount to the spec; return its destination. A later one takes the place of an earlier."""
        section = config_section(self._job.config)
        path = os.path.normpath(
            f"/{section.get('WorkingDir') or ''}/{target}" if target[:1] != "/" else target
        )
        destination = "/" + path.lstrip("/")
        if destination == "/":
            raise UsageError("cannot mount on /: a mount needs a target of its own")
        self.mounts[destination] = {
            "destination": destination,
            "type": kind,
            "source": source,
            "options": [*options],
        }
        self.sources = [each for each in self.sources if each[0] != destination]
        self.files.discard(destination)
        self.unknown.discard(destination)
        return destination

    def _directory(self) -> str:
        """Return a new directory of the step for one mount."""
        path = f"{self._job.directory}/mount.{self._count}"
        self._count += 1
        os.mkdir(path, 0o700)
        return path

    # --- bind ---------------------------------------------------------------------------------

    def _bind(self, mount: RunMount) -> None:
        path = mount.source or "/"
        tree = self._tree(mount.from_, path, writable=not mount.read_only)
        source = f"{path} of {tree.name}"
        options = ("rbind", "rprivate", "ro" if mount.read_only else "rw")
        destination = self._add(mount.target, "bind", source, *options)
        self.sources.append((destination, TreeSource(tree=tree, path=path)))
        if path.strip("/"):
            self.unknown.add(destination)

    def _tree(self, name: str, path: str, *, writable: bool) -> Tree:
        """Return a stage, an image or a context, of which `path` is to be seen."""
        found = self._job.trees.get(name)
        if found is None:
            raise NotFound(
                f"there is no stage, image or context {printable(name)} to mount from"
                if name
                else "there is no context to mount from"
            )
        directory = self._directory()
        for each in ("merged", *(("upper", "work") if writable else ("empty",))):
            os.mkdir(f"{directory}/{each}", 0o755)
        shown = printable(name)
        if not isinstance(found, Directory):
            return Tree(
                name=shown,
                lowers=found.lowers or (self._empty(directory),),
                is_context=False,
                directory=directory,
                writable=writable,
                hides=False,
            )
        hides = False
        if found.ignore is not None:
            # Most contexts that are mounted have a .dockerignore, but few builds mount one.
            from daemonless.build.hiding import hide_ignored  # noqa: PLC0415 - for those

            os.mkdir(f"{directory}/hidden", 0o755)
            hides = hide_ignored(found.path, path, found.ignore, f"{directory}/hidden")
        return Tree(
            name=f"the context {shown}" if name else "the context",
            lowers=(found.path,),
            is_context=True,
            directory=directory,
            writable=writable,
            hides=hides,
        )

    def _empty(self, directory: str) -> str:
        os.mkdir(f"{directory}/scratch", 0o755)
        return f"{directory}/scratch"

    # --- cache --------------------------------------------------------------------------------

    def _take_caches(self) -> None:
        """Take all caches in the order of their names, so that two steps never wait for each other.

        A cache that is mounted twice is taken once, as its strictest mount has it.
        """
        strictness = ("shared", "private", "locked")
        wanted: dict[str, tuple[Identity, str]] = {}
        for mount in self._job.work.mounts:
            if mount.type == "cache":
                identity = self._identity(mount)
                _, before = wanted.get(identity.name, (identity, "shared"))
                sharing = max(before, mount.sharing or "shared", key=strictness.index)
                wanted[identity.name] = identity, sharing
        store = CacheStore(self._job.paths)
        for name in sorted(wanted):
            self._held[name] = store.acquire(*wanted[name], self._say_waiting)

    def _say_waiting(self, identity: Identity) -> None:
        message = f"waiting for another step that uses the cache {printable(identity.id)}\n"
        os.write(self._job.stderr, message.encode())

    def _identity(self, mount: RunMount) -> Identity:
        origin = ""
        if mount.from_:
            tree = self._job.trees.get(mount.from_)
            # Layers lie in directories that are named by their content: .../HEX/diff
            parts = [tree.path] if isinstance(tree, Directory) else []
            if tree is not None and not isinstance(tree, Directory):
                parts = [lower.split("/")[-2] for lower in tree.lowers]
            origin = " ".join([*parts, mount.source or "/"])
        return Identity(
            id=cache_id(mount, self._job.settings.cache_namespace),
            origin=origin,
            uid=mount.uid,
            gid=mount.gid,
            mode=mount.mode,
        )

    def _cache(self, mount: RunMount) -> None:
        identity = self._identity(mount)
        held = self._held[identity.name]
        path = mount.source or "/"
        source = CacheSource(
            directory=held.directory,
            uid=mount.uid,
            gid=mount.gid,
            mode=mount.mode,
            origin=self._tree(mount.from_, path, writable=False) if mount.from_ and held.is_new else None,
            path=path,
        )
        options = ("rbind", "rprivate", "ro" if mount.read_only else "rw")
        destination = self._add(mount.target, "bind", f"cache {identity.id}", *options)
        self.sources.append((destination, source))

    # --- tmpfs, secret, ssh -------------------------------------------------------------------

    def _tmpfs(self, mount: RunMount) -> None:
        size = (f"size={mount.size}",) if mount.size else ()
        self._add(mount.target, "tmpfs", "tmpfs", "ro" if mount.read_only else "rw", "nosuid", "nodev", *size)

    def _file(self, target: str, content: bytes, uid: int, gid: int, mode: int, *options: str) -> None:
        destination = self._add(target, "bind", "file", *options)
        source = FileSource(directory=self._directory(), content=content, uid=uid, gid=gid, mode=mode)
        self.sources.append((destination, source))
        self.files.add(destination)

    def _secret(self, mount: RunMount) -> None:
        secret = dict(self._job.settings.secrets).get(mount.id)
        if secret is None:
            if mount.required:
                shown = printable(mount.id)
                raise NotFound(
                    f"the secret {shown} is required and was not given",
                    f"give it: --secret id={shown},src=FILE or --secret id={shown},env=VARIABLE",
                )
            return
        value = value_of(mount.id, secret)
        if mount.env:
            if b"\0" in value:
                raise UsageError(
                    f"the secret {printable(mount.id)} holds a NUL byte, so it cannot be a variable"
                )
            self.variables.append(f"{mount.env}={os.fsdecode(value)}")
        if mount.target or not mount.env:
            target = mount.target or f"/run/secrets/{mount.id.rpartition('/')[2]}"
            mode = 0o400 if mount.mode is None else mount.mode
            self._file(target, value, mount.uid, mount.gid, mode, *_FILE_OPTIONS, "noexec")

    def _ssh(self, mount: RunMount) -> None:
        name = mount.id or "default"
        paths = dict(self._job.settings.ssh).get(name)
        if paths is None:
            if mount.required:
                raise NotFound(
                    f"ssh access {printable(name)} is required and was not given",
                    "give it: --ssh default, or --ssh ID=SOCKET or KEYFILE",
                )
            return
        from daemonless.build.sshagent import start_agent  # noqa: PLC0415 - few steps use ssh

        directory = self._directory()
        self._agents.append(start_agent(paths, directory))
        number = len(self._agents) - 1
        destination = self._add(
            mount.target or f"/run/buildkit/ssh_agent.{number}", "bind", "ssh agent", "bind", "rprivate", "rw"
        )
        mode = 0o600 if mount.mode is None else mount.mode
        source = SocketSource(path=f"{directory}/agent", uid=mount.uid, gid=mount.gid, mode=mode)
        self.sources.append((destination, source))
        self.files.add(destination)
        if number == 0:
            self.variables.append(f"SSH_AUTH_SOCK={destination}")
