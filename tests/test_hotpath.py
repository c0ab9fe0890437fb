import marshal
import os
import subprocess
import sys
from pathlib import Path

import pytest

import daemonless
from daemonless import hotpath

PACKAGE = Path(daemonless.__file__).parent


@pytest.fixture(scope="module")
def compiled():
    program = "import sys; from daemonless import hotpath as h; sys.stdout.buffer.write(h.compile_modules())"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, check=True, timeout=30
    )
    tag, modules = marshal.loads(done.stdout)
    assert tag == hotpath._TAG
    return modules


def test_the_file_holds_what_hot_commands_load_and_nothing_cold(compiled):
    assert {"daemonless.actions.run", "daemonless.isolation.init", "daemonless.supervisor.monitor"} <= set(
        compiled
    )
    assert not [
        name for name in compiled if name.startswith(("daemonless.registry", "daemonless.images.pull"))
    ]


def test_a_module_is_served_as_it_is(compiled):
    finder = hotpath.HotPath(dict(compiled))
    spec = finder.find_spec("daemonless.record")
    module = type(sys)("daemonless.record")
    module.__file__ = spec.origin
    finder.exec_module(module)
    assert module.Record.__fields__ == ()
    assert spec.origin == str(PACKAGE / "record.py")
    assert finder.find_spec("daemonless.actions").submodule_search_locations == [str(PACKAGE / "actions")]


@pytest.mark.parametrize("change", ["mtime", "size", "gone", "unknown"])
def test_a_changed_source_is_imported_the_usual_way(compiled, tmp_path, change):
    source = tmp_path / "module.py"
    source.write_text("x = 1\n")
    status = source.stat()
    finder = hotpath.HotPath({"m": (str(source), False, status.st_mtime_ns, status.st_size, b"")})
    assert finder.find_spec("m")
    if change == "mtime":
        os.utime(source, ns=(1, 1))
    elif change == "size":
        source.write_text("x = 11\n")
        os.utime(source, ns=(status.st_mtime_ns, status.st_mtime_ns))
    elif change == "gone":
        source.unlink()
    assert finder.find_spec("other" if change == "unknown" else "m") is None


@pytest.mark.parametrize("content", [None, b"", b"garbage", marshal.dumps(1), marshal.dumps(("other 1", {}))])
def test_without_a_usable_file_nothing_changes(tmp_path, content):
    copy = tmp_path / "daemonless"
    copy.mkdir()
    (copy / "__init__.py").write_text("")
    (copy / "hotpath.py").write_bytes((PACKAGE / "hotpath.py").read_bytes())
    if content is not None:
        (copy / hotpath.FILE_NAME).write_bytes(content)
    program = (
        "import sys; sys.path[:0] = [sys.argv[1]]; before = list(sys.meta_path)\n"
        "from daemonless import hotpath; hotpath.activate(); sys.exit(sys.meta_path != before)"
    )
    assert subprocess.run([sys.executable, "-ISEc", program, str(tmp_path)], timeout=20).returncode == 0
