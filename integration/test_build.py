"""build: the cache, the graph of stages, what a failure or a kill leaves, and reproducible images."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from harness import Cli, eventually, processes

Context = Callable[..., Path]


@pytest.fixture
def context(tmp_path: Path, image: str) -> Context:
    """Make a build context: a Dockerfile that begins with the starter image, and files."""
    count = 0

    def make(dockerfile: str, **files: str) -> Path:
        nonlocal count
        count += 1
        directory = tmp_path / f"context-{count}"
        directory.mkdir()
        (directory / "Dockerfile").write_text(dockerfile.replace("BASE", image))
        for name, text in files.items():
            (directory / name).write_text(text)
        return directory

    return make


def steps(stderr: str) -> dict[str, str]:
    """Return how each step ended, by its title without the numbers: CACHED, DONE or ERROR."""
    titles = {n: re.sub(r"^\[[^]]*\] ", "", t) for n, t in re.findall(r"^#(\d+) (\[.*)$", stderr, re.M)}
    ends = re.findall(r"^#(\d+) (CACHED|DONE|ERROR)", stderr, re.M)
    return {titles[n]: end for n, end in ends if not titles[n].startswith("FROM ")}


def test_an_image_of_two_stages(cli: Cli, context: Context) -> None:
    place = context(
        """
        FROM BASE AS work
        ENV A=1
        WORKDIR /src
        COPY hello .
        RUN echo "$A $(cat hello)" > out
        FROM BASE
        COPY --from=work /src/out /final
        LABEL stage=last
        CMD ["cat", "/final"]
        """,
        hello="hi\n",
    )
    built = cli("build", "--tag", "two-stages", str(place))
    assert re.fullmatch(r"[0-9a-f]{64}\n", built.stdout)
    assert cli("run", "--rm", "--network=none", "two-stages").stdout == "1 hi\n"
    assert cli.inspect("two-stages", "{{.Id}} {{.Config.Labels.stage}}").split() == [
        built.stdout.strip(),
        "last",
    ]
    history = cli("history", "--no-trunc", "--format", "{{.CreatedBy}}", "two-stages").lines
    assert history[:2] == ['CMD ["cat" "/final"]', "LABEL stage=last"]
    cli("rmi", "two-stages")


def test_the_second_build_makes_nothing_and_gives_the_same_image(cli: Cli, context: Context) -> None:
    place = context("FROM BASE\nCOPY a /a\nRUN cat /a > /b\nENV X=1\n", a="1")
    first = cli("build", str(place))
    second = cli("build", str(place))
    assert second.stdout == first.stdout
    assert set(steps(first.stderr).values()) == {"DONE"}
    assert set(steps(second.stderr).values()) == {"CACHED"}
    (place / "a").write_text("2")
    third = cli("build", str(place))
    assert third.stdout != first.stdout
    assert set(steps(third.stderr).values()) == {"DONE"}
    os.utime(place / "a", (1, 1))  # times are not content
    assert cli("build", str(place)).stdout == third.stdout
    assert set(steps(cli("build", "--no-cache", str(place)).stderr).values()) == {"DONE"}


def test_a_changed_file_makes_only_what_depends_on_it_anew(cli: Cli, context: Context) -> None:
    place = context("FROM BASE\nRUN touch /x\nCOPY a /a\nRUN touch /y\n", a="1")
    cli("build", str(place))
    (place / "a").write_text("2")
    assert steps(cli("build", str(place)).stderr) == {
        "RUN touch /x": "CACHED",
        "COPY a /a": "DONE",
        "RUN touch /y": "DONE",
    }


def test_a_file_that_changes_while_it_is_copied_is_not_cached(cli: Cli, context: Context) -> None:
    """Found again under the digest of what it was, the layer would be given for what it is not."""
    place = context("FROM BASE\nCOPY . /files/\n", log="")
    writer = subprocess.Popen(["sh", "-c", f"while echo line; do :; done >> {place}/log"])
    try:
        first = cli("build", str(place))
    finally:
        writer.kill()
        writer.wait()
    assert "log changed during the build; the step is not kept in the cache" in first.stderr
    assert set(steps(cli("build", str(place)).stderr).values()) == {"DONE"}
    assert set(steps(cli("build", str(place)).stderr).values()) == {"CACHED"}


def test_stages_that_the_target_does_not_need_are_not_built(cli: Cli, context: Context) -> None:
    place = context(
        """
        FROM BASE AS unused
        RUN exit 9
        FROM BASE AS wanted
        RUN touch /wanted
        FROM wanted AS last
        RUN exit 8
        """
    )
    built = cli("build", "--target", "wanted", str(place))
    assert steps(built.stderr) == {"RUN touch /wanted": "DONE"}
    failed = cli("build", "--target", "wante", str(place), status=125)
    assert "no stage 'wante'" in failed.stderr


def test_stages_that_do_not_need_each_other_run_side_by_side(cli: Cli, context: Context) -> None:
    """Each waits for a file of the other's, by way of a cache mount: one after the other they never end."""
    meet = (
        "RUN --mount=type=cache,target=/c,id=meet touch /c/{0}; i=0; while ! [ -e /c/{1} ]; do "
        "sleep 0.05; i=$((i+1)); [ $i -lt 200 ] || exit 5; done"
    )
    place = context(
        f"FROM BASE AS a\n{meet.format('a', 'b')}\nFROM BASE AS b\n{meet.format('b', 'a')}\n"
        "FROM BASE\nCOPY --from=a /etc /a\nCOPY --from=b /etc /b\n"
    )
    cli("build", "--no-cache", "--jobs", "2", "--network", "none", str(place))


def test_a_failing_command(cli: Cli, context: Context) -> None:
    place = context("FROM BASE\nRUN touch /kept\nRUN echo before; echo told >&2; exit 7\n")
    before = cli("images", "--all", "--quiet").stdout
    failed = cli("build", "--tag", "never", str(place), status=7)
    assert failed.stdout == ""
    assert re.search(r"^#3 \d+\.\d+ told$", failed.stderr, re.M)
    assert ">>> RUN echo before" in failed.stderr
    assert failed.stderr.splitlines()[-2:] == [
        "Error: Dockerfile:3: the command failed with exit status 7",
        "Hint: to look at what it left, build with: --on-error keep",
    ]
    assert cli("images", "--all", "--quiet").stdout == before
    assert cli("image", "exists", "never", status=1)
    again = cli("build", str(place), status=7)
    assert steps(again.stderr)["RUN touch /kept"] == "CACHED"


def test_quiet_and_the_files_with_results(cli: Cli, context: Context, tmp_path: Path) -> None:
    place = context("FROM BASE\nRUN echo something\n")
    built = cli(
        *("build", "--quiet", "--tag", "one", "--tag", "two:2", "--iidfile", str(tmp_path / "iid")),
        *("--metadata-file", str(tmp_path / "metadata"), str(place)),
    )
    assert built.stderr == ""
    assert (tmp_path / "iid").read_text() == f"sha256:{built.stdout.strip()}"
    metadata = json.loads((tmp_path / "metadata").read_text())
    assert metadata["containerimage.config.digest"] == f"sha256:{built.stdout.strip()}"
    assert metadata["containerimage.digest"] == cli.inspect("one", "{{.Digest}}")
    assert metadata["image.name"] == "docker.io/library/one:latest,docker.io/library/two:2"
    assert cli.inspect("two:2", "{{.Id}}") == built.stdout.strip()
    cli("rmi", "one", "two:2")


def _begun(process: subprocess.Popen[bytes], text: bytes) -> None:
    """Wait until a build has printed a line with `text`."""
    assert process.stderr
    deadline = time.monotonic() + 20
    while text not in (line := process.stderr.readline()):
        assert line, "it ended"
        assert time.monotonic() < deadline


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_build_that_is_ended_leaves_nothing_but_a_cache(
    cli: Cli, context: Context, number: signal.Signals
) -> None:
    place = context(f"FROM BASE\nRUN touch /{number.name}\nRUN echo running; sleep 100\n")
    process = cli.start("build", "--tag", "never", str(place))
    _begun(process, b" running\n")
    assert cli("ps", "--all", "--quiet").stdout == ""
    process.send_signal(number)
    process.wait(10)
    eventually(lambda: not processes(), 10, "something of the build runs on")
    assert cli("image", "exists", "never", status=1)
    (place / "Dockerfile").write_text((place / "Dockerfile").read_text().replace("sleep 100", "true"))
    assert steps(cli("build", str(place)).stderr)[f"RUN touch /{number.name}"] == "CACHED"
    assert os.listdir(cli.root / "tmp") == []


def test_prune_keeps_what_the_cache_can_give_again(cli: Cli, context: Context) -> None:
    place = context("FROM BASE\nRUN echo pruned > /x\n")
    built = cli("build", "--tag", "gone", str(place))
    cli("rmi", "gone")
    cli("image", "prune", "--force")
    again = cli("build", str(place))
    assert set(steps(again.stderr).values()) == {"CACHED"}
    assert again.stdout == built.stdout


CLOCK = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


@pytest.mark.parametrize("option", ["--timestamp=1700000000", "--source-date-epoch=1700000000"])
def test_the_same_digest_elsewhere_and_on_another_day(
    fresh: Cli, cli: Cli, context: Context, option: str
) -> None:
    """Another store, another directory, other times of the files, another date: the same image."""
    text = "FROM BASE\nCOPY d* /d/\nWORKDIR /w\nRUN echo x >y; mkdir z; ln y z/l; touch -d 200102030405 o\n"
    first, second = context(text, d1="1", d2="2"), context(text, d2="2", d1="1")
    os.utime(second / "d1", (1600000000, 1600000000))
    later = {"LD_PRELOAD": str(CLOCK), "FAKETIME": "@2031-05-05 05:05:05"}
    digests, archives = [], []
    for command, place, env in ((cli, first, {}), (fresh, second, later)):
        command("build", "--tag", "same", "--no-cache", option, str(place), env=env)
        digests.append(command.inspect("same", "{{.Digest}}"))
        assert command.inspect("same", "{{.Created}}").startswith("2023-11-14T22:13:20")
        command("save", "--format", "oci-archive", "--output", str(place / "same.tar"), "same")
        archives.append((place / "same.tar").read_bytes())
    assert digests[0] == digests[1]
    assert archives[0] == archives[1]
    cli("rmi", "same")


def test_where_the_date_may_come_from(cli: Cli, context: Context) -> None:
    """An option comes before a build argument, and that before the environment."""
    place = context("FROM BASE\nARG SOURCE_DATE_EPOCH\nRUN touch /f; echo $SOURCE_DATE_EPOCH >/seen\n")
    variable, argument = {"SOURCE_DATE_EPOCH": "1700000000"}, ("--build-arg", "SOURCE_DATE_EPOCH=1600000000")
    for options, year, seen in (
        ((), "2023-11-14", ""),
        (argument, "2020-09-13", "1600000000"),
        ((*argument, "--source-date-epoch=1500000000"), "2017-07-14", "1600000000"),
    ):
        built = cli("build", "--quiet", *options, str(place), env=variable).stdout.strip()
        assert cli.inspect(built, "{{.Created}}").startswith(year)
        shown = cli("run", "--rm", "--network=none", built, "sh", "-c", "cat /seen; date -u -r /f +%F")
        assert shown.stdout == f"{seen}\n{year}\n"


def test_the_clock_of_that_test_is_another(fresh: Cli, context: Context) -> None:
    place = context("FROM BASE\nRUN true\n")
    env = {"LD_PRELOAD": str(CLOCK), "FAKETIME": "@2031-05-05 05:05:05"}
    fresh("build", "--tag", "later", str(place), env=env)
    assert fresh.inspect("later", "{{.Created}}").startswith("2031-05-05T05:05")


def test_checks_warn_and_fail_where_they_are_to(cli: Cli, context: Context) -> None:
    place = context("FROM BASE as one\nMAINTAINER me\nRUN true\n")
    built = cli("build", str(place))
    assert "Warning: Dockerfile:1: " in built.stderr and "(FromAsCasing)" in built.stderr
    assert "Warning: Dockerfile:2: " in built.stderr and "(MaintainerDeprecated)" in built.stderr
    checked = cli("build", "--check", str(place), status=1)
    assert [line.rpartition(" ")[2] for line in checked.lines] == ["(FromAsCasing)", "(MaintainerDeprecated)"]
    assert "does not pass its checks: FromAsCasing, MaintainerDeprecated" in checked.stderr
    strict = context("# check=error=true\nFROM BASE as one\nRUN true\n")
    assert "FromAsCasing" in cli("build", "--tag", "never", str(strict), status=125).stderr
    assert cli("image", "exists", "never", status=1)
    clean = context("# check=skip=FromAsCasing\nFROM BASE as one\nRUN exit 1\n")
    assert cli("build", "--check", str(clean)).stderr == "Check complete, no warnings found.\n"


def test_arguments_of_options_files_and_the_environment(cli: Cli, context: Context, tmp_path: Path) -> None:
    place = context(
        "FROM BASE\nARG A=default\nARG B\nARG C\nARG D=kept\nRUN echo $A.$B.$C.$D.$https_proxy > /said\n"
    )
    (tmp_path / "args").write_text("# comment\nA=file\nB=file\n")
    built = cli(
        *("build", "--tag", "said", "--build-arg-file", str(tmp_path / "args"), "--build-arg", "B=option"),
        *("--build-arg", "C", "--build-arg", "https_proxy=http://p", "--build-arg", "E=unused", str(place)),
        env={"C": "mine"},
    )
    assert (
        cli("run", "--rm", "--network=none", "said", "cat", "/said").stdout
        == "file.option.mine.kept.http://p\n"
    )
    assert "Warning: --build-arg E is not used by this Dockerfile\n" in built.stderr
    assert "http://p" not in cli("history", "--no-trunc", "said").stdout
    cli("rmi", "said")


def test_labels_of_the_base_that_are_not_wanted(cli: Cli, context: Context) -> None:
    base = context("FROM scratch\nLABEL a=base b=base c=base\n")
    cli("build", "--tag", "localhost/labelled", str(base))
    place = context("FROM localhost/labelled AS one\nLABEL c=own\nFROM one\nLABEL d=own\n")

    def labels(*options: str) -> object:
        built = cli("build", "--quiet", *options, str(place)).stdout.strip()
        found = json.loads(cli.inspect(built, "{{json .Config.Labels}}"))
        cli("rmi", built)
        return found

    assert labels("--unsetlabel", "a", "--unsetlabel", "c", "--unsetlabel", "d") == {
        "b": "base",
        "c": "own",
        "d": "own",
    }
    given = ("--label", "a=option", "--identity-label=false", "--layer-label", "e=f")
    assert labels("--inherit-labels=false", *given) == {"a": "option", "c": "own", "d": "own"}
    cli("rmi", "localhost/labelled")


def test_what_was_made_too_long_ago_is_made_anew(cli: Cli, context: Context) -> None:
    place = context("FROM BASE\nRUN echo ttl\nCOPY f /f\n", f="ttl")
    cli("build", str(place))
    assert set(steps(cli("build", "--cache-ttl", "1h", str(place)).stderr).values()) == {"CACHED"}
    for age in ("1ns", "0"):
        assert set(steps(cli("build", "--cache-ttl", age, str(place)).stderr).values()) == {"DONE"}
    assert set(steps(cli("build", "--cache-ttl", "24h", str(place)).stderr).values()) == {"CACHED"}
    assert "--cache-ttl" in cli("build", "--cache-ttl", "soon", str(place), status=125).stderr


def test_a_failed_build_leaves_no_result_of_an_earlier_one(
    cli: Cli, context: Context, tmp_path: Path
) -> None:
    results = tmp_path / "iid", tmp_path / "metadata"
    options = ("--iidfile", str(results[0]), "--metadata-file", str(results[1]))
    cli("build", *options, str(context("FROM BASE\nRUN true\n")))
    cli("build", *options, "--call=check", str(context("FROM BASE\n")))
    assert all(path.exists() for path in results)
    cli("build", *options, str(context("FROM BASE\nRUN exit 3\n")), status=3)
    assert not any(path.exists() for path in results)


@pytest.mark.parametrize("option", ["--iidfile", "--metadata-file"])
def test_a_result_that_cannot_be_written_is_told_before_the_build(
    cli: Cli, context: Context, tmp_path: Path, option: str
) -> None:
    failed = cli("build", option, f"{tmp_path}/no/x", str(context("FROM BASE\nRUN exit 3\n")), status=125)
    assert failed.stderr == f"Error: cannot write {tmp_path}/no/x: No such file or directory\n"


def test_a_name_is_not_the_beginning_of_an_id(cli: Cli, context: Context) -> None:
    """A stage that is spelt wrong, as hex digits, would be whatever image has such an ID."""
    built = cli("build", "--quiet", str(context("FROM BASE\nRUN true\n"))).stdout.strip()
    failed = cli("build", "--pull=never", str(context(f"FROM {built[:3]}\n")), status=125)
    assert f"no such image: {built[:3]}" in failed.stderr
    cli("build", str(context(f"FROM {built[:12]}\n")))
    cli("tag", built, f"localhost/{built[:3]}")
    cli("build", str(context(f"FROM localhost/{built[:3]}\n")))
    cli("rmi", f"localhost/{built[:3]}")


def test_the_resolver_of_run(cli: Cli, context: Context) -> None:
    place = context("FROM BASE\nRUN cat /etc/resolv.conf; cat /etc/hosts || echo no hosts\n")
    options = ("--dns=192.0.2.53", "--dns-search=example.org", "--dns-option=ndots:3", "--no-hosts")
    shown = cli("build", *options, str(place)).stderr
    for line in ("nameserver 192.0.2.53", "search example.org", "options ndots:3", "no hosts"):
        assert f" {line}\n" in shown, shown


def test_the_steps_of_some_stages_are_made_anew(cli: Cli, context: Context) -> None:
    place = context("FROM BASE AS a\nRUN touch /a\nFROM a AS b\nRUN touch /b\nFROM b\nRUN touch /c\n")
    build = ("build", "--timestamp", "1000", str(place))  # what is made again is what it was
    cli(*build)
    for given, made in (("a", "/a"), ("b", "/b"), ("2", "/c")):
        ends = steps(cli(*build, "--no-cache-filter", given).stderr)
        assert ends.pop(f"RUN touch {made}") == "DONE"
        assert list(ends.values()) == ["CACHED", "CACHED"]


def test_files_keep_their_times_if_that_is_wanted(cli: Cli, context: Context) -> None:
    place = context("FROM BASE\nRUN touch -d @1600000000 /old; touch /new; stat -c %Y /new >/seen\n")
    epoch = ("--source-date-epoch", "1700000000")
    look = ("run", "--rm", "--network=none")
    for option, is_changed in (("--rewrite-timestamp", True), ("--rewrite-timestamp=false", False)):
        built = cli("build", "--quiet", *epoch, option, str(place)).stdout.strip()
        seen = cli(*look, built, "cat", "/seen").stdout.strip()
        times = cli(*look, built, "stat", "-c", "%Y", "/old", "/new").lines
        assert times == ["1600000000", "1700000000" if is_changed else seen]
        assert cli.inspect(built, "{{.Created}}").startswith("2023-11-14T22:13:20")


def test_the_host_name_of_run(cli: Cli, context: Context) -> None:
    place = context("FROM BASE\nRUN echo $(hostname).\n")
    assert " buildkitsandbox.\n" in cli("build", str(place)).stderr
    given = ("--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=mine")
    assert " mine.\n" in cli("build", *given, str(place)).stderr


def test_the_network_of_run(cli: Cli, context: Context) -> None:
    place = context("FROM BASE\nRUN ls /sys/class/net\nRUN --network=none ls /sys/class/net\n")
    shown = cli("build", "--no-cache", str(place)).stderr
    assert re.search(r"^#2 \d+\.\d+ tap0$", shown, re.M)
    assert not re.search(r"^#3 \d+\.\d+ tap0$", shown, re.M)
    assert "tap0" not in cli("build", "--no-cache", "--network=none", str(place)).stderr
    hosts = context("FROM BASE\nRUN cat /etc/hosts\n")
    assert "192.0.2.7" in cli("build", "--add-host", "there:192.0.2.7", str(hosts)).stderr


def test_a_context_that_is_larger_than_memory(cli: Cli, context: Context) -> None:
    place = context("FROM BASE\nCOPY large /large\n")
    with (place / "large").open("wb") as file:
        file.truncate(200 << 20)
    command = ("prlimit", f"--as={110 << 20}", cli.program, "build", "--network=none")
    built = []
    with subprocess.Popen(["tar", "-C", str(place), "-c", "."], stdout=subprocess.PIPE) as archive:
        for words in ([str(place)], [str(place)], ["--no-cache", "-"]):  # read, known, and from a pipe
            done = subprocess.run(
                [*command, *words],
                stdin=archive.stdout,
                capture_output=True,
                env=cli.environment(),
                timeout=60,
            )
            assert done.returncode == 0, done.stderr
            built.append(done.stdout.decode().strip())
    assert built[0] == built[1]
    for image in set(built):
        cli("rmi", image)


def test_contexts_of_every_kind(cli: Cli, context: Context, tmp_path: Path) -> None:
    place = context("FROM BASE\nCOPY f /f\nCOPY --from=other g /g\nRUN cat /f /g\n", f="of-f\n", hidden="x")
    other = tmp_path / "other"
    other.mkdir()
    (other / "g").write_text("of-g\n")
    named = ("--build-context", f"other={other}")
    assert "of-g" in cli("build", *named, str(place)).stderr
    archive = subprocess.run(["tar", "-C", str(place), "-cz", "."], capture_output=True, check=True).stdout
    assert "of-f" in cli("build", "--no-cache", *named, "-", input=archive).stderr
    text = (place / "Dockerfile").read_text()
    assert "of-f" in cli("build", "--no-cache", *named, "-f", "-", str(place), input=text).stderr
    only = "FROM BASE\nRUN echo alone\n".replace("BASE", (place / "Dockerfile").read_text().split()[1])
    assert "alone" in cli("build", "--no-cache", "-", input=only).stderr
    alone = cli("build", *named, "-", input=text, status=125)
    assert "no such file in the context: 'f' (it is empty)\nHint: with a Dockerfile on" in alone.stderr
    outside = text.replace("COPY f", "COPY ../lib")
    above = cli("build", *named, "-f", "-", str(place), input=outside, status=125)
    assert "nothing above the context can be had" in above.stderr
    replaced = cli("build", *named, "--build-context", f"f={place}", "-f", "-", str(place), input=text)
    assert replaced.status == 0
    (place / ".dockerignore").write_text("f\n")
    refused = cli("build", *named, str(place), status=125)
    assert "no such file in the context: 'f'" in refused.stderr and ".dockerignore" in refused.stderr
    assert "is not a directory" in cli("build", str(place / "f"), status=125).stderr
    assert "no Containerfile or Dockerfile" in cli("build", str(other), status=125).stderr


def test_a_command_leaves_a_context_to_the_step_that_takes_it(
    cli: Cli, context: Context, tmp_path: Path
) -> None:
    """A context from elsewhere is fetched by whoever opens it first, and only once."""
    (tmp_path / "g").write_text("of-g\n")
    subprocess.run(["tar", "-C", str(tmp_path), "-cf", str(tmp_path / "other.tar"), "g"], check=True)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        there = f"http://127.0.0.1:{server.server_port}/other.tar"
        place = context("FROM BASE\nRUN echo first\nCOPY --from=other g /g\nRUN cat /g\n")
        built = cli("build", "--no-cache", "--build-context", f"other={there}", str(place))
        assert "of-g" in built.stderr
    finally:
        server.shutdown()
        server.server_close()


def test_a_context_may_stand_for_an_image(cli: Cli, context: Context, image: str, tmp_path: Path) -> None:
    place = context("FROM base\nRUN echo built on it\nCOPY --from=tools /etc/passwd /p\n")
    words = (
        "--build-context",
        f"base=docker-image://{image}",
        "--build-context",
        f"tools=docker-image://{image}",
    )
    assert "built on it" in cli("build", *words, str(place)).stderr
    layout = tmp_path / "layout"
    cli(
        "build",
        "--quiet",
        "-o",
        f"type=oci,tar=false,dest={layout}",
        str(context("FROM BASE\nRUN touch /l\n")),
    )
    place = context("FROM base\nRUN ls /l\nCOPY --from=base /l /m\n")
    assert " /l\n" in cli("build", "--build-context", f"base=oci-layout://{layout}", str(place)).stderr


def test_the_umask_of_the_caller_is_not_that_of_the_image(fresh: Cli, context: Context) -> None:
    place = context("FROM BASE\nWORKDIR /made/below\nUSER 1000\nWORKDIR /other/below\n")
    built = subprocess.run(
        ["sh", "-c", 'umask 077; exec "$@"', "sh", fresh.program, "build", "--quiet", str(place)],
        capture_output=True,
        text=True,
        env=fresh.environment(),
        timeout=60,
        check=True,
    ).stdout.strip()
    modes = ("stat", "-c", "%a", "/", "/made", "/made/below", "/other/below")
    assert fresh("run", "--rm", "--network=none", built, *modes).lines == ["755"] * 4


@pytest.mark.parametrize("mode", ["1777", "555"])
def test_the_mode_of_the_root(cli: Cli, context: Context, mode: str) -> None:
    place = context(f"FROM BASE\nRUN chmod {mode} /\nRUN touch /file\nCOPY Dockerfile /\nWORKDIR /w\n")
    built = cli("build", "--quiet", "--network=none", str(place)).stdout.strip()
    assert cli("run", "--rm", "--network=none", built, "stat", "-c", "%a", "/").stdout.strip() == mode
    (place / "Dockerfile").write_text(f"FROM {built}\nRUN touch /left; false\n")
    cli("build", "--on-error=keep", "--network=none", str(place), status=1)
    kept = cli("ps", "--latest", "--quiet").stdout.strip()
    assert "A /left" in cli("diff", kept).lines
    cli("rm", kept)
