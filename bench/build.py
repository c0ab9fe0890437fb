"""Builds: ten steps from nothing and from the cache, many small files, two stages side by side.

Both tools build the same context with the same state of their caches, and with their defaults; a second
row has podman with the isolation that gives it the least to do.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from measure import Bench, Row
    from subjects import Daemonless, Podman

STARTER = "daemonless.local/starter-busybox"
FILES, FILES_PER_DIRECTORY = 20_000, 100
SECONDS = 2  # what each of two stages works, or rather sleeps
STEPS = """\
FROM {base}
ARG NONCE
RUN echo $NONCE >/nonce
WORKDIR /work
COPY one.txt .
RUN cat one.txt one.txt >two.txt
ENV LEVEL=3
COPY data data/
RUN for n in 1 2 3 4 5 6 7 8; do cat data/* >all.$n; done
LABEL made.by=bench
RUN mkdir -p /srv/site && cp all.1 /srv/site/index
USER 1000
CMD ["cat", "/srv/site/index"]
"""
STAGES = """\
FROM {base} AS one
ARG NONCE
RUN sleep {seconds}; echo $NONCE >/one
FROM {base} AS two
ARG NONCE
RUN sleep {seconds}; echo $NONCE >/two
FROM {base}
COPY --from=one /one /
COPY --from=two /two /
"""


class Builds:
    """The contexts, and one method for each group of rows."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._nonce = 0
        self.repeats = max(3, bench.repeats // 4)
        bench.ours("run", "--rm", "--network=none", STARTER, "true")
        self.base = bench.fresh_directory() / "base.tar"
        bench.ours("save", "--quiet", "--output", str(self.base), STARTER)
        bench.podman("load", "--quiet", "--input", str(self.base))

    def rows(self, row: Callable[..., Row]) -> Iterator[Row]:
        """Measure everything; `row` makes a row."""
        yield from self._steps(row)
        yield from self._files(row)
        yield from self._stages(row)

    def _context(self, dockerfile: str) -> Path:
        context = self.bench.fresh_directory()
        (context / "Dockerfile").write_text(dockerfile.format(base=STARTER, seconds=SECONDS))
        context.chmod(0o755)
        return context

    def _build(self, subject: Daemonless | Podman, context: Path, *options: str) -> float:
        return subject.time("build", "--quiet", *options, str(context))

    def _fresh(self) -> str:
        self._nonce += 1
        return f"--build-arg=NONCE={self._nonce}"

    def _steps(self, row: Callable[..., Row]) -> Iterator[Row]:
        context = self._context(STEPS)
        chance = random.Random(3)
        (context / "one.txt").write_text("one line\n")
        (context / "data").mkdir()
        for number in range(50):
            (context / "data" / f"{number}.bin").write_bytes(chance.randbytes(2000))
        for title, more in (("", ()), (", chroot isolation", ("--isolation=chroot",))):
            cold = row(f"`build` of 10 steps, cold{title}", bar=None if title else 0.7)
            cached = row(f"`build` of 10 steps, cached{title}", bar=None if title else 0.2)
            for turn in range(self.repeats + 1):
                nonce = self._fresh()
                for subject in self.bench.both:
                    options = (nonce, *(more if subject.name == "podman" else ()))
                    took = self._build(subject, context, *options), self._build(subject, context, *options)
                    if turn:
                        cold.add(subject.name, took[0])
                        cached.add(subject.name, took[1])
            yield cold
            yield cached

    def _files(self, row: Callable[..., Row]) -> Iterator[Row]:
        context = self._context("FROM {base}\nCOPY . /data/\n")
        chance = random.Random(5)
        for number in range(FILES):
            directory = context / f"d{number // FILES_PER_DIRECTORY}"
            directory.mkdir(exist_ok=True)
            (directory / f"{number}").write_bytes(chance.randbytes(chance.randrange(500, 4000)))

        def first(subject: Daemonless | Podman) -> float:
            fresh = subject.elsewhere(self.bench.fresh_directory())
            fresh("load", "--quiet", "--input", str(self.base))
            return self._build(fresh, context)

        yield self.bench.alternate(row("`build`: COPY of 20,000 files, first time", bar=0.5), first, 3)

        again = row("`build`: COPY of 20,000 files, one of them changed", bar=0.5)
        for turn in range(4):
            (context / "d0" / "0").write_text(f"change {turn}\n")
            for subject in self.bench.both:
                took = self._build(subject, context)
                if turn:
                    again.add(subject.name, took)
        yield again

    def _stages(self, row: Callable[..., Row]) -> Iterator[Row]:
        context = self._context(STAGES)
        both = row(f"`build` of two stages of {SECONDS} s each")
        singly: list[float] = []
        for _ in range(3):
            nonce = self._fresh()
            for subject in self.bench.both:
                both.add(subject.name, self._build(subject, context, nonce))
            nonce = self._fresh()
            ours = self.bench.ours
            singly.append(
                sum(self._build(ours, context, nonce, f"--target={name}") for name in ("one", "two"))
            )
        ratio = statistics.median(both.samples[self.bench.ours.name]) / statistics.median(singly)
        both.title += f"; to the sum of the stages **{ratio:.2f}**, bar 0.65"
        yield both
