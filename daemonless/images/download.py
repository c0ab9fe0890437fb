"""Several blobs at a time, from where an image comes into the store.

Threads, because all the work (sockets, TLS, sha256, writing) is done without the interpreter's
lock. They are daemon threads: a person who interrupts a pull does not wait for a read to end.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from types import TracebackType

from daemonless.images.blobs import BlobStore, Staged
from daemonless.images.progress import Progress
from daemonless.images.transports.source import Source
from daemonless.oci.digest import Digest
from daemonless.oci.image import Descriptor

AT_ONCE = 4
CHUNK = 1 << 20  # bytes in memory for each of them


class _Cancelled(Exception):
    """The pull has failed elsewhere."""


class Downloads:
    """Downloads of blobs; on an error, or on leaving early, no unfinished file stays behind."""

    def __init__(self, source: Source, blobs: BlobStore, progress: Progress) -> None:
        self._source = source
        self._blobs = blobs
        self._progress = progress
        self._waiting: queue.SimpleQueue[Descriptor] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[Digest | BaseException] = queue.SimpleQueue()
        self._staged: set[Staged] = set()
        self._lock = threading.Lock()
        self._cancelled = False
        self._threads: list[threading.Thread] = []

    def run(self, descriptors: list[Descriptor]) -> Iterator[Digest]:
        """Yield each digest when its blob has its name; the largest are begun first.

        After the last one has been yielded, waits until all are on disk. Raises what the first
        failing download raises.
        """
        for descriptor in sorted(descriptors, key=lambda each: -each.size):
            self._waiting.put(descriptor)
        count = min(AT_ONCE, len(descriptors))
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()
        for _ in descriptors:
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
            while not self._cancelled:
                self._fetch(self._waiting.get_nowait())
        except (queue.Empty, _Cancelled):
            pass
        except BaseException as error:  # raised again by the thread that waits
            self._finished.put(error)

    def _fetch(self, descriptor: Descriptor) -> None:
        with self._source.open_blob(descriptor) as blob, self._stage(descriptor) as staged:
            while data := blob.read(CHUNK):
                if self._cancelled:
                    raise _Cancelled
                staged.write(data)
                self._progress.advance(descriptor.digest, len(data))
            with self._lock:
                if self._cancelled:
                    raise _Cancelled
                staged.commit()
            self._finished.put(descriptor.digest)  # it may be unpacked while it goes to disk
            staged.sync()

    def _stage(self, descriptor: Descriptor) -> Staged:
        with self._lock:
            if self._cancelled:
                raise _Cancelled
            staged = self._blobs.stage(descriptor.digest)
            self._staged.add(staged)
        return staged

    def __enter__(self) -> Downloads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._cancelled = True
            for staged in self._staged:
                staged.discard()
