"""Content digests (OCI image-spec, descriptor.md "Digests") and reading that verifies them.

A digest from outside becomes a `Digest` before it reaches a path or a URL; everything that is
not an algorithm we know and the exact number of lower-case hex digits is refused there
(CVE-2024-3727).
"""

from __future__ import annotations

from daemonless.errors import InvalidData, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Readable(Protocol):
        """Anything with a blocking read."""

        def read(self, size: int, /) -> bytes:
            """Return up to `size` bytes, b"" at the end."""


_HEX_LENGTH = {"sha256": 64, "sha512": 128}
_HEX_DIGITS = frozenset("0123456789abcdef")


class Digest(str):
    """A checked `ALGORITHM:HEX`; construction raises InvalidData for anything else."""

    __slots__ = ()

    def __new__(cls, text: str) -> Digest:
        """Check and wrap `text`."""
        if isinstance(text, Digest):
            return text
        algorithm, _, value = text.partition(":")
        if len(value) != _HEX_LENGTH.get(algorithm) or not _HEX_DIGITS.issuperset(value):
            raise InvalidData(
                f'"{printable(text, 80)}" is not a digest', "a digest is sha256: and 64 hex digits"
            )
        return super().__new__(cls, text)

    @property
    def algorithm(self) -> str:
        """The part before the colon: sha256 or sha512."""
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        """The part after the colon."""
        return self.partition(":")[2]

    @property
    def short(self) -> str:
        """Twelve hex digits, as tables and progress lines show them."""
        return self.hex[:12]


def is_hex(text: str) -> bool:
    """Return whether `text` is one or more lower-case hex digits."""
    return bool(text) and _HEX_DIGITS.issuperset(text)


def new_hash(algorithm: str) -> Any:
    """Return a hashlib object for the algorithm of a Digest."""
    # late: hashlib loads OpenSSL (3 ms), and the hot path only compares digests
    import hashlib  # noqa: PLC0415

    return hashlib.new(algorithm, usedforsecurity=True)


def digest_of(data: bytes, algorithm: str = "sha256") -> Digest:
    """Return the digest of `data`."""
    state = new_hash(algorithm)
    state.update(data)
    return Digest(f"{algorithm}:{state.hexdigest()}")


def chain_id(diff_ids: tuple[str, ...] | list[str]) -> Digest:
    """Return the ChainID of a stack of layers, bottom first (image-spec, config.md "Layer ChainID").

    Raises InvalidData for an empty stack, which has no ChainID.
    """
    if not diff_ids:
        raise InvalidData("an image without layers has no chain id")
    chain = Digest(diff_ids[0])
    for diff_id in diff_ids[1:]:
        chain = digest_of(f"{chain} {Digest(diff_id)}".encode())
    return chain


class VerifiedReader:
    """A stream that ends well only if its bytes have the expected digest and size.

    `read` raises InvalidData as soon as more than `size` bytes arrive, and at the end if fewer
    came or the digest differs; until it has returned b"" nothing read through it is proven.
    """

    def __init__(self, stream: Readable, digest: str, size: int, *, what: str = "blob") -> None:
        self.digest = Digest(digest)
        self.size = size
        self.what = what
        self.received = 0
        self._stream = stream
        self._hash = new_hash(self.digest.algorithm)
        self._verified = False

    def resume(self, held: Readable) -> int:
        """Take the first bytes from `held`, before anything is read; return how many it had.

        The stream then has to go on where they end.
        """
        while data := held.read(min(1 << 20, self.size - self.received)):
            self.received += len(data)
            self._hash.update(data)
        return self.received

    def read(self, size: int = 1 << 20) -> bytes:
        """Return up to `size` bytes, or b"" once everything has been read and verified."""
        if self._verified:
            return b""
        # one byte more than is due shows that a peer sends too much, without reading it all
        data = self._stream.read(min(size, self.size - self.received + 1))
        if not data:
            self._finish()
            return b""
        self.received += len(data)
        if self.received > self.size:
            raise InvalidData(f"{self.what} {self.digest} is longer than the {self.size} bytes announced")
        self._hash.update(data)
        return data

    def read_all(self) -> bytes:
        """Return the whole verified content; for documents, whose size the caller has bounded."""
        parts = []
        while part := self.read():
            parts.append(part)
        return b"".join(parts)

    def _finish(self) -> None:
        if self.received != self.size:
            raise InvalidData(
                f"{self.what} {self.digest} ended after {self.received} of {self.size} bytes",
                "the transfer was cut short: try again",
            )
        actual = f"{self.digest.algorithm}:{self._hash.hexdigest()}"
        if actual != self.digest:
            raise InvalidData(
                f"{self.what} is corrupt: expected {self.digest}, got {actual}",
                "something changed the content, where it is kept or on the way here",
            )
        self._verified = True
