"""--output: what its words mean. What is none of them is an integration test."""

from __future__ import annotations

import pytest

from daemonless.build.outputs import Output, parse_output


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("out", Output(kind="local", dest="out")),
        ("./a=b", Output(kind="local", dest="./a=b")),
        ("-", Output(kind="tar", dest="-")),
        ("type=local,dest=out", Output(kind="local", dest="out")),
        ("type=tar", Output(kind="tar", dest="-")),
        ("type=tar,dest=x.tar", Output(kind="tar", dest="x.tar")),
        ("type=oci", Output(kind="oci", dest="-")),
        ("type=oci,dest=d,tar=false", Output(kind="oci", dest="d", as_directory=True)),
        ("type=docker", Output(kind="image")),
        ("type=docker,dest=-", Output(kind="docker", dest="-")),
        ('type=image,"name=a,b",push=true', Output(kind="image", names=("a", "b"), push=True)),
        ("type=registry", Output(kind="image", push=True)),
        ("type=registry,push=false", Output(kind="image")),
        (
            "type=oci,dest=x,compression=zstd,compression-level=7,force-compression=true",
            Output(kind="oci", dest="x", compression="zstd", level=7, force=True),
        ),
    ],
)
def test_outputs(text: str, output: Output) -> None:
    assert parse_output(text) == output
