"""Image references: parsed by the grammar of distribution/reference, normalised as docker does.

    reference       [domain "/"] path [":" tag] ["@" digest]
    domain          host [":" port]; host is a DNS name, IPv4 or "[" IPv6 "]"
    path            component ("/" component)*
    component       [a-z0-9]+ (("." | "_" | "__" | "-"+) [a-z0-9]+)*
    tag             [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}

A short name needs no configuration: `busybox` is docker.io/library/busybox:latest. The first
component is a domain only if it holds a dot or a colon, or is "localhost"; docker also takes
"User/app" for a host, but that is a typing error.
"""

from __future__ import annotations

from daemonless.errors import InvalidData, UsageError, printable
from daemonless.oci.digest import Digest, is_hex
from daemonless.record import Record

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
# What stands before a colon in the place of a name, see daemonless.images.transports.location.
TRANSPORTS = frozenset(("oci", "oci-archive", "docker-archive", "dir", "containers-storage", "docker-daemon"))
MAX_NAME = 255
MAX_TAG = 128

_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_LETTERS = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_TAG_FIRST = _LETTERS | {"_"}
_TAG_REST = _TAG_FIRST | {".", "-"}
_DIGITS = frozenset("0123456789")
_IPV6 = frozenset("0123456789abcdefABCDEF:")


class Reference(Record):
    """A fully spelled reference: at least one of `tag` and `digest` is not empty."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Domain and path."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar(self) -> str:
        """The shortest spelling that means the same."""
        name = self.name
        if self.domain == DEFAULT_DOMAIN:
            name = self.path.removeprefix("library/")
            if "/" in name and _is_domain(name.partition("/")[0]):
                name = self.name
        return name + self._suffix()

    def __str__(self) -> str:
        return self.name + self._suffix()

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse_reference(text: str) -> Reference:
    """Parse and normalise what a person typed.

    Raises UsageError for what is not a reference. A name of exactly 64 hex digits is refused
    because it reads as an image id.
    """
    remainder, at, digest_text = text.partition("@")
    digest = ""
    if at:
        try:
            digest = Digest(digest_text)
        except InvalidData as error:
            raise _invalid(text, error.message) from None
    name, tag = _split_tag(remainder)
    if tag is not None and not _is_tag(tag):
        raise _invalid(text, f'"{printable(tag, 40)}" is not a tag')
    first, slash, rest = name.partition("/")
    if slash and _is_domain(first):
        domain, path = first, rest
    else:
        domain, path = DEFAULT_DOMAIN, name
    if not _is_host_and_port(domain):
        raise _invalid(text, f'"{printable(domain, 80)}" is not a registry')
    _check_path(text, path)
    domain = domain.lower()
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        if len(path) == 64 and is_hex(path):
            raise _invalid(text, "64 hex digits are an image id, not a name")
        path = f"library/{path}"
    if len(domain) + 1 + len(path) > MAX_NAME:
        raise _invalid(text, f"the name is longer than {MAX_NAME} characters")
    return Reference(domain=domain, path=path, tag=tag or ("" if digest else DEFAULT_TAG), digest=digest)


def is_short(text: str) -> bool:
    """Return whether a name says nothing of its registry."""
    first, slash, _ = text.partition("/")
    return not (slash and _is_domain(first))


def repository_of(text: str) -> str:
    """Return a name without its tag and digest."""
    return _split_tag(text.partition("@")[0])[0]


def has_transport(text: str) -> bool:
    """Return whether `text` says where an image is (`oci:DIRECTORY`, `docker://NAME`), and is no name."""
    word, colon, _ = text.partition(":")
    return (bool(colon) and word in TRANSPORTS) or text.startswith("docker://")


def _invalid(text: str, reason: str) -> UsageError:
    return UsageError(f'"{printable(text, 100)}" is not an image name: {reason}', "for example: debian:12")


def _split_tag(text: str) -> tuple[str, str | None]:
    """Split at the last colon, unless a slash follows it: then it is a port's."""
    name, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        return text, None
    return name, tag


def _is_domain(component: str) -> bool:
    return "." in component or ":" in component or component == "localhost"


def _is_tag(text: str) -> bool:
    return 0 < len(text) <= MAX_TAG and text[0] in _TAG_FIRST and _TAG_REST.issuperset(text)


def _is_host_and_port(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, "0"
    if not port or not _DIGITS.issuperset(port) or len(port) > 5:
        return False
    if host.startswith("["):
        return host.endswith("]") and len(host) > 2 and _IPV6.issuperset(host[1:-1])
    return all(
        part and _LETTERS.issuperset(part.replace("-", "a")) and part[0] != "-" and part[-1] != "-"
        for part in host.split(".")
    )


def _check_path(text: str, path: str) -> None:
    if not path:
        raise _invalid(text, "it is empty")
    if path != path.lower():
        raise _invalid(text, "a name is lower case")
    for component in path.split("/"):
        if not _is_component(component):
            raise _invalid(text, f'"{printable(component, 80)}" cannot be part of a name')


def _is_component(text: str) -> bool:
    """Return whether alphanumeric runs alternate with one of the separators . _ __ and -+."""
    if not text or text[0] not in _LOWER or text[-1] not in _LOWER:
        return False
    separator = ""
    for char in text:
        if char in _LOWER:
            if separator not in ("", ".", "_", "__") and separator.strip("-"):
                return False
            separator = ""
        elif char in "._-":
            separator += char
        else:
            return False
    return True
