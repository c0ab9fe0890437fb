from __future__ import annotations

import pytest

from daemonless.dockerfile.mounts import parse_mount
from daemonless.dockerfile.settings import absolute
from daemonless.errors import UsageError

RO = {"read_only": True}


def mount(text: str, workdir: str = "/app") -> dict:
    """Return what differs from the record's defaults, but for type and target."""
    found = parse_mount(
        text, lambda value: value.replace("$V", "v"), lambda path: absolute({"WorkingDir": workdir}, path)
    )
    defaults = {name: getattr(type(found), name, None) for name in found.__fields__}
    return {name: value for name, value in found.as_dict().items() if value != defaults[name]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("target=/t", {"type": "bind", "target": "/t", "source": "/", **RO}),
        ("type=bind,source=a/../b,dst=t", {"type": "bind", "target": "/app/t", "source": "/b", **RO}),
        ("src=../../etc,target=/t", {"type": "bind", "target": "/t", "source": "/etc", **RO}),
        ("TYPE=Bind,from=x,rw,destination=/t/", {"type": "bind", "target": "/t", "source": "/",
                                                "from_": "x"}),
        ("target=/t,rw=false", {"type": "bind", "target": "/t", "source": "/", **RO}),
        ("target=/t,readwrite", {"type": "bind", "target": "/t", "source": "/"}),
        ("target=/t,ro=0", {"type": "bind", "target": "/t", "source": "/"}),
        ("type=bind", {"type": "bind", "target": "/app", "source": "/", **RO}),
        ("target=/t,z", {"type": "bind", "target": "/t", "source": "/", **RO}),
        ("type=cache,target=/c,Z", {"type": "cache", "target": "/c", "source": "/", "id": "/c"}),
        ("target=/t,relabel=private", {"type": "bind", "target": "/t", "source": "/", **RO}),
        ("type=tmpfs,target=/t,tmpfs-size=1m", {"type": "tmpfs", "target": "/t", "size": 1 << 20}),
        ("type=cache,target=/c", {"type": "cache", "target": "/c", "source": "/", "id": "/c"}),
        ("type=cache,target=c", {"type": "cache", "target": "/app/c", "source": "/", "id": "/app/c"}),
        (
            "type=cache,id=$V,target=/c,ro,sharing=Locked,from=s,source=d,mode=0750,uid=1,gid=2",
            {"type": "cache", "target": "/c", "source": "/d", "id": "v", **RO,
             "sharing": "locked", "from_": "s", "mode": 0o750, "uid": 1, "gid": 2},
        ),
        ("type=tmpfs,target=/t", {"type": "tmpfs", "target": "/t"}),
        ("type=tmpfs,target=/t,size=1.5k", None),
        ("type=tmpfs,target=/t,size=100m", {"type": "tmpfs", "target": "/t", "size": 100 << 20}),
        ("type=tmpfs,target=/t,size=2GiB", {"type": "tmpfs", "target": "/t", "size": 2 << 30}),
        ("type=secret,id=s", {"type": "secret", "target": "/run/secrets/s", "id": "s", **RO}),
        ("type=secret,source=a/s", {"type": "secret", "target": "/run/secrets/s", "id": "a/s", **RO}),
        ("type=secret,target=/a/b", {"type": "secret", "target": "/a/b", "id": "b", **RO}),
        ("type=secret,id=s,target=x", {"type": "secret", "target": "/app/x", "id": "s", **RO}),
        ("type=secret,id=s,env=E", {"type": "secret", "id": "s", "env": "E", **RO}),
        ("type=secret,env=E", {"type": "secret", "id": "E", "env": "E", **RO}),
        (
            "type=secret,id=s,env=E,target=/t,required,mode=0440,uid=5",
            {"type": "secret", "id": "s", "env": "E", "target": "/t", "required": True, "mode": 0o440,
             "uid": 5, **RO},
        ),
        ("required=true,type=secret,id=s", {"type": "secret", "target": "/run/secrets/s", "id": "s",
                                            "required": True, **RO}),
        ("type=ssh", {"type": "ssh", "id": "default", **RO}),
        ("type=ssh,id=k,target=/s,mode=600", {"type": "ssh", "id": "k", "target": "/s", "mode": 0o600,
                                              **RO}),
        ('"target=/a,b",source=x', {"type": "bind", "target": "/a,b", "source": "/x", **RO}),
        ('"target=/a""b"', {"type": "bind", "target": '/a"b', "source": "/", **RO}),
    ],
)  # fmt: skip
def test_every_option(text, expected):
    if expected is None:
        with pytest.raises(UsageError, match="size is not a number"):
            mount(text)
    else:
        assert mount(text) == expected


@pytest.mark.parametrize(
    ("text", "reason", "hint"),
    [
        ("type=cahce,target=/c", "there is no type 'cahce'", "did you mean cache?"),
        ("type=,target=/c", "there is no type ''", "one of bind"),
        ("target", "'target' is not KEY=VALUE", ""),
        ("", "'' is not KEY=VALUE", ""),
        ("targe=/x", "a bind has no option 'targe'", "did you mean target?"),
        ("target=/x,size=1", "a bind has no option 'size'", "it takes"),
        ("target=/x,mode=1", "a bind has no option 'mode'", ""),
        ("type=tmpfs,target=/x,uid=1", "a tmpfs has no option 'uid'", ""),
        ("target=/x,required", "a bind has no option 'required'", ""),
        ("type=secret,id=x,from=y", "a secret has no option 'from'", ""),
        ("type=secret,id=x,sharing=shared", "a secret has no option 'sharing'", ""),
        ("type=secret,id=x,source=y", "source is the same as id", ""),
        ("type=secret", "it names no secret", "id=NAME"),
        ("type=secret,target=/x/", "it names no secret", ""),
        ("type=cache,target=/x,sharing=own", "there is no sharing 'own'", "one of shared"),
        ("type=cache,target=/x,mode=9", "mode is not a number", ""),
        ("type=cache,target=/x,mode=77777", "mode is too large", ""),
        ("type=cache,target=/x,uid=-1", "uid is not a number", ""),
        ("type=cache,target=/x,gid=4294967295", "gid is too large", ""),
        ("target=/x,ro=maybe", "readonly is neither true nor false", ""),
        ("target=/", "it cannot be mounted on /", "target=PATH"),
        ("target=/x/..", "it cannot be mounted on /", ""),
        ('"target=/x', "a quote is left open", ""),
    ],
)
def test_mistakes(text, reason, hint):
    with pytest.raises(UsageError) as caught:
        mount(text)
    assert caught.value.message == f"cannot use --mount={text}: {reason}" or reason in caught.value.message
    assert hint in caught.value.hint


def test_without_a_target_it_is_the_working_directory_unless_that_is_the_root():
    with pytest.raises(UsageError, match="mounted on /"):
        mount("type=bind", workdir="/")
