"""The volumes and secrets of one container: chosen when it is created, readied when it starts.

Imported only for containers that have volumes, secrets, throw-away overlays or owners to set; it
decides what `isolation.volumes` then does inside the container's namespaces.

The value of the Nth --secret is copied into the bundle, containers/ID/secret.N, and is in no other
file: neither the record nor the runtime spec holds it. One of type env is put into the environment
in memory, when the container starts or a process is executed in it.
"""

from __future__ import annotations

import os

from daemonless import events, failpoints
from daemonless.config import Paths
from daemonless.containers.grammar_volumes import mount_of
from daemonless.containers.request import Mount, RunRequest, Secret
from daemonless.containers.store import Container, ContainerStore
from daemonless.errors import DaemonlessError, NotFound, Unsupported, UsageError, printable
from daemonless.files import make_private_directory, read_file, write_atomic
from daemonless.isolation.volumes import Source
from daemonless.layers import trash
from daemonless.secretstore import SecretStore
from daemonless.volumes.store import Volume, VolumeStore, new_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from daemonless.oci import runtime

_SECRET_OPTIONS = ("bind", "rprivate", "ro", "nosuid", "nodev", "noexec")
_FROM_IMAGE = ("rbind", "rprivate", "rw", "nosuid", "nodev")


class Prepared:
    """What `prepare` gives to the making of a container: nothing of it can go before `release`."""

    def __init__(self, request: RunRequest) -> None:
        self.request = request
        self.mounts: dict[str, runtime.Mount] = {}  # by destination, for the runtime spec
        self.held: list[Volume] = []
        self.made: list[Volume] = []

    def release(self) -> None:
        """Let go of the volumes: the container's record names them now."""
        for volume in self.held:
            volume.release()

    def abandon(self, paths: Paths) -> None:
        """Remove the volumes made for a container that is not to be, and let go of the others."""
        for volume in self.made:
            VolumeStore(paths).discard(volume)
        self.release()


def prepare(
    paths: Paths,
    request: RunRequest,
    image_volumes: dict[str, Any],
    *,
    directory: str,
    staging: str,
    warn: Callable[[str], None],
) -> Prepared:
    """Complete the mounts of a new container and hold its volumes, made if they are missing.

    `directory` is where the container's bundle will be, `staging` where it is now. The locks are
    taken in the order of the volumes' names, so that two makers never wait for each other. Raises
    NotFound for a container of --volumes-from or a secret that does not exist.
    """
    sources = _sources(paths, request)
    mounts = {mount.destination: mount for mount in _from_containers(sources)}
    borrowed = {mount.source for mount in mounts.values() if mount.type == "volume"}
    mounts.update((mount.destination, mount) for mount in request.mounts)
    for destination in _image_destinations(image_volumes, warn):
        if destination not in mounts and request.image_volume != "ignore":
            mounts[destination] = _of_image(destination, request.image_volume)
    names: dict[str, bool] = {}  # whether it is anonymous
    for destination, mount in mounts.items():
        if mount.type == "volume":
            name = mount.source or new_name()
            mounts[destination] = mount.replace(source=name)
            names[name] = not mount.source
    secrets = _copy_secrets(paths, request.secrets, staging)
    given = tuple((name, mode, source.id) for source, name, mode in sources)
    prepared = Prepared(request.replace(mounts=tuple(mounts.values()), secrets=secrets, volumes_from=given))
    try:
        _hold(paths, prepared, names, borrowed)
        volumes = {volume.name: volume for volume in prepared.held}
        for index, mount in enumerate(mounts.values()):
            if mount.overlay and _inside_volume(paths.data, mount):
                raise Unsupported(
                    f"cannot mount {printable(mount.source)} with option O: it is a part of a volume",
                    "mount the volume by its name",
                )
            if mount.type == "volume" or mount.overlay:
                prepared.mounts[mount.destination] = _spec_mount(
                    mount, volumes.get(mount.source), f"{directory}/overlay.{index}"
                )
        for number, secret in enumerate(secrets):
            if secret.type == "mount":
                if secret.target in mounts or secret.target in prepared.mounts:
                    raise UsageError(f"two mounts have the destination {printable(secret.target)}")
                prepared.mounts[secret.target] = {
                    "destination": secret.target,
                    "type": "bind",
                    "source": f"{directory}/secret.{number}",
                    "options": [*_SECRET_OPTIONS],
                }
    except BaseException:
        prepared.abandon(paths)
        raise
    return prepared


def _copy_secrets(paths: Paths, secrets: tuple[Secret, ...], staging: str) -> tuple[Secret, ...]:
    """Copy the values into the bundle; return the secrets with the ids of what was copied."""
    copied = []
    for number, asked in enumerate(secrets):
        secret = SecretStore(paths).find(asked.name)
        if asked.type == "env" and b"\0" in secret.value:
            raise UsageError(f"secret {asked.name} holds a NUL byte, so it cannot be a variable")
        copied.append(asked.replace(name=secret.name, id=secret.id))
        failpoints.reach("secret.copy")
        write_atomic(f"{staging}/secret.{number}", secret.value, durable=False)
    return tuple(copied)


def secret_variables(container: Container, request: RunRequest) -> tuple[str, ...]:
    """Return NAME=VALUE of the secrets of type env, for the environment of a process and nothing else."""
    return tuple(
        f"{secret.target}={os.fsdecode(read_file(f'{container.directory}/secret.{number}'))}"
        for number, secret in enumerate(request.secrets)
        if secret.type == "env"
    )


def _sources(paths: Paths, request: RunRequest) -> list[tuple[Container, str, str]]:
    """Return the containers of --volumes-from, each with the name it was given by and the mode."""
    store = ContainerStore(paths)
    return [(store.find(name), name, mode) for name, mode, *_ in request.volumes_from]


def _from_containers(sources: list[tuple[Container, str, str]]) -> Iterable[Mount]:
    """Yield the binds and volumes of the containers of --volumes-from."""
    for source, _, mode in sources:
        theirs = RunRequest.from_dict(source.record["request"])
        for mount in theirs.mounts:
            if mount.type == "tmpfs":
                continue
            if mode:
                flags = (option for option in mount.options if option not in ("ro", "rw"))
                mount = mount.replace(options=(*flags, mode))
            yield mount


def _image_destinations(volumes: dict[str, Any], warn: Callable[[str], None]) -> Iterable[str]:
    """Yield the paths of the image's VOLUMEs: data from outside, `..` in them included (CVE-2022-23648)."""
    for text in volumes:
        path = os.path.normpath("/" + text.lstrip("/"))
        if path.split("/")[1] in ("", "proc", "sys", "dev") or "\0" in text:
            warn(f"ignoring the image's volume {printable(text)!r}: no volume can be mounted there")
        else:
            yield path


def _of_image(destination: str, kind: str) -> Mount:
    if kind == "tmpfs":
        options = ("rprivate", "rw", "nosuid", "nodev", "tmpcopyup")
        return Mount(destination=destination, type="tmpfs", source="tmpfs", options=options)
    return Mount(destination=destination, type="volume", source="", options=_FROM_IMAGE)


def _hold(paths: Paths, prepared: Prepared, names: dict[str, bool], borrowed: set[str]) -> None:
    store = VolumeStore(paths)
    for name in sorted(names):
        if names[name]:
            volume, made = store.create(name, anonymous=True, durable=False), True
        elif name in borrowed:  # it exists, or went just now with the container it is taken from
            volume, made = store.volume(name), False
            volume.acquire()
        else:
            volume, made = store.hold(name)
        prepared.held.append(volume)
        if made:
            prepared.made.append(volume)
            events.record(paths, "volume", "create", name)
        else:
            volume.set_shared()


def _spec_mount(mount: Mount, volume: Volume | None, overlay: str) -> runtime.Mount:
    """Return a mount of the runtime spec for a volume or an overlay over a directory of the host."""
    kind, source, options = "bind", mount.source, list(mount.options)
    if volume is not None:
        source = f"{volume.mountpoint}/{mount.subpath}".rstrip("/")
        if volume.options:
            if mount.subpath:
                raise Unsupported(f"volume {volume.name} is mounted as a whole: it has options of its driver")
            kind, source, driver = mount_of(volume.options)
            is_read_only = "ro" in mount.options or "ro" in driver
            flags = [option for option in driver if option not in ("ro", "rw")]
            options = [*flags, "ro" if is_read_only else "rw"]
    if mount.overlay:
        kept = ("nosuid", "nodev", "noexec", "ro")
        options = [
            f"lowerdir={source.replace(chr(92), chr(92) * 2).replace(':', chr(92) + ':')}",
            *(f"{key}dir={overlay}/{key}" for key in ("upper", "work")),
            "userxattr",
            *(option for option in options if option in kept),
        ]
        kind, source = "overlay", "overlay"
    return {"destination": mount.destination, "type": kind, "source": source, "options": options}


class Ready:
    """What a start needs beside the runtime spec, and the volumes it is the first to use."""

    def __init__(self, *, ephemeral: bool = False) -> None:
        self._ephemeral = ephemeral  # anonymous volumes go with the container, at the end of its run
        self.sources: list[tuple[str, Source]] = []
        self.variables: tuple[str, ...] = ()  # secrets of the process's environment
        self.fresh: list[Volume] = []

    @property
    def lock_fds(self) -> tuple[int, ...]:
        """The descriptors that the supervisor has to inherit: it holds the volumes until `settle`."""
        return tuple(volume.lock_fd for volume in self.fresh)

    def settle(self) -> None:
        """Note, once the container has started, that its volumes have been used; let go of them."""
        for volume in self.fresh:
            try:
                failpoints.reach("volume.used")
                volume.set_used(durable=not (self._ephemeral and volume.is_anonymous))
            except (DaemonlessError, OSError):  # a full disk, say: the next start finds the volume filled
                pass
            volume.release()
        self.fresh.clear()  # a restart by the supervisor has nothing more to note

    def release(self) -> None:
        """Close this process's copies of the locks."""
        for volume in self.fresh:
            volume.release()


def make_ready(paths: Paths, container: Container, request: RunRequest) -> Ready:
    """Ready the volumes of a container that is about to start. Raises NotFound for one that is gone."""
    ready = Ready(ephemeral=request.rm)
    try:
        _lock_fresh(paths, ready, request)
        fresh = {volume.name: volume for volume in ready.fresh}
        for index, mount in enumerate(request.mounts):
            upper = f"{container.directory}/overlay.{index}" if mount.overlay else ""
            if upper:
                _renew_overlay(paths, upper)
            if mount.type == "volume":
                source = _volume_source(VolumeStore(paths).volume(mount.source), mount, fresh)
            else:
                source = _inside_volume(paths.data, mount) or Source(chown=mount.chown)
            source = source.replace(upper=upper)
            if source != Source():
                ready.sources.append((mount.destination, source))
        for secret in request.secrets:
            if secret.type == "mount":
                source = Source(owner=(secret.uid, secret.gid), mode=secret.mode)
                ready.sources.append((secret.target, source))
        ready.variables = secret_variables(container, request)
    except BaseException:
        ready.release()
        raise
    return ready


def ready_volumes(paths: Paths, request: RunRequest, *, fill: bool) -> Ready:
    """Ready the volumes alone, for who works in the files of a container that does not run.

    With `fill`, for who writes to them, a first use is one as by a start; without, a volume that is
    gone is passed over. Raises NotFound as `make_ready`.
    """
    ready = Ready()
    try:
        if fill:
            _lock_fresh(paths, ready, request)
        fresh = {volume.name: volume for volume in ready.fresh}
        for mount in request.mounts:
            inside = _inside_volume(paths.data, mount)
            if inside:
                ready.sources.append((mount.destination, inside.replace(chown=False)))
            if mount.type != "volume" or mount.overlay:
                continue
            try:
                volume = VolumeStore(paths).volume(mount.source)
                source = _volume_source(volume, mount.replace(chown=False), fresh)
            except NotFound:
                continue
            if source != Source():
                ready.sources.append((mount.destination, source))
    except BaseException:
        ready.release()
        raise
    return ready


def _lock_fresh(paths: Paths, ready: Ready, request: RunRequest) -> None:
    """Lock the volumes that nobody has used yet and that this start shall fill, by name."""
    store = VolumeStore(paths)
    for name in sorted({mount.source for mount in request.mounts if mount.type == "volume"}):
        volume = store.volume(name)
        try:
            if not volume.needs_copy_up or volume.options:
                continue
            volume.acquire()
            if not volume.needs_copy_up:  # another start was faster
                volume.release()
                continue
        except NotFound:
            raise NotFound(
                f"volume {name} of the container is gone", f"make it anew: daemonless volume create {name}"
            ) from None
        ready.fresh.append(volume)
        failpoints.reach("volume.ready")
        unfinished = f"{volume.directory}/_new"
        if os.path.lexists(unfinished):
            trash.discard(paths.data, unfinished)
        os.mkdir(unfinished, 0o700)


def _volume_source(volume: Volume, mount: Mount, fresh: dict[str, Volume]) -> Source:
    if volume.options or mount.overlay:
        return Source(chown=mount.chown)
    first_use = volume.name in fresh and not mount.subpath
    if first_use:
        del fresh[volume.name]  # a second mount of the same volume finds it filled
    owner = volume.record["owner"]
    return Source(
        volume=volume.directory,
        subpath=mount.subpath,
        fill=first_use,
        copy=not mount.nocopy,
        owner=tuple(owner) if owner else None,
        chown=mount.chown,
    )


def _inside_volume(data: str, mount: Mount) -> Source | None:
    """Return the source of a bind of what lies in a volume of ours, else None.

    The containers that use the volume may put links in the path's way, so it is resolved inside.
    """
    prefix = f"{data}/volumes/"
    if mount.type != "bind" or not mount.source.startswith(prefix):
        return None
    name, _, path = mount.source.removeprefix(prefix).partition("/_data/")
    if not path or "/" in name:
        return None
    return Source(volume=prefix + name, subpath=path, chown=mount.chown)


def _renew_overlay(paths: Paths, directory: str) -> None:
    """Give a throw-away overlay empty directories; what the last run wrote is thrown away now."""
    if os.path.lexists(directory):
        trash.discard(paths.data, directory)
    for name in ("upper", "work"):
        make_private_directory(f"{directory}/{name}")
