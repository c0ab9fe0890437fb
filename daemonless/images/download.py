"""Several blobs at a time, from where an image comes into the store.

What another process is fetching is left for the end: the two share the work, and what is still
on its way then is waited for. What arrived of a blob survives this process (images.partial).

Threads, because all the work (sockets, TLS, sha256, writing) is done without the interpreter's
lock. They are daemon threads: a person who interrupts a pull does not wait for a read to end.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from daemonless.errors import InvalidData
from daemonless.images.blobs import BlobStore
from daemonless.images.partial import Partial
from daemonless.images.progress import Progress
from daemonless.images.transports.source import BlobReader, Source, is_resumable
from daemonless.oci.digest import Digest
from daemonless.oci.image import Descriptor

AT_ONCE = 4
CHUNK = 1 << 18  # bytes in memory for each of them
POLL = 0.1  # seconds between two looks at what another process has


class _Cancelled(Exception):
    """The pull has failed elsewhere."""


class Downloads:
    """Downloads of blobs; on an error, or on leaving early, none gets its name any more."""

    def __init__(self, source: Source, blobs: BlobStore, progress: Progress) -> None:
        self._source = source
        self._blobs = blobs
        self._progress = progress
        self._waiting: queue.SimpleQueue[Descriptor] = queue.SimpleQueue()
        self._busy: queue.SimpleQueue[Descriptor] = queue.SimpleQueue()  # another process has them
        self._finished: queue.SimpleQueue[Digest | BaseException] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._cancelled = False
        self._count = 0
        self._threads: list[threading.Thread] = []
        self._begun: set[Partial] = set()

    def run(self, descriptors: list[Descriptor]) -> Iterator[Digest]:
        """Begin, and yield what has `finished`."""
        self.begin(descriptors)
        yield from self.finished()

    def begin(self, descriptors: list[Descriptor]) -> None:
        """Begin to fetch these blobs, once, the largest first."""
        self._count = len(descriptors)
        for descriptor in sorted(descriptors, key=lambda each: -each.size):
            self._waiting.put(descriptor)
        count = min(AT_ONCE, len(descriptors))
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def finished(self) -> Iterator[Digest]:
        """Yield each digest when its blob has its name.

        After the last one has been yielded, waits until all are on disk. Raises what the first
        failing download raises.
        """
        for _ in range(self._count):
            result = self._finished.get()
            if isinstance(result, BaseException):
                raise result
            yield result
        for thread in self._threads:
            thread.join()
        while not self._finished.empty():
            raise self._finished.get()  # type: ignore[misc] # only errors of a sync come after the digests

    def _work(self) -> None:
        try:
            for blobs, patient in ((self._waiting, False), (self._busy, True)):
                self._empty(blobs, patient=patient)
        except _Cancelled:
            pass
        except BaseException as error:  # raised again by the thread that waits
            self._finished.put(error)

    def _empty(self, blobs: queue.SimpleQueue[Descriptor], *, patient: bool) -> None:
        while True:
            try:
                descriptor = blobs.get_nowait()
            except queue.Empty:
                return
            with Partial(self._blobs, descriptor.digest) as partial:
                claimed, seen = self._claim(partial, descriptor, patient=patient)
                if claimed:
                    with self._kept(partial):
                        self._fetch(partial, descriptor, seen)
                else:
                    self._busy.put(descriptor)

    @contextmanager
    def _kept(self, partial: Partial) -> Iterator[None]:
        """Have what is empty removed if the pull fails elsewhere before something has arrived."""
        with self._lock:
            if self._cancelled:
                _discard_if_empty(partial)
            self._check()
            self._begun.add(partial)
        try:
            yield
        finally:
            with self._lock:
                self._begun.remove(partial)

    def _claim(self, partial: Partial, descriptor: Descriptor, *, patient: bool) -> tuple[bool, int]:
        """Make a blob ours to fetch; return whether it is, and how much of it was shown as arrived."""
        seen = 0
        while not partial.claim():
            if not patient:
                return False, 0
            seen += self._show(descriptor, min(partial.size, descriptor.size) - seen)
            time.sleep(POLL)
        return True, seen

    def _fetch(self, partial: Partial, descriptor: Descriptor, seen: int) -> None:
        if self._blobs.has(descriptor.digest, descriptor.size):
            partial.discard()  # another process has finished it
            self._show(descriptor, descriptor.size - seen)
        else:
            try:
                self._receive(partial, descriptor, seen)
            except BaseException as error:
                # it is wrong, there is no room for it, or it would be read from its start again
                lost = isinstance(error, (InvalidData, OSError)) or not is_resumable(self._source)
                if lost or not partial.size:
                    partial.discard()
                raise
            with self._lock:
                self._check()
                partial.commit()
        self._finished.put(descriptor.digest)  # it may be unpacked while it goes to disk
        partial.sync()

    def _receive(self, partial: Partial, descriptor: Descriptor, seen: int) -> None:
        """Have all bytes of a blob in `partial`, verified, of which `seen` were shown already."""
        while True:
            if partial.size > descriptor.size:
                partial.restart()
            held = partial.size
            try:
                with self._open(partial, descriptor) as blob:
                    seen += self._show(descriptor, partial.size - seen)
                    while data := blob.read(CHUNK):
                        partial.write(data)
                        seen += self._show(descriptor, len(data))
            except InvalidData:
                if not held:
                    raise
                partial.restart()  # what was kept may be what was wrong
            else:
                return

    def _open(self, partial: Partial, descriptor: Descriptor) -> BlobReader:
        if partial.size and is_resumable(self._source):
            return self._source.resume_blob(descriptor, partial.reader())
        partial.restart()
        return self._source.open_blob(descriptor)

    def _show(self, descriptor: Descriptor, count: int) -> int:
        """Report `count` bytes more, fewer if it is negative, and return it."""
        self._check()
        if count:
            self._progress.advance(descriptor.digest, count)
        return count

    def _check(self) -> None:
        if self._cancelled:
            raise _Cancelled

    def __enter__(self) -> Downloads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._cancelled = True
            for partial in self._begun:  # their threads may end with the process
                _discard_if_empty(partial)


def _discard_if_empty(partial: Partial) -> None:
    if not partial.size:
        partial.discard()
