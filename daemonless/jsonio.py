"""Strict JSON, read and written by the accelerators that back the standard `json` package.

`import json` costs 7 to 9 ms, nearly all of it for `re`, which the C scanner and encoder do not
need; the hot path therefore talks to `_json` directly. Reading is stricter than `json.loads`:
documents of registries, images and other programs are bounded in size and depth, duplicate keys
and NaN are refused (RFC 8259 section 4; two parsers that disagree on a duplicate key are a
security problem, CVE-2021-41190).
"""

from __future__ import annotations

from _json import encode_basestring_ascii, make_encoder, make_scanner

from daemonless.errors import InvalidData

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_BYTES = 4 << 20  # what the containers/image library allows for a manifest or a config
MAX_DEPTH = 64


class _Context:
    """The attributes the C scanner reads off its caller (see `json.decoder.JSONDecoder`)."""

    strict = True
    object_hook = None
    parse_float = float
    parse_int = int
    memo: dict[str, str] = {}  # noqa: RUF012 - the scanner's own string cache

    @staticmethod
    def object_pairs_hook(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise ValueError("duplicate key")
        return result

    @staticmethod
    def parse_constant(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")


_scan = make_scanner(_Context())  # type: ignore[arg-type] # duck-typed in C


def _refuse(value: object) -> Any:
    raise TypeError(f"{type(value).__name__} is not JSON")


_encode = make_encoder(None, _refuse, encode_basestring_ascii, None, ":", ",", False, False, False)
_SPACE = " \t\n\r"
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def loads(data: bytes | str, *, what: str = "document", limit: int = MAX_BYTES) -> Any:
    """Parse one JSON text.

    `what` names the document in the error; `limit` is in bytes (characters for str).
    Raises InvalidData for anything but exactly one well-formed value within the bounds.
    """
    if len(data) > limit:
        raise InvalidData(f"{what} is larger than {limit} bytes")
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        if _depth(text) > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        start = len(text) - len(text.lstrip(_SPACE))
        value, end = _scan(text, start)
        if text[end:].strip(_SPACE):
            raise ValueError("trailing data")
    except StopIteration:
        raise InvalidData(f"{what} is not valid JSON: no value") from None
    except (ValueError, RecursionError) as error:
        raise InvalidData(f"{what} is not valid JSON: {error}") from None
    except SystemError:  # the scanner wants json.decoder's exception, which nobody has imported
        raise InvalidData(f"{what} is not valid JSON: malformed") from None
    return value


def _depth(text: str) -> int:
    """Return the nesting depth, or 0 if there are too few brackets to matter.

    Strings are cut out first, so that their brackets do not count: without the escaped quotes,
    every other piece between quotes is one. All of that runs in C; the loop sees brackets alone.
    """
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return 0
    data = text.encode("utf-8", "replace").replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = b"".join(data.split(b'"')[::2]).translate(None, _NO_BRACKETS)
    deepest = depth = 0
    for bracket in brackets:
        if bracket in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


def dumps(value: Any) -> str:
    """Return compact ASCII JSON; raises TypeError or ValueError for what JSON cannot hold."""
    return "".join(_encode(value, 0))
