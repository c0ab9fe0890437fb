"""Descriptions of devices, right and wrong ones."""

import json
import os

import pytest

from daemonless.containers.cdi import Edits, device_names, directories, known_names, resolve
from daemonless.errors import InvalidData, NotFound, Unsupported, UsageError

YAML = """
cdiVersion: 0.6.0
kind: vendor.com/net
containerEdits:
  env: [GENERAL=1, BOTH=general]
  mounts:
  - {hostPath: /etc/hostname, containerPath: /lib/general, options: [ro, nosuid]}
devices:
- name: "0"
  containerEdits:
    env: [BOTH=device, ZERO=1]
    deviceNodes:
    - {path: /dev/vendor0, hostPath: /dev/null, permissions: rm}
    - {path: /dev/zero}
    additionalGids: [5]
    hooks:
    - hookName: createContainer
      path: /usr/bin/vendor-hook
      args: [vendor-hook, link]
- name: all
  containerEdits:
    deviceNodes:
    - {path: /dev/full}
"""
ZERO = {
    "kind": "vendor.com/net",
    "devices": [{"name": "0", "containerEdits": {"env": ["FROM=run"]}}],
}


@pytest.fixture
def where(tmp_path):
    paths = [tmp_path / name for name in ("etc", "run", "missing")]
    for path in paths[:2]:
        path.mkdir()
    (paths[0] / "vendor.yaml").write_text(YAML)
    (paths[0] / "ignored.txt").write_text("{")
    return [str(path) for path in paths]


def test_what_a_device_needs(where):
    edits = resolve(["vendor.com/net=0"], where)
    assert edits.env == ("GENERAL=1", "BOTH=device", "ZERO=1")
    assert [(each["source"], each["destination"], each["options"][-1]) for each in edits.mounts] == [
        ("/etc/hostname", "/lib/general", "rbind"),
        ("/dev/null", "/dev/vendor0", "ro"),
        ("/dev/zero", "/dev/zero", "rw"),
    ]
    [hook] = edits.hooks
    assert hook == {"path": "/usr/bin/vendor-hook", "args": ["vendor-hook", "link"], "env": [], "timeout": 0}
    assert edits.groups == (5,)
    both = resolve(["vendor.com/net=0", "vendor.com/net=all"], where)
    assert [each["destination"] for each in both.mounts][-1] == "/dev/full"
    assert both.env[:1] == ("GENERAL=1",)
    assert known_names(where) == ["vendor.com/net=0", "vendor.com/net=all"]


def test_a_later_directory_counts_more(where):
    with open(f"{where[1]}/more.json", "w") as file:
        json.dump(ZERO, file)
    assert resolve(["vendor.com/net=0"], where).env == ("FROM=run",)
    assert resolve(["vendor.com/net=all"], where).env == ("GENERAL=1", "BOTH=general")


def test_edits_of_a_spec():
    mount = {"destination": "/lib/x", "type": "bind", "source": "/y", "options": []}
    own = [{"destination": path} for path in ("/", "/proc", "/dev/shm", "/lib/x")]
    spec = {"process": {"env": ["A=1", "B=2"], "user": {}}, "mounts": own}
    Edits(env=("B=3",), mounts=(mount,), groups=(7,)).apply(spec)
    assert spec["process"] == {"env": ["A=1", "B=3"], "user": {"additionalGids": [7]}}
    assert [each["destination"] for each in spec["mounts"]] == ["/", "/proc", "/dev/shm", "/lib/x"]
    assert spec["mounts"][-1] is mount and "hooks" not in spec


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (([], ["all"]), ("nvidia.com/gpu=all",)),
        (([], ["0", "0,1"]), ("nvidia.com/gpu=0", "nvidia.com/gpu=1")),
        (([], ['"device=0,GPU-1:0"']), ("nvidia.com/gpu=0", "nvidia.com/gpu=GPU-1:0")),
        ((["a.b/c_d=e.f"], []), ("a.b/c_d=e.f",)),
    ],
)
def test_names(given, names):
    assert device_names(*given) == names


@pytest.mark.parametrize("value", ["a=b", "a/b=", "/a=b", "a/b/c=d", "a/b=-", "a./b=c", "a/b=c,d", "a/b=c\n"])
def test_what_is_no_name(value):
    with pytest.raises(UsageError, match="Container Device Interface"):
        device_names([value], [])


@pytest.mark.parametrize("value", ["", "capabilities=compute", "device=", "0,,1", "count=2"])
def test_what_is_no_gpu(value):
    with pytest.raises(UsageError, match="--gpus"):
        device_names([], [value])


def test_an_unknown_device_is_named_with_those_there_are(where):
    with pytest.raises(NotFound, match=r"no device vendor\.com/net=1") as caught:
        resolve(["vendor.com/net=1"], where)
    assert "vendor.com/net=0, vendor.com/net=all" in caught.value.hint
    with pytest.raises(NotFound) as caught:
        resolve(["nvidia.com/gpu=all"], where)
    assert "nvidia-ctk" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not valid JSON"),
        ("[]", "does not describe"),
        ('{"kind": "x"}', "no kind of device"),
        ('{"kind": "vendor.com/net", "devices": {}}', "devices is no list"),
    ],
)
def test_a_broken_file_is_named_when_a_device_is_missing(where, text, reason):
    with open(f"{where[1]}/broken.json", "w") as file:
        file.write(text)
    assert resolve(["vendor.com/net=all"], where).env  # others are not affected
    with pytest.raises(InvalidData, match=reason):
        resolve(["vendor.com/net=1"], where)


def test_broken_yaml(where):
    for text in ("kind: [", "kind: !!python/object/apply:os.system ['touch /tmp/x']", "&a [*a, *a"):
        with open(f"{where[1]}/broken.yaml", "w") as file:
            file.write(text)
        with pytest.raises(InvalidData, match=r"broken\.yaml"):
            resolve(["vendor.com/net=1"], where)


@pytest.mark.parametrize(
    ("edits", "kind", "reason"),
    [
        ({"env": "A=1"}, InvalidData, "env is no list"),
        ({"env": ["=1"]}, InvalidData, "env is no list"),
        ({"deviceNodes": [{"path": "dev/x"}]}, InvalidData, "no absolute path"),
        ({"deviceNodes": [{"path": "/dev/../x"}]}, InvalidData, "no absolute path"),
        ({"deviceNodes": [{"path": "/dev/x", "hostPath": "/dev/nope"}]}, NotFound, "No such file"),
        ({"deviceNodes": [{"path": "/dev/x", "hostPath": "/etc"}]}, InvalidData, "not a device"),
        ({"mounts": [{"hostPath": "/nope", "containerPath": "/x"}]}, NotFound, "not there"),
        ({"mounts": [{"hostPath": "/etc", "containerPath": "x"}]}, InvalidData, "no absolute path"),
        ({"mounts": [{"hostPath": "/etc", "containerPath": "/x", "options": "ro"}]}, InvalidData, "mount"),
        ({"hooks": [{"hookName": "poststop", "path": "/bin/true"}]}, Unsupported, "createContainer"),
        ({"hooks": [{"hookName": "createContainer", "path": "true"}]}, InvalidData, "absolute"),
        ({"hooks": [{"hookName": "createContainer", "path": "/x", "args": "y"}]}, InvalidData, "words"),
        ({"hooks": [{"hookName": "createContainer", "path": "/x", "timeout": -1}]}, InvalidData, "seconds"),
        ({"additionalGids": ["video"]}, InvalidData, "groups"),
        ({"intelRdt": {"closID": "x"}}, Unsupported, "intelRdt"),
        ("words", InvalidData, "no object"),
    ],
)
def test_descriptions_that_are_wrong(where, edits, kind, reason):
    document = {"kind": "vendor.com/net", "devices": [{"name": "1", "containerEdits": edits}]}
    with open(f"{where[1]}/more.json", "w") as file:
        json.dump(document, file)
    with pytest.raises(kind, match=reason):
        resolve(["vendor.com/net=1"], where)


def test_where_descriptions_lie():
    assert directories({"HOME": "/h"}) == ("/etc/cdi", "/var/run/cdi", "/h/.config/cdi")
    assert directories({"XDG_CONFIG_HOME": "/x", "HOME": "/h"})[-1] == "/x/cdi"
    assert directories()[0] == "/etc/cdi" and os.environ
