from __future__ import annotations

import pytest

from daemonless.containers.instructions import apply
from daemonless.errors import UsageError


def changed(*changes: str, **config) -> dict:
    for change in changes:
        apply(config, change)
    return config


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ('CMD ["a", "b c"]', {"Cmd": ["a", "b c"]}),
        ("CMD []", {"Cmd": []}),
        ("cmd a b", {"Cmd": ["/bin/sh", "-c", "a b"]}),
        ("CMD [not json", {"Cmd": ["/bin/sh", "-c", "[not json"]}),
        ('ENTRYPOINT ["x"]', {"Entrypoint": ["x"]}),
        ("ENV A=1 B='two words' C=\"x\\\"y\" D=a\\ b", {"Env": ["A=1", "B=two words", 'C=x"y', "D=a b"]}),
        ("ENV A one two = three", {"Env": ["A=one two = three"]}),
        ("EXPOSE 53/UDP 81-82", {"ExposedPorts": {"53/udp": {}, "81/tcp": {}, "82/tcp": {}}}),
        ("LABEL a.b=c 'd e'=f", {"Labels": {"a.b": "c", "d e": "f"}}),
        ("ONBUILD RUN make", {"OnBuild": ["RUN make"]}),
        ("STOPSIGNAL SIGQUIT", {"StopSignal": "SIGQUIT"}),
        ("USER 1000:1000", {"User": "1000:1000"}),
        ('VOLUME ["/a b"]', {"Volumes": {"/a b": {}}}),
        ("VOLUME /a /b", {"Volumes": {"/a": {}, "/b": {}}}),
        ("WORKDIR /a/../b", {"WorkingDir": "/b"}),
        ("WORKDIR x", {"WorkingDir": "/x"}),
        ("HEALTHCHECK NONE", {"Healthcheck": {"Test": ["NONE"]}}),
        ("HEALTHCHECK --interval=5s --retries=3 CMD curl -f x", {"Healthcheck": {
            "Test": ["CMD-SHELL", "curl -f x"], "Interval": 5 * 10**9, "Retries": 3}}),
        ('HEALTHCHECK CMD ["a"]', {"Healthcheck": {"Test": ["CMD", "a"]}}),
    ],
)  # fmt: skip
def test_instructions(change, expected):
    assert changed(change) == expected


def test_they_add_to_what_is_there():
    config = changed("ENV B=2 A=3", "LABEL x=y", "EXPOSE 1", "VOLUME /b", "WORKDIR sub", "CMD x",
                     Env=["A=1"], Labels={"l": "m"}, Volumes={"/a": {}}, WorkingDir="/w",
                     Shell=["/bin/bash", "-c"])  # fmt: skip
    assert config == {
        "Env": ["A=3", "B=2"],
        "Labels": {"l": "m", "x": "y"},
        "ExposedPorts": {"1/tcp": {}},
        "Volumes": {"/a": {}, "/b": {}},
        "WorkingDir": "/w/sub",
        "Shell": ["/bin/bash", "-c"],
        "Cmd": ["/bin/bash", "-c", "x"],
    }


@pytest.mark.parametrize(
    "change",
    [
        *("", "CMD", "RUN make", "ENV", "ENV A", "ENV =x", "ENV A='x", "LABEL a", "EXPOSE x", "EXPOSE 0"),
        *("EXPOSE 9-8", "EXPOSE 80/xyz", "EXPOSE 80-", "STOPSIGNAL NOPE", "USER -1", "VOLUME a"),
        *("ONBUILD ONBUILD x", "ONBUILD from y"),
        *("HEALTHCHECK", "HEALTHCHECK CMD", "HEALTHCHECK --what=1 CMD x", "HEALTHCHECK --interval=x CMD y"),
    ],
)
def test_mistakes(change):
    with pytest.raises(UsageError, match="cannot apply --change"):
        changed(change)
