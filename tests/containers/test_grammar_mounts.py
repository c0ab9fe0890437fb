import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemonless.containers import grammar_mounts as gm
from daemonless.errors import Unsupported, UsageError

CWD = "/home/me/src"


@pytest.mark.parametrize(
    ("value", "source", "destination", "options"),
    [
        ("/a:/b", "/a", "/b", "rbind rprivate rw"),
        ("/a:/b:ro", "/a", "/b", "rbind rprivate ro"),
        ("/a:/b:rw,z", "/a", "/b", "rbind rprivate rw"),
        ("/a:/b:Z", "/a", "/b", "rbind rprivate rw"),
        (".:/work", "/home/me/src", "/work", "rbind rprivate rw"),
        ("./x:/work", "/home/me/src/x", "/work", "rbind rprivate rw"),
        ("../x:/work", "/home/me/x", "/work", "rbind rprivate rw"),
        ("/a/:/b//c/", "/a", "/b/c", "rbind rprivate rw"),
        ("/a:/b:ro,rslave,nosuid,nodev,noexec", "/a", "/b", "rbind rslave ro nosuid nodev noexec"),
        ("/a:/b:bind,private", "/a", "/b", "bind private rw"),
        ("/a b:/b", "/a b", "/b", "rbind rprivate rw"),
        ("/a:/b:", "/a", "/b", "rbind rprivate rw"),
    ],
)
def test_volume(value, source, destination, options):
    mount = gm.volume(value, CWD)
    assert (mount.type, mount.source, mount.destination) == ("bind", source, destination)
    assert mount.options == tuple(options.split())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("/a:", "empty"),
        (":/b", "empty"),
        ("/a:b", "not an absolute path"),
        ("/a:/", "the root of the container"),
        ("/a:/x/..", "the root of the container"),
        ("/a:/b:ro:rw", "more than three fields"),
        ("/a:/b:ro,rw", "contradicts"),
        ("/a:/b:exec,noexec", "contradicts"),
        ("/a:/b:rslave,rshared", "more than one"),
        ("/a:/b:fast", "no mount option"),
        ("/a:/b:size=1", "no mount option"),
        ("/a:/b\n", "control character"),
        ("/a\x1b:/b", "control character"),
    ],
)
def test_volume_refuses(value, reason):
    with pytest.raises(UsageError, match=reason):
        gm.volume(value, CWD)


@pytest.mark.parametrize(
    ("value", "name", "destination", "options"),
    [
        ("data:/data", "data", "/data", "rbind rprivate rw nosuid nodev"),
        ("data:/data:ro", "data", "/data", "rbind rprivate ro nosuid nodev"),
        ("data:/data:suid,dev,noexec,z", "data", "/data", "rbind rprivate suid dev noexec rw"),
        ("My.data_1-x:/a//b/", "My.data_1-x", "/a/b", "rbind rprivate rw nosuid nodev"),
        ("/data", "", "/data", "rbind rprivate rw nosuid nodev"),
        ("/data/..//x", "", "/x", "rbind rprivate rw nosuid nodev"),
    ],
)
def test_named_and_anonymous_volumes(value, name, destination, options):
    mount = gm.volume(value, CWD)
    assert (mount.type, mount.source, mount.destination) == ("volume", name, destination)
    assert mount.options == tuple(options.split())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("data", "not an absolute path"),
        ("da ta:/data", "not the name of a volume"),
        ("-x:/data", "not the name of a volume"),
        ("_x:/data", "not the name of a volume"),
        ("a/b:/data", "not the name of a volume"),
        ("\u00e9:/data", "not the name of a volume"),
        ("x" * 256 + ":/data", "not the name of a volume"),
        ("data:/", "root of the container"),
        ("data:/data:idmap", "not supported"),
    ],
)
def test_volume_names_are_refused(value, reason):
    with pytest.raises((UsageError, Unsupported), match=reason):
        gm.volume(value, CWD)


@pytest.mark.parametrize("value", ["/a:/b:{}", "data:/b:{}"])
def test_options_that_are_no_flags(value):
    plain = gm.volume(value.format(""), CWD)
    assert gm.volume(value.format("U"), CWD) == plain.replace(chown=True)
    assert gm.volume(value.format("O"), CWD) == plain.replace(overlay=True)
    assert gm.volume(value.format("nocopy"), CWD) == plain.replace(nocopy=True)
    assert gm.volume(value.format("nocopy,copy"), CWD) == plain


@pytest.mark.parametrize(
    ("value", "expected"),
    [("db", ("db", "")), ("db:ro", ("db", "ro")), ("db:rw,z", ("db", "rw")), ("db:Z", ("db", ""))],
)
def test_volumes_from(value, expected):
    assert gm.volumes_from(value) == expected


@pytest.mark.parametrize("value", ["", ":ro", "db:ro,rw", "db:fast"])
def test_volumes_from_refuses(value):
    with pytest.raises(UsageError):
        gm.volumes_from(value)


@pytest.mark.parametrize(
    ("value", "options"),
    [
        ("/x", "rw noexec nosuid nodev rprivate tmpcopyup"),
        ("/x:exec", "rw nosuid nodev rprivate exec tmpcopyup"),
        ("/x:size=64m,mode=1777", "rw noexec nosuid nodev rprivate size=67108864 mode=1777 tmpcopyup"),
        ("/x:size=50%", "rw noexec nosuid nodev rprivate size=50% tmpcopyup"),
        ("/x:ro,notmpcopyup", "noexec nosuid nodev rprivate ro notmpcopyup"),
        ("/x:rw,noexec", "nosuid nodev rprivate rw noexec tmpcopyup"),
        (
            "/x:uid=5,gid=6,nr_inodes=10k",
            "rw noexec nosuid nodev rprivate uid=5 gid=6 nr_inodes=10240 tmpcopyup",
        ),
    ],
)
def test_tmpfs(value, options):
    mount = gm.tmpfs(value)
    assert (mount.destination, mount.type, mount.source) == ("/x", "tmpfs", "tmpfs")
    assert mount.options == tuple(options.split())


@pytest.mark.parametrize(
    "value", ["", "x", "/", "/x:size=", "/x:mode=9", "/x:what", "/x:ro,rw", "/x:uid=a", "/x:mpol=1"]
)
def test_tmpfs_refuses(value):
    with pytest.raises(UsageError):
        gm.tmpfs(value)


@pytest.mark.parametrize(
    ("value", "source", "options"),
    [
        ("type=bind,source=/a,target=/b", "/a", "rbind rprivate rw"),
        ("type=bind,src=./a,dst=/b,ro", CWD + "/a", "rbind rprivate ro"),
        ("type=bind,src=/a,dest=/b,readonly=true", "/a", "rbind rprivate ro"),
        ("type=bind,src=/a,destination=/b,readonly=false", "/a", "rbind rprivate rw"),
        ("type=bind,src=/a,dst=/b,bind-propagation=rslave", "/a", "rbind rslave rw"),
        ("type=bind,src=/a,dst=/b,bind-nonrecursive", "/a", "bind rprivate rw"),
        ("type=bind,src=/a,dst=/b,bind-recursive=disabled", "/a", "bind rprivate rw"),
        ("type=bind,src=/a,dst=/b,bind-recursive=enabled", "/a", "rbind rprivate rw"),
        ("type=bind,src=/a,dst=/b,relabel=shared,consistency=cached", "/a", "rbind rprivate rw"),
        ("type=bind,src=/a,dst=/b,exec=false,nosuid", "/a", "rbind rprivate noexec nosuid rw"),
        ('type=bind,"src=/a,b",dst=/b', "/a,b", "rbind rprivate rw"),
        ('"type=bind","src=/say ""hi""",dst=/b', '/say "hi"', "rbind rprivate rw"),
        ("type=tmpfs,dst=/b", "tmpfs", "rw noexec nosuid nodev rprivate tmpcopyup"),
        (
            "type=tmpfs,dst=/b,tmpfs-size=1m,tmpfs-mode=0700",
            "tmpfs",
            "rw noexec nosuid nodev rprivate size=1048576 mode=700 tmpcopyup",
        ),
        ("type=tmpfs,dst=/b,tmpcopyup=false", "tmpfs", "rw noexec nosuid nodev rprivate notmpcopyup"),
    ],
)
def test_mount(value, source, options):
    mount = gm.mount(value, CWD)
    assert (mount.destination, mount.source) == ("/b", source)
    assert mount.options == tuple(options.split())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("type=bind,dst=/b", "the source"),
        ("type=bind,src=a,dst=/b", "the source"),
        ("type=bind,src=/a", "not an absolute path"),
        ("type=bind,src=/a,dst=/b,dst=/c", "given twice"),
        ("type=bind,src=/a,dst=/b,target=/c", "given twice"),
        ("type=bind,src=/a,dst=/b,tmpfs-size=1m", "no key of type=bind"),
        ("type=bind,src=/a,dst=/b,ro=maybe", "neither true nor false"),
        ("type=bind,src=/a,dst=/b,bind-propagation=up", "no key"),
        ("type=tmpfs,src=/a,dst=/b", "a tmpfs has no source"),
        ('type=bind,src="/a",dst=/b', "a quote stands inside"),
        ('type=bind,"src=/a,dst=/b', "does not end"),
        ('type=bind,"src=/a"x,dst=/b', "follows a closing quote"),
        ("", "not an absolute path"),
        ("type=volume,src=/a,dst=/b", "not the name of a volume"),
        ("type=volume,src=a,dst=/b,subpath=/x", "subpath"),
        ("type=volume,src=a,dst=/b,subpath=x/../..", "subpath"),
        ("type=bind,src=/a,dst=/b,subpath=x", "no key of type=bind"),
        ("type=bind,src=/a,dst=/b,volume-nocopy", "no key of type=bind"),
        ("type=volume,src=a,dst=/b,volume-driver=nfs", "no key of type=volume"),
    ],
)
def test_mount_refuses(value, reason):
    with pytest.raises((UsageError, Unsupported), match=reason):
        gm.mount(value, CWD)


@pytest.mark.parametrize(
    ("value", "short"),
    [
        ("src=data,dst=/b", "data:/b"),
        ("type=volume,source=data,target=/b,readonly", "data:/b:ro"),
        ("type=volume,dst=/b", "/b"),
        ("type=volume,src=data,dst=/b,volume-nocopy", "data:/b:nocopy"),
        ("type=volume,src=data,dst=/b,U=true,volume-driver=local", "data:/b:U"),
        ("type=bind,src=/a,dst=/b,chown=true", "/a:/b:U"),
    ],
)
def test_mount_of_a_volume(value, short):
    assert gm.mount(value, CWD) == gm.volume(short, CWD)


@pytest.mark.parametrize("key", ["subpath", "volume-subpath"])
def test_mount_of_a_part_of_a_volume(key):
    mount = gm.mount(f"type=volume,src=data,dst=/b,{key}=x/y", CWD)
    assert mount == gm.volume("data:/b", CWD).replace(subpath="x/y")


def test_other_types_are_refused_by_name():
    with pytest.raises(Unsupported, match="type image is not supported"):
        gm.mount("type=image,src=i,dst=/b", CWD)


field = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=12)


@settings(max_examples=100)
@given(st.lists(field, min_size=1, max_size=5))
def test_csv_round_trip(fields):
    record = ",".join('"' + f.replace('"', '""') + '"' for f in fields)
    assert gm.csv_fields(record, "--mount") == fields


segment = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


@settings(max_examples=50)
@given(st.lists(segment, min_size=1, max_size=4), st.lists(segment, min_size=1, max_size=4))
def test_volume_and_mount_agree(source, destination):
    source, destination = "/" + "/".join(source), "/" + "/".join(destination)
    short = gm.volume(f"{source}:{destination}:ro", CWD)
    assert short == gm.mount(f"type=bind,source={source},target={destination},readonly", CWD)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/dev/fuse", ("/dev/fuse", "/dev/fuse", True)),
        ("/dev/fuse:/dev/x", ("/dev/fuse", "/dev/x", True)),
        ("/dev/fuse:r", ("/dev/fuse", "/dev/fuse", False)),
        ("/dev/fuse:/dev/x:rm", ("/dev/fuse", "/dev/x", False)),
        ("/dev/dri:/dev/dri:rwm", ("/dev/dri", "/dev/dri", True)),
    ],
)
def test_device(value, expected):
    device = gm.device(value)
    assert (device.source, device.destination, device.writable) == expected


@pytest.mark.parametrize(
    "value", ["", "fuse", "/dev/x:y", "/dev/x:/y:", "/dev/x:/y:rwx", "/a:/b:r:w", "/dev/x:/y\n"]
)
def test_device_refuses(value):
    with pytest.raises(UsageError, match="--device"):
        gm.device(value)
