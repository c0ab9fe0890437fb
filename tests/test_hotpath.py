import importlib
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
def content():
    return hotpath.compile_modules()


@pytest.fixture
def finder(content, tmp_path):
    """What finds modules in a file of this content, and the file."""
    return opened(tmp_path / hotpath.FILE_NAME, content)


def opened(path, content, directory=str(PACKAGE)):
    path.write_bytes(content)
    with open(path, "rb", buffering=0) as file:
        return hotpath.HotPath(file, directory), path


def load(finder, name):
    module = type(sys)(name)
    module.__file__ = finder.find_spec(name).origin
    finder.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["record", "containers.store", "registry.retry"])
def test_a_module_is_served_as_it_is(finder, name):
    module = load(finder[0], f"daemonless.{name}")
    assert module.__file__ == str(PACKAGE / f"{name.replace('.', '/')}.py")
    here = importlib.import_module(f"daemonless.{name}")
    assert vars(module).keys() - {"__builtins__"} == vars(here).keys() - {"__builtins__", "__cached__"}


def test_every_module_is_there(finder):
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        spec = finder[0].find_spec(".".join(parts[:-1] if is_package else parts))
        assert spec.origin == str(path)
        assert spec.submodule_search_locations == ([str(path.parent)] if is_package else None)


@pytest.mark.parametrize("name", ["email.utils", "queue", "email"])
def test_what_a_pull_imports_of_the_standard_library_is_there(finder, name):
    module = load(finder[0], name)
    here = importlib.import_module(name)
    assert module.__file__ == here.__file__
    assert vars(module).keys() - {"__builtins__"} <= vars(here).keys()
    assert finder[0].find_spec("http.client") and finder[0].find_spec("ssl")
    assert finder[0].find_spec("os.path") is None
    assert finder[0].find_spec("pytest") is None


def test_what_help_shows_is_kept(finder):
    assert load(finder[0], "daemonless.commands.pull").pull.__doc__


@pytest.mark.parametrize("change", ["replaced", "gone"])
def test_another_file_in_its_place_is_not_read(finder, content, change):
    modules, file = finder
    assert modules.find_spec("daemonless.record")
    file.unlink()
    if change == "replaced":
        file.write_bytes(content)
        os.utime(file, ns=(1, 1))  # the inode may be the same again
    assert modules.find_spec("daemonless.record") is None


@pytest.mark.parametrize("change", ["mtime", "size", "gone", "unknown"])
def test_a_changed_source_is_imported_the_usual_way(tmp_path, change):
    source = tmp_path / "module.py"
    source.write_text("x = 1\n")
    status = source.stat()
    content = hotpath.compile_modules(str(tmp_path))
    finder, _ = opened(tmp_path / hotpath.FILE_NAME, content, str(tmp_path))
    assert load(finder, "daemonless.module").x == 1
    if change == "mtime":
        os.utime(source, ns=(1, 1))
    elif change == "size":
        source.write_text("x = 11\n")
        os.utime(source, ns=(status.st_mtime_ns, status.st_mtime_ns))
    elif change == "gone":
        source.unlink()
    assert finder.find_spec("daemonless.other" if change == "unknown" else "daemonless.module") is None


@pytest.mark.parametrize(
    "content",
    [
        *(None, b"", b"garbage", b"other" + hotpath._TAG, hotpath._TAG, hotpath._TAG + b"x" * 11),
        *(hotpath._TAG + b"%010d\n" % 9, hotpath._TAG + b"%010d\n" % 5 + marshal.dumps({"m": 1})),
    ],
)
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
