"""RUN --mount: what each kind shows, and that nothing of it stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from runs import Builder, as_root, tree

from daemonless.build.runjob import Directory, Layers, Secret
from daemonless.dockerfile.steps import RunMount
from daemonless.errors import DaemonlessError, NotFound, SetupFailed, UsageError

VALUE = "s3cret-value"


def bind(target: str, source: str = "/", from_: str = "", *, writable: bool = False) -> RunMount:
    return RunMount(type="bind", target=target, source=source, from_=from_, read_only=not writable)


def secret(target: str = "", **more: object) -> RunMount:
    return RunMount(type="secret", target=target, id="token", **more)


# --- tmpfs ------------------------------------------------------------------------------------


def test_tmpfs(build: Builder) -> None:
    mount = RunMount(type="tmpfs", target="/var/new/scratch", size=1 << 20)
    ran = build(
        "df -k /var/new/scratch | tail -1; echo x > /var/new/scratch/f; cat /var/new/scratch/f",
        mounts=(mount,),
    )
    assert ran.out.split()[:2] == ["tmpfs", "1024"]
    assert ran.out.endswith("\nx\n")
    assert ran.changes == {}


def test_a_parent_that_the_command_writes_to_stays_without_the_mount_point(build: Builder) -> None:
    ran = build("echo > /a/b/f", mounts=(RunMount(type="tmpfs", target="/a/b/c"),))
    assert set(ran.changes) == {"a", "a/b", "a/b/f"}
    after = build("find /a", on=[ran])
    assert after.out.split() == ["/a", "/a/b", "/a/b/f"]


def test_a_relative_target_is_below_the_working_directory(build: Builder) -> None:
    mount = RunMount(type="tmpfs", target="x/../y")
    ran = build("grep -o '/w/y tmpfs' /proc/mounts", mounts=(mount,), config={"config": {"WorkingDir": "/w"}})
    assert ran.out == "/w/y tmpfs\n"


def test_a_target_stays_in_the_container(build: Builder, scratch: Path) -> None:
    image = build.layer(lambda top: os.symlink(f"{scratch}", f"{top}/escape"))
    mounts = (RunMount(type="tmpfs", target="/escape/in"), RunMount(type="tmpfs", target="/../../up"))
    ran = build(f"ls -d {scratch}/in /up", mounts=mounts, on=[image])
    assert ran.out.split() == [f"{scratch}/in", "/up"]
    assert not os.path.exists(f"{scratch}/in")
    assert ran.changes == {}
    with pytest.raises(UsageError, match="cannot mount on /"):
        build(mounts=(RunMount(type="tmpfs", target="/.."),))


# --- secrets ----------------------------------------------------------------------------------


def contains(directory: Path, value: bytes) -> list[str]:
    def look() -> list[str]:
        found = []
        for top, _, names in os.walk(directory):
            for name in names:
                path = f"{top}/{name}"
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as file:
                        if value in file.read():
                            found.append(path)
        return found

    return as_root(look)


def test_a_secret_is_a_file_in_memory(build: Builder, scratch: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(VALUE)
    given = (("token", Secret(path=str(tmp_path / "token"))),)
    ran = build(
        "stat -c '%a %u:%g %F' /run/secrets/token; wc -c < /run/secrets/token;"
        " grep /run/secrets /proc/mounts; echo x > /run/secrets/token; cat /s | wc -c; stat -c '%a %u:%g' /s",
        mounts=(secret(), secret("/s", mode=0o440, uid=5, gid=6)),
        secrets=given,
    )
    lines = ran.out.splitlines()
    assert lines[0] == "400 0:0 regular file"
    assert lines[2].startswith("tmpfs /run/secrets/token tmpfs ro,nosuid,nodev,noexec")
    assert lines[3:] == [str(len(VALUE)), "440 5:6"]
    assert "Read-only file system" in ran.err
    assert ran.changes == {}
    assert contains(scratch, VALUE.encode()) == []


def test_a_secret_as_a_variable(build: Builder, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTSIDE", VALUE)
    ran = build(
        "echo ${#TOKEN} ${#OUTSIDE}; ls /run/secrets; cat /proc/1/cmdline | grep -c s[3]cret",
        mounts=(secret(env="TOKEN"),),
        secrets=(("token", Secret(env="OUTSIDE")),),
        env=("TOKEN=of the Dockerfile",),
    )
    assert ran.out.split() == [str(len(VALUE)), "0", "0"]
    assert "No such file" in ran.err
    assert contains(scratch, VALUE.encode()) == []
    both = build(
        "echo ${#TOKEN}; wc -c < /f",
        mounts=(secret("/f", env="TOKEN"),),
        secrets=(("token", Secret(env="OUTSIDE")),),
    )
    assert both.out.split() == [str(len(VALUE))] * 2


def test_a_secret_that_was_not_given(build: Builder, tmp_path: Path) -> None:
    assert build("ls /run/secrets /s", mounts=(secret(), secret("/s"))).status == 1
    with pytest.raises(NotFound, match="the secret token is required and was not given") as missing:
        build(mounts=(secret(required=True),))
    assert "--secret id=token,src=FILE" in missing.value.hint
    with pytest.raises(NotFound, match=r"cannot read the secret token from .*: No such file"):
        build(mounts=(secret(),), secrets=(("token", Secret(path=f"{tmp_path}/none")),))
    with pytest.raises(NotFound, match="from the variable NONE, which is not set"):
        build(mounts=(secret(),), secrets=(("token", Secret(env="NONE")),))
    (tmp_path / "large").write_bytes(bytes((500 << 10) + 1))
    with pytest.raises(UsageError, match="the secret token is larger"):
        build(mounts=(secret(),), secrets=(("token", Secret(path=f"{tmp_path}/large")),))
    (tmp_path / "nul").write_bytes(b"a\0b")
    with pytest.raises(UsageError, match="NUL"):
        build(mounts=(secret(env="A"),), secrets=(("token", Secret(path=f"{tmp_path}/nul")),))


def test_an_owner_that_is_not_mapped(build: Builder, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(VALUE)
    with pytest.raises(DaemonlessError, match="the id is not mapped into the container"):
        build(mounts=(secret(uid=4_000_000_000),), secrets=(("token", Secret(path=f"{tmp_path}/token")),))


def test_here_documents_are_programs(build: Builder) -> None:
    script = "#!/bin/sh\necho here $0; pwd\n"
    ran = build(args=("/dev/pipes/EOF",), files=(("EOF", script),), config={"config": {"User": "nobody"}})
    assert ran.out == "here /dev/pipes/EOF\n/\n"
    assert ran.changes == {}


# --- bind -------------------------------------------------------------------------------------


@pytest.fixture
def context(tmp_path: Path) -> Path:
    top = tmp_path / "context"
    for name in ("src/a.c", "src/deep/b.c", "secret/key", "secret/public", "out/o", "top", "more/x/y"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name)
    (top / "src").chmod(0o751)
    (top / "link").symlink_to("src/deep")
    (top / "outward").symlink_to("/etc/passwd")
    return top


VISIBLE = ["link", "outward", "secret", "secret/public", "src", "src/a.c", "src/deep", "src/deep/b.c", "top"]


class Rules:
    """out, secret but not secret/public, more but not what does not exist."""

    def excludes(self, path: str) -> bool:
        top = path.split("/")[0]
        return top in ("out", "secret", "more") and path != "secret/public"

    def may_reinclude_below(self, directory: str) -> bool:
        return directory in ("secret", "more", "more/x")


def test_the_context_is_read_only(build: Builder, context: Path) -> None:
    ran = build(
        "cat /c/src/a.c; echo; ls /c; echo x > /c/new; rm /c/top",
        mounts=(bind("/c"),),
        trees={"": Directory(path=str(context))},
    )
    assert ran.out.split() == ["src/a.c", "link", "more", "out", "outward", "secret", "src", "top"]
    assert ran.err.count("Read-only file system") == 2
    assert ran.changes == {}


def test_writes_are_thrown_away(build: Builder, context: Path) -> None:
    before = {path: path.lstat().st_mtime_ns for path in context.rglob("*")}
    ran = build(
        "cd /c && echo new > src/a.c && rm -r out && echo > more/x/z && cat src/a.c && ls;"
        " stat -c '%a %u' src",
        mounts=(bind("/c", writable=True),),
        trees={"": Directory(path=str(context))},
    )
    assert ran.status == 0, ran.err
    assert ran.out.split() == ["new", "link", "more", "outward", "secret", "src", "top", "751", "0"]
    assert ran.changes == {}
    assert {path: path.lstat().st_mtime_ns for path in context.rglob("*")} == before


@pytest.mark.parametrize("writable", [False, True])
def test_a_part_of_the_context(build: Builder, context: Path, writable: bool) -> None:
    ran = build(
        "cat /w/one /w/dir/b.c; ls /w/dir; cat /w/through/b.c; cat /w/etc",
        mounts=(
            bind("/w/one", "/top", writable=writable),
            bind("/w/dir", "src/deep", writable=writable),
            bind("/w/through", "/link", writable=writable),
            bind("/w/same", "/src/../top", writable=writable),
        ),
        trees={"": Directory(path=str(context))},
    )
    assert ran.out == "topsrc/deep/b.cb.c\nsrc/deep/b.c"
    assert ran.changes == {}
    with pytest.raises(SetupFailed, match="cannot mount /outward: it is not in the context"):
        build(mounts=(bind("/p", "/outward", writable=writable),), trees={"": Directory(path=str(context))})
    with pytest.raises(SetupFailed, match="cannot mount /nope: it is not in the context"):
        build(mounts=(bind("/p", "/nope", writable=writable),), trees={"": Directory(path=str(context))})


@pytest.mark.parametrize("writable", [False, True])
def test_what_is_ignored_is_not_there(build: Builder, context: Path, writable: bool) -> None:
    ran = build(
        "cd /c && find . | sort; stat -c '%a %Y' src",
        mounts=(bind("/c", writable=writable),),
        trees={"": Directory(path=str(context), ignore=Rules())},
    )
    stamp = int((context / "src").stat().st_mtime)
    *found, mode, changed = ran.out.split()
    assert found == [".", *(f"./{path}" for path in VISIBLE)]
    assert (mode, changed) == ("751", str(stamp))
    assert ran.changes == {}


def test_what_is_ignored_is_not_there_by_its_name(build: Builder, context: Path) -> None:
    trees = {"": Directory(path=str(context), ignore=Rules())}
    for path in ("/out/o", "/out", "/secret/key", "/more", "/more/x/y"):
        with pytest.raises(SetupFailed, match=f"cannot mount {path}: it is not in the context"):
            build(mounts=(bind("/m", path),), trees=trees)
    ran = build(
        "cat /m/public; ls /m; cat /one; ls /through",
        mounts=(bind("/m", "/secret"), bind("/one", "/secret/public"), bind("/through", "link")),
        trees=trees,
    )
    assert ran.out == "secret/publicpublic\nsecret/publicb.c\n"


def test_a_stage_and_an_image(build: Builder) -> None:
    first = build("mkdir /d; echo one > /d/f; echo two > /d/g; chown 9:9 /d/g; rm /bin/ls")
    second = build("rm /d/f; echo three > /d/h", on=[first])
    stage = Layers(lowers=(second.upper, first.upper, build.base))
    ran = build(
        "ls /s/d; cat /s/d/g; stat -c %u /s/d/g; ls /s/bin/ls; echo x > /s/d/h;"
        " cat /file /tools/busybox | head -c 4",
        mounts=(bind("/s", from_="stage"), bind("/file", "/d/h", "stage"), bind("/tools", "/bin", "image")),
        trees={"stage": stage, "image": Layers(lowers=(build.base,))},
    )
    assert ran.out == "g\nh\ntwo\n9\nthre"
    assert "ls: /s/bin/ls: No such file" in ran.err
    assert "Read-only" in ran.err
    assert ran.changes == {}
    before = tree(second.upper)
    ran = build(
        "echo more >> /s/d/h; rm /s/d/g; ls /s/d; cat /s/d/h",
        mounts=(bind("/s", from_="stage", writable=True),),
        trees={"stage": stage},
    )
    assert ran.out == "h\nthree\nmore\n"
    assert tree(second.upper) == before
    assert ran.changes == {}


def test_tools_for_an_image_that_has_none(build: Builder) -> None:
    ran = build(
        "/t/busybox echo hello > /f",
        args=("/t/busybox", "sh", "-c", "echo hello > /f"),
        layers=Layers(lowers=()),
        mounts=(bind("/t", "/bin", "image"),),
        trees={"image": Layers(lowers=(build.base,))},
    )
    assert ran.changes == {"f": "-rw-r--r-- 0:0 hello\n"}
    empty = build("ls -A /e", mounts=(bind("/e", from_="none"),), trees={"none": Layers(lowers=())})
    assert (empty.status, empty.out) == (0, "")


def test_a_stage_that_is_not_there(build: Builder) -> None:
    with pytest.raises(NotFound, match="no stage, image or context gone to mount from"):
        build(mounts=(bind("/m", from_="gone"),))
    with pytest.raises(NotFound, match="there is no context to mount from"):
        build(mounts=(bind("/m"),))


def test_a_later_mount_takes_the_place_of_an_earlier(build: Builder, context: Path) -> None:
    mounts = (bind("/m", "/src"), secret("/m"), RunMount(type="tmpfs", target="/m/"))
    ran = build(
        "ls -A /m; grep -c ' /m ' /proc/mounts", mounts=mounts, trees={"": Directory(path=str(context))}
    )
    assert ran.out == "1\n"


def test_a_context_with_a_long_path(build: Builder, tmp_path: Path) -> None:
    top = tmp_path / ("d" * 200) / ("e" * 200)
    top.mkdir(parents=True)
    (top / "f").write_text("long")
    ran = build("cat /c/f", mounts=(bind("/c", writable=True),), trees={"": Directory(path=str(top))})
    assert ran.out == "long"
