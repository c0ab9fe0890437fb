"""Measure daemonless against its peers, alternating them, and print one Markdown table.

Medians and ratios of one interleaved run: absolute times of a shared machine say little, and two
tools measured one after the other meet different machines.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from build import Builds
from content import Registry, debian, layered, small
from subjects import Bubblewrap, Daemonless, Podman, Subject, User, processes_of, pss, tree_of


class Row:
    """One line of the table: samples of each tool, and the ratio that was promised."""

    def __init__(self, title: str, unit: str = "ms", bar: float | None = None) -> None:
        self.title, self.unit, self.bar = title, unit, bar
        self.samples: dict[str, list[float]] = {}

    def add(self, subject: str, value: float) -> None:
        self.samples.setdefault(subject, []).append(value)

    def cell(self, subject: str) -> str:
        values = self.samples.get(subject)
        if not values:
            return ""
        return f"{number(statistics.median(values))} ({number(min(values))})"

    def line(self) -> str:
        ratio = ""
        if "podman" in self.samples and "daemonless" in self.samples:
            value = statistics.median(self.samples["daemonless"]) / statistics.median(self.samples["podman"])
            ratio = f"**{value:.2f}**"
        bar = f"{self.bar:.2f}" if self.bar else ""
        cells = [f"{self.title}, {self.unit}", self.cell("podman"), self.cell("daemonless"), ratio, bar]
        return f"| {' | '.join([*cells, self.cell('bwrap')])} |"


def number(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


class Bench:
    """The tools, the images, and one method per group of rows."""

    def __init__(self, user: User, directory: Path, repeats: int) -> None:
        self.user, self.directory, self.repeats = user, directory, repeats
        self.registry = Registry(directory)
        self.ours = Daemonless(user, user.make_directory(directory / "ours"))
        self.podman = Podman(user, user.make_directory(directory / "theirs"))
        self.floor = Bubblewrap(user, user.make_directory(directory / "floor"))
        self.both: tuple[Daemonless | Podman, ...] = (self.podman, self.ours)
        self.image = self.registry.push("small", small())
        for subject in self.both:
            subject("pull", "--quiet", "--tls-verify=false", self.image)
        self._fresh = 0
        self._images: dict[str, str] = {}

    def alternate(self, row: Row, measure: Callable[[Daemonless | Podman], float], repeats: int = 0) -> Row:
        """Take samples of both tools in turn; the first of each is a warm-up."""
        for turn in range((repeats or self.repeats) + 1):
            for subject in self.both:
                value = measure(subject)
                if turn:
                    row.add(subject.name, value)
        return row

    def run(self) -> Iterator[Row]:
        for network in ("none", "host", "slirp4netns"):
            row = Row(f"`run --rm --network={network}`", bar=0.30)
            for turn in range(self.repeats + 1):
                for subject in self.both:
                    took = subject.time("run", "--rm", f"--network={network}", self.image, "true")
                    if turn:
                        row.add(subject.name, took)
                if turn and network != "slirp4netns":
                    row.add("bwrap", self.floor.time(*self.floor.run(network)))
            yield row

    def detached(self) -> Iterator[Row]:
        def once(subject: Daemonless | Podman) -> float:
            took = subject.time("run", "--detach", "--name", "bench", self.image, "sleep", "1000")
            subject.remove_all()
            return took

        yield self.alternate(Row("`run --detach`"), once)

    def exec(self) -> Iterator[Row]:
        for subject in self.both:
            subject("run", "--detach", "--network=none", "--name", "bench", self.image, "sleep", "1000")
        yield self.alternate(Row("`exec`", bar=0.25), lambda subject: subject.time("exec", "bench", "true"))
        self.remove_all()

    def ps(self) -> Iterator[Row]:
        for count, running in ((1, 1), (50, 10)):
            for subject in self.both:
                for index in range(count):
                    start = ("run", "--detach") if index < running else ("create",)
                    subject(*start, "--network=none", self.image, "sleep", "1000")
            title = f"`ps --all`, {count} containers, {running} running"
            row = Row(title, bar=0.5 if count == 50 else None)
            yield self.alternate(row, lambda subject: subject.time("ps", "--all"))
            self.remove_all()

    def stopped(self) -> Iterator[Row]:
        """List a thousand containers, in storage of their own: removing them one by one takes minutes."""
        many = {subject.name: subject.elsewhere(self.fresh_directory()) for subject in self.both}
        create = ("create", "--network=none", self.image, "true")
        for subject in many.values():
            subject("pull", "--quiet", "--tls-verify=false", self.image)
            subject.time(*create, count=1000, parallel=os.cpu_count() or 1)
        yield self.alternate(
            Row("`ps --all`, 1,000 stopped containers", bar=1.0),
            lambda subject: many[subject.name].time("ps", "--all"),
        )
        yield self.alternate(
            Row("`ps`, 1,000 stopped containers"), lambda subject: many[subject.name].time("ps")
        )

    def burst(self) -> Iterator[Row]:
        def once(subject: Daemonless | Podman) -> float:
            return subject.time("run", "--rm", "--network=none", self.image, "true", count=50, parallel=10)

        yield self.alternate(Row("50 x `run --rm`, 10 at a time", bar=0.25), once, max(3, self.repeats // 5))

    def images(self) -> dict[str, str]:
        """Return the three images that are moved, made when they are needed first."""
        if not self._images:
            self._images = {
                "small (2 MB, 1 layer)": self.image,
                "Debian root": self.registry.push("debian", debian(self.directory)),
                "20 layers of 2,000 files": self.registry.push("layered", layered()),
            }
        return self._images

    def pull(self) -> Iterator[Row]:
        for title, image in self.images().items():
            memory = Row(f"pull: {title}: peak memory", "MiB (PSS)")

            def once(subject: Daemonless | Podman, image: str = image, memory: Row = memory) -> float:
                fresh = subject.elsewhere(self.fresh_directory())
                command = ("pull", "--quiet", "--tls-verify=false", image)
                if subject.name not in memory.samples:  # the warm-up: sampling memory takes time
                    memory.add(subject.name, self.peak_memory(fresh, *command) / 1024)
                    return 0
                return fresh.time(*command)

            yield self.alternate(Row(f"pull: {title}", bar=0.7), once, max(3, self.repeats // 5))
            yield memory

    def push(self) -> Iterator[Row]:
        """Push to a registry that has nothing of the image, new for each sample."""
        for title, image in self.images().items():
            for subject in self.both:
                subject("pull", "--quiet", "--tls-verify=false", image)

            def once(subject: Daemonless | Podman, image: str = image) -> float:
                empty = Registry(self.fresh_directory())
                try:
                    return subject.time(
                        "push", "--quiet", "--tls-verify=false", image, f"{empty.address}/bench/pushed"
                    )
                finally:
                    empty.close()

            yield self.alternate(Row(f"push: {title}", bar=1.0), once, max(3, self.repeats // 5))

    def peak_memory(self, subject: Subject, *args: str) -> float:
        """Run a command; return the peak memory of its processes in KiB, sampled every 10 ms."""
        peak = 0
        process = subject.user.start([*subject.prefix, *args], subject.env)
        while process.poll() is None:
            peak = max(peak, pss(tree_of(process.pid)))
            time.sleep(0.01)
        if process.returncode:
            raise RuntimeError(f"{subject.name} {' '.join(args)}: status {process.returncode}")
        return peak

    def logs(self) -> Iterator[Row]:
        def prints(count: int) -> tuple[str, ...]:
            return self.image, "sh", "-c", f"yes {'x' * 99} | head -c {count}"

        repeats = max(3, self.repeats // 5)
        for subject in self.both:
            subject("run", "--network=none", "--name", "bench", "--log-driver=k8s-file", *prints(100_000_000))
        read = Row("`logs` of 100 MB", bar=1.0)
        yield self.alternate(read, lambda subject: subject.time("logs", "bench"), repeats)
        self.remove_all()

        def once(subject: Daemonless | Podman) -> float:
            printing = prints(200_000_000)
            return subject.time("run", "--rm", "--network=none", "--log-driver=json-file", *printing)

        # podman takes json-file for another name of k8s-file
        yield self.alternate(Row("print 200 MB, log driver json-file", bar=1.0), once, repeats)
        took, memory = Row("print 1 GB, detached"), Row("print 1 GB: supervisor's peak memory", "KiB (PSS)")
        printers = ("sh", "yes", "head", "busybox", "catatonit")
        for subject in self.both:
            before = processes_of(self.user.uid)
            started = time.perf_counter()
            command = ("run", "--detach", "--network=none", "--name", "bench", *prints(1_000_000_000))
            subject(*command)
            waiting = subject.user.start([*subject.prefix, "wait", "bench"], subject.env)
            peak = 0
            while waiting.poll() is None:
                others = {*before, waiting.pid}
                new = {pid: name for pid, name in processes_of(self.user.uid).items() if pid not in others}
                peak = max(peak, pss([pid for pid, name in new.items() if name not in printers]))
                time.sleep(0.05)
            took.add(subject.name, (time.perf_counter() - started) * 1000)
            memory.add(subject.name, peak)
            subject.remove_all()
        yield took
        yield memory

    def memory(self) -> Iterator[Row]:
        count = 10
        for network in ("none", "slirp4netns"):
            row = Row(f"idle detached container, network {network}: memory", "KiB (PSS)")
            for subject in self.both:
                before = processes_of(self.user.uid)
                for _ in range(count):
                    subject("run", "--detach", f"--network={network}", self.image, "sleep", "1000")
                time.sleep(1)
                new = {
                    pid: name
                    for pid, name in processes_of(self.user.uid).items()
                    if pid not in before and name not in ("sleep", "catatonit")
                }
                row.add(subject.name, pss(list(new)) / count)
                subject.remove_all()
            yield row

    def build(self) -> Iterator[Row]:
        yield from Builds(self).rows(Row)

    def fresh_directory(self) -> Path:
        """Return a new directory for storage: files made after deletions are slow on ext4."""
        self._fresh += 1
        return self.user.make_directory(self.directory / f"fresh-{self._fresh}")

    def remove_all(self) -> None:
        for subject in self.both:
            subject.remove_all()

    def close(self) -> None:
        self.remove_all()
        self.user.stopwatch.kill()
        self.registry.close()


ROWS = ("run", "detached", "exec", "ps", "stopped", "burst", "pull", "push", "build", "logs", "memory")


def describe(user: User, ours: str) -> str:
    def first_line(*argv: str) -> str:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout.partition("\n")[0].strip()

    parts = [
        f"kernel {platform.release()}, {os.cpu_count()} cores",
        first_line("podman", "--version"),
        first_line("crun", "--version"),
        first_line("bwrap", "--version"),
        first_line(ours, "--version"),
        f"Python {platform.python_version()}",
        time.strftime("%Y-%m-%d"),
    ]
    return "; ".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default=",".join(ROWS), help=f"some of {','.join(ROWS)}")
    parser.add_argument("--repeats", type=int, default=20, help="samples of each tool in a row")
    parser.add_argument("--table", type=Path, help="write the table to this file as well")
    parser.add_argument("--list", action="store_true", help="list the rows")
    parser.add_argument("--user", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--daemonless", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.list:
        print("\n".join(ROWS))
        return 0
    rows = options.rows.split(",")
    if unknown := set(rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    Daemonless.program = options.daemonless
    user = User(options.user)
    directory = Path(tempfile.mkdtemp(prefix="daemonless-bench-", dir="/var/tmp"))
    directory.chmod(0o711)
    lines = [
        describe(user, options.daemonless),
        "",
        "| median (least) | podman | daemonless | ratio | bar | bwrap |",
        "|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    try:
        bench = Bench(user, directory, options.repeats)
        try:
            for name in rows:
                for row in getattr(bench, name)():
                    lines.append(row.line())
                    print(lines[-1], flush=True)
        finally:
            bench.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if options.table:
        options.table.write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
