"""The names that images from files get in the store, by podman's rules: local unless they say more."""

from __future__ import annotations

import os

from daemonless.errors import UsageError
from daemonless.oci.reference import Reference, parse_reference

LOCAL = "localhost"


def from_text(text: str) -> tuple[Reference, ...]:
    """Return the name a file states, `localhost/` in front if it names no registry; none if it is none."""
    first, slash, _ = text.partition("/")
    if not (slash and ("." in first or ":" in first or first == LOCAL)):
        text = f"{LOCAL}/{text}"
    try:
        return (parse_reference(text),)
    except UsageError:
        return ()


def from_path(path: str, tag: str) -> tuple[Reference, ...]:
    """Return a name made of that of a directory, and a tag if it is not empty; none if it is no name."""
    parts = [part for part in os.path.normpath(path).split("/") if part not in ("", ".", "..")]
    return from_text(f"{LOCAL}/{'/'.join(parts)}" + (f":{tag}" if tag else "")) if parts else ()


def from_tag(text: str) -> tuple[Reference, ...]:
    """Return what an archive of docker means by a tag: docker.io, if it names no registry."""
    try:
        return (parse_reference(text),)
    except UsageError:
        return ()
