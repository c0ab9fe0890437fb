"""What is remembered of blobs: what becomes of a layer in another compression, and who has a blob.

    CACHE/blobs/ALGORITHM-HEX    {"forms": {TARGET: {"digest", "size"}}, "places": ["DOMAIN/PATH", ...]}

It spares work and nothing else: a note that is lost or wrong costs a compression, or a question to
a registry. Of two writers of one note the last one wins.
"""

from __future__ import annotations

from typing import Any

from daemonless import jsonio
from daemonless.errors import DaemonlessError, InvalidData
from daemonless.files import make_private_directory, read_file, write_atomic
from daemonless.oci.digest import Digest
from daemonless.record import Record

_LIMIT = 1 << 16  # bytes of a note
_PLACES = 8  # the latest are kept


class Form(Record):
    """Digest and size of what a layer has become."""

    digest: Digest
    size: int


class BlobNotes:
    """The notes below `cache`."""

    def __init__(self, cache: str) -> None:
        self._directory = f"{cache}/blobs"

    def form(self, diff_id: Digest, target: str) -> Form | None:
        """Return what a layer became when `target` was made of it last."""
        forms = self._read(diff_id).get("forms")
        try:
            found = forms[target]  # type: ignore[index] # whatever it is, it raises one of these
            return Form(digest=Digest(found["digest"]), size=int(found["size"]))
        except (InvalidData, LookupError, TypeError, ValueError, AttributeError):
            return None

    def add_form(self, diff_id: Digest, target: str, form: Form) -> None:
        """Remember what became of a layer."""
        note = self._read(diff_id)
        forms = note.get("forms")
        entry = {"digest": str(form.digest), "size": form.size}
        self._write(diff_id, {**note, "forms": {**(forms if isinstance(forms, dict) else {}), target: entry}})

    def places(self, digest: Digest, domain: str) -> list[str]:
        """Return the repositories of a registry that have a blob, or had it, the latest first."""
        return [
            path.removeprefix(f"{domain}/")
            for path in reversed(self._places(digest))
            if path.startswith(f"{domain}/")
        ]

    def add_place(self, digest: Digest, repository: str) -> None:
        """Remember that a repository, spelt DOMAIN/PATH, has a blob."""
        places = self._places(digest)
        if repository not in places[-1:]:
            others = [place for place in places if place != repository]
            self._write(digest, {**self._read(digest), "places": [*others, repository][-_PLACES:]})

    def _places(self, digest: Digest) -> list[str]:
        places = self._read(digest).get("places")
        return [each for each in places if isinstance(each, str)] if isinstance(places, list) else []

    def _path(self, digest: Digest) -> str:
        return f"{self._directory}/{digest.algorithm}-{digest.hex}"

    def _read(self, digest: Digest) -> dict[str, Any]:
        path = self._path(digest)
        try:
            note = jsonio.loads(read_file(path, _LIMIT), what=path)
        except (OSError, DaemonlessError):
            return {}
        return note if isinstance(note, dict) else {}

    def _write(self, digest: Digest, note: dict[str, Any]) -> None:
        try:
            make_private_directory(self._directory)
            write_atomic(self._path(digest), jsonio.dumps(note).encode(), durable=False)
        except OSError:
            pass
