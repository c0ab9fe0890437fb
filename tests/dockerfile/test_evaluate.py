from __future__ import annotations

import pytest

from daemonless.dockerfile.evaluate import DEFAULT_PATH, Scope, evaluate
from daemonless.dockerfile.parse import parse

PATH = f"PATH={DEFAULT_PATH}"


def config_of(*lines: str, base: dict | None = None, **build_args: str) -> dict:
    return stages("FROM base", *lines, base=base, **build_args)[-1].config


def stages(*lines: str, base: dict | None = None, **build_args: str) -> list:
    dockerfile = parse("\n".join(lines).encode(), "Dockerfile")
    scope = Scope(dockerfile, build_args, "linux/arm64/v8", "linux/amd64")
    found: dict = {}
    for stage, (name, _platform) in zip(dockerfile.stages, scope.bases(), strict=True):
        inherited = found.get(name)
        config = inherited.config if inherited else {"Env": [PATH], **(base or {})}
        found[stage.name or str(stage.index)] = evaluate(stage, config, scope, inherited=inherited)
    return list(found.values())


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["CMD a b"], {"Cmd": ["/bin/sh", "-c", "a b"]}),
        (['SHELL ["/bin/bash", "-c"]', "CMD a b"], {"Cmd": ["/bin/bash", "-c", "a b"]}),
        (['ENTRYPOINT ["x"]'], {"Entrypoint": ["x"], "Cmd": None}),
        (["CMD a", 'ENTRYPOINT ["x"]'], {"Entrypoint": ["x"], "Cmd": ["/bin/sh", "-c", "a"]}),
    ],
)  # fmt: skip
def test_config(lines, expected):
    found = config_of(*lines, base={"Cmd": ["inherited"]})
    assert {key: found.get(key) for key in expected} == expected
