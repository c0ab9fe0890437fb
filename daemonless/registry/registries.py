"""registries.conf: what short names stand for, and where a registry's images really are.

containers-registries.conf(5), version 2, read as podman reads it: the user's file is in the place
of the system's; drop-ins are merged over it in the order of their names. Tables of the same
prefix replace each other, aliases add up, an empty alias takes one back.

    /etc/containers/registries.conf            or $XDG_CONFIG_HOME/containers/registries.conf,
                                               or the file that CONTAINERS_REGISTRIES_CONF names
    /etc/containers/registries.conf.d/*.conf   not beside the user's own file
    $XDG_CONFIG_HOME/containers/registries.conf.d/*.conf
    $XDG_CACHE_HOME/containers/short-name-aliases.conf      what podman was answered, aliases alone
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from daemonless.errors import InvalidData, UsageError, printable
from daemonless.oci.reference import Reference, is_short, parse_reference, repository_of
from daemonless.record import Record
from daemonless.registry.errors import Refused
from daemonless.registry.places import config_home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PULLS = ("all", "digest-only", "tag-only")
_MODES = ("enforcing", "permissive", "disabled")  # of short names; nobody is asked in any of them


class Endpoint(Record):
    """One place to ask for an image."""

    reference: Reference  # what it is called there
    insecure: bool = False  # http, or any certificate, will do
    is_mirror: bool = False


class _Mirror(Record):
    location: str
    insecure: bool
    pulls: str  # one of _PULLS


class _Registry(Record):
    """A [[registry]] table."""

    prefix: str
    location: str
    insecure: bool
    blocked: bool
    mirrors: tuple[_Mirror, ...]
    file: str  # where it was found

    def matched(self, name: str) -> int:
        """Return how many characters of an image's name, without tag, the prefix stands for; 0 if none."""
        if self.prefix.startswith("*."):
            host = name.partition("/")[0].partition(":")[0]
            return len(host) if host.endswith(self.prefix[1:]) else 0
        end = len(self.prefix)
        return end if name.startswith(self.prefix) and name[end : end + 1] in ("", "/", ":") else 0


class Registries:
    """The merged configuration."""

    def __init__(
        self,
        tables: Mapping[str, _Registry] | None = None,
        aliases: Callable[[], Mapping[str, str]] = dict,
        search: tuple[str, ...] = (),
        mode: str = "permissive",
    ) -> None:
        self._tables = tables or {}
        self._aliases = aliases
        self._search = search
        self._mode = mode

    def spelled_out(self, name: str) -> tuple[Reference, ...]:
        """Return what a name that a person typed may stand for, to be tried in this order.

        A short name is what its alias says, or is looked for in the unqualified-search-registries; without
        either it is docker.io's. Raises UsageError for what is not a name, or may not be guessed.
        """
        typed = parse_reference(name)
        if not is_short(name):
            return (typed,)
        repository = repository_of(name)
        suffix = name.removeprefix(repository)
        if alias := self._aliases().get(repository):
            return (parse_reference(alias + suffix),)
        if len(self._search) > 1 and self._mode == "enforcing":
            shown = ", ".join(f"{domain}/{name}" for domain in self._search)
            raise UsageError(
                f"{name} is a short name, and registries.conf has several registries to look for it in",
                f"say which one: {shown}",
            )
        return tuple(parse_reference(f"{domain}/{name}") for domain in self._search) or (typed,)

    def endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
        """Return where to ask for an image: mirrors in their order, then the registry itself.

        Raises Refused if its registry is blocked, InvalidData if a location makes no name.
        """
        table = self._table(reference)
        if table is None:
            return (Endpoint(reference=reference),)
        unwanted = "tag-only" if reference.digest else "digest-only"
        mirrors = [
            Endpoint(reference=_moved(reference, table, it.location), insecure=it.insecure, is_mirror=True)
            for it in table.mirrors
            if it.pulls != unwanted
        ]
        moved = _moved(reference, table, table.location)
        return (*mirrors, Endpoint(reference=moved, insecure=table.insecure))

    def destination(self, reference: Reference) -> Endpoint:
        """Return where an image is pushed to, or a login is for: never a mirror, never moved.

        Raises Refused if the registry is blocked.
        """
        table = self._table(reference)
        return Endpoint(reference=reference, insecure=table is not None and table.insecure)

    def _table(self, reference: Reference) -> _Registry | None:
        """Return what is said of an image's registry, if anything is. Raises Refused if it is blocked."""
        matching = [table for table in self._tables.values() if table.matched(reference.name)]
        if not matching:
            return None
        table = max(matching, key=lambda each: len(each.prefix))
        if table.blocked:
            raise Refused(
                f"{reference} is not to be used: {table.prefix} is blocked in {table.file}",
                "ask who looks after that file",
            )
        return table


def _moved(reference: Reference, table: _Registry, location: str) -> Reference:
    if not location:  # of a wildcard: as it is
        return reference
    rest = reference.name[table.matched(reference.name) :]
    try:
        moved = parse_reference(location + rest)
    except UsageError as error:
        raise InvalidData(f"{table.file}: the location {printable(location)}: {error.message}") from None
    return moved.replace(tag=reference.tag, digest=reference.digest)


# --- reading --------------------------------------------------------------------------------


def load_registries(env: Mapping[str, str] = os.environ, system: str = "/etc") -> Registries:
    """Return the configuration of this user; raises InvalidData for a file that cannot be used."""
    home = env.get("HOME", "/nonexistent")
    user, host = f"{config_home(env)}/containers", f"{system}/containers"
    given = env.get("CONTAINERS_REGISTRIES_CONF")
    own = f"{user}/registries.conf"
    has_own = os.path.exists(own)
    paths = [given] if given else [own if has_own else f"{host}/registries.conf"]
    if given and not os.path.exists(given):
        raise UsageError(f"cannot read {given}: it does not exist", "look at CONTAINERS_REGISTRIES_CONF")
    for directory in (user,) if has_own and not given else (host, user):
        paths += _drop_ins(f"{directory}/registries.conf.d")
    cache = env.get("XDG_CACHE_HOME") or f"{home}/.cache"
    paths.append(f"{cache}/containers/short-name-aliases.conf")

    files = [_File(path) for path in paths if os.path.exists(path)]
    tables: dict[str, _Registry] = {}
    search: tuple[str, ...] = ()
    mode = "permissive"
    for file in files:
        if file.has_aliases_alone:
            continue
        file.aliases()  # which checks them
        tables |= {table.prefix: table for table in file.tables()}
        found = file.search()
        search = search if found is None else found
        mode = file.mode() or mode

    def aliases() -> dict[str, str]:
        return {name: value for file in files for name, value in file.aliases().items()}

    return Registries(tables, aliases, search, mode)


def _drop_ins(directory: str) -> list[str]:
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
    return sorted(f"{directory}/{name}" for name in names if name.endswith(".conf"))


class _File:
    """One file; everything in it is checked before it is believed."""

    def __init__(self, path: str) -> None:
        """Read it. One of aliases alone is parsed when they are asked for: Debian's takes 5 ms."""
        self.path = path
        try:
            with open(path, encoding="utf-8") as file:
                self._text = file.read()
        except (OSError, ValueError) as error:
            raise self._unusable(error) from None
        lines = [line for line in map(str.strip, self._text.splitlines()) if line and line[0] != "#"]
        headers = [line for line in lines if line[0] == "["]
        self.has_aliases_alone = not lines or (headers == ["[aliases]"] and lines[0] == "[aliases]")
        if not self.has_aliases_alone:
            self._parse()

    def _unusable(self, error: OSError | ValueError) -> InvalidData:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return InvalidData(f"cannot use {self.path}: {reason}")

    def _parse(self) -> None:
        import tomllib  # noqa: PLC0415 - 5 ms, and most machines have nothing to parse for a full name

        try:
            self.document = tomllib.loads(self._text)
        except ValueError as error:
            raise self._unusable(error) from None
        old = self.table(self.document, "registries")  # the file format of before 2018
        self._old = {key: self.strings(self.table(old, key), "registries") for key in old}

    def search(self) -> tuple[str, ...] | None:
        """Return the unqualified-search-registries, if the file says something of them."""
        if self._old.get("search"):
            return tuple(map(self.location, self._old["search"]))
        if "unqualified-search-registries" not in self.document:
            return None
        return tuple(map(self.location, self.strings(self.document, "unqualified-search-registries")))

    def mode(self) -> str:
        """Return the short-name-mode, empty if the file says nothing of it."""
        mode = self.text(self.document, "short-name-mode")
        if mode and mode not in _MODES:
            raise self.wrong(f"short-name-mode is {mode}, not one of {', '.join(_MODES)}")
        return mode

    def aliases(self) -> dict[str, str]:
        """Return the full names of short ones; empty for one that is taken back."""
        if self.has_aliases_alone:
            self._parse()
        table = self.table(self.document, "aliases")
        found = {name: self.text(table, name) for name in table}
        for name, value in found.items():
            if value and is_short(value):
                raise self.wrong(f"the alias {name} stands for {value}, which has no registry")
        return found

    def tables(self) -> list[_Registry]:
        """Return the [[registry]] tables."""
        found = []
        for value in self.array(self.document, "registry"):
            location = self.location(self.text(value, "location"))
            prefix = self.location(self.text(value, "prefix")) or location
            if not prefix:
                raise self.wrong("a [[registry]] has neither prefix nor location")
            if prefix.startswith("*.") and ("/" in prefix or not prefix[2:]):
                raise self.wrong(f"the prefix {prefix} is not like *.example.com")
            found.append(
                _Registry(
                    prefix=prefix,
                    location=location or ("" if prefix.startswith("*.") else prefix),
                    insecure=self.flag(value, "insecure"),
                    blocked=self.flag(value, "blocked"),
                    mirrors=tuple(self._mirrors(value)),
                    file=self.path,
                )
            )
        for key in ("insecure", "block"):
            for name in self._old.get(key, ()):
                location = self.location(name)
                known = _Registry(
                    prefix=location,
                    location=location,
                    insecure=key == "insecure",
                    blocked=key == "block",
                    mirrors=(),
                    file=self.path,
                )
                found.append(known)
        return found

    def _mirrors(self, registry: dict[str, Any]) -> list[_Mirror]:
        by_digest = self.flag(registry, "mirror-by-digest-only")
        found = []
        for value in self.array(registry, "mirror"):
            location = self.location(self.text(value, "location"))
            pulls = self.text(value, "pull-from-mirror")
            if not location:
                raise self.wrong("a [[registry.mirror]] has no location")
            if pulls and (by_digest or pulls not in _PULLS):
                raise self.wrong(
                    "pull-from-mirror beside mirror-by-digest-only"
                    if by_digest
                    else f"pull-from-mirror is {printable(pulls)}, not one of {', '.join(_PULLS)}"
                )
            pulls = pulls or ("digest-only" if by_digest else "all")
            found.append(_Mirror(location=location, insecure=self.flag(value, "insecure"), pulls=pulls))
        return found

    # --- values of a type -------------------------------------------------------------------

    def wrong(self, what: str) -> InvalidData:
        """Return an error that names the file."""
        return InvalidData(f"{self.path} is not right: {printable(what)}", "containers-registries.conf(5)")

    def location(self, text: str) -> str:
        """Return HOST[:PORT][/PATH] as it is compared."""
        if "://" in text:
            raise self.wrong(f"{text} begins with a scheme; a location is HOST[:PORT][/PATH]")
        return text.rstrip("/")

    def text(self, table: dict[str, Any], key: str) -> str:
        """Return a string, empty if it is missing."""
        value = table.get(key, "")
        if not isinstance(value, str):
            raise self.wrong(f"{key} is not a string")
        return value

    def flag(self, table: dict[str, Any], key: str) -> bool:
        """Return a boolean, False if it is missing."""
        value = table.get(key, False)
        if not isinstance(value, bool):
            raise self.wrong(f"{key} is neither true nor false")
        return value

    def table(self, table: dict[str, Any], key: str) -> dict[str, Any]:
        """Return a table, empty if it is missing."""
        value = table.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(f"{key} is not a table")
        return value

    def array(self, table: dict[str, Any], key: str) -> list[dict[str, Any]]:
        """Return an array of tables, empty if it is missing."""
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.wrong(f"{key} is not an array of tables")
        return value

    def strings(self, table: dict[str, Any], key: str) -> list[str]:
        """Return an array of strings, empty if it is missing."""
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(f"{key} is not an array of strings")
        return value
