"""Where a person's configuration lies (XDG Base Directory Specification)."""

from __future__ import annotations

from collections.abc import Mapping


def config_home(env: Mapping[str, str]) -> str:
    """Return the directory that the containers tools have theirs in, `containers`, and we ours."""
    return env.get("XDG_CONFIG_HOME") or f"{env.get('HOME', '/nonexistent')}/.config"
