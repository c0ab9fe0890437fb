"""Names that a command gives to a new image."""

from __future__ import annotations

from daemonless.errors import UsageError
from daemonless.oci.reference import Reference, parse_reference


def new_reference(text: str) -> Reference:
    """Parse the name for an image that is to be made. Raises UsageError for what is no such name."""
    reference = parse_reference(text)
    if reference.digest:
        raise UsageError(f'"{text}" holds a digest: a new image cannot have one yet')
    return reference
