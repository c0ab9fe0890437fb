"""The keys of the build cache: a digest of all that the result of a step depends on.

Two steps with one key give the same files. What a command is lent and is not to depend on - memory and
processors, proxies, secrets - is no part of it, nor is what the network or `--volume` has.
"""

from __future__ import annotations

from hashlib import sha256

from daemonless import jsonio
from daemonless.build.owners import has_names
from daemonless.dockerfile.steps import CopyWork, RunWork

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from daemonless.build.request import Times
    from daemonless.build.runjob import RunSettings
    from daemonless.dockerfile.steps import Step
    from daemonless.images.buildcache import StepLayer

_VERSION = 1
# What of the options a command sees, besides the network, the mounts and devices, and its confinement.
_SEEN = (
    *("hostname", "add_host", "no_hosts", "dns", "dns_search", "dns_option"),
    *("cap_add", "cap_drop", "ulimits", "host_ulimits", "shm_size"),
)


class Keys:
    """The keys of one build."""

    def __init__(
        self, platform: str, times: Times | None, settings: RunSettings, *, has_single_id: bool
    ) -> None:
        """With `has_single_id` files can have one owner only, whatever a step says."""
        self._platform = platform
        # owners and times of files in new layers
        self._form = [has_single_id, [times.epoch, times.all] if times else None]
        request = settings.request
        parts = (request.security, *request.mounts, *request.devices)
        self._settings = jsonio.dumps(
            [
                request.network.mode,
                [getattr(request, name) for name in _SEEN],
                [part.as_dict() for part in parts],
            ]
        )

    def of_step(self, step: Step, layers: Sequence[StepLayer], content: str = "", *, chain: str = "") -> str:
        """Return the key of a step on these layers, `content` standing for the files it takes.

        COPY --link depends on no layer, unless one of them says whose a name is; a step that makes none
        depends on those before it, too, for which `chain` stands.
        """
        work = step.work
        is_apart = isinstance(work, CopyWork) and work.link and not has_names(work.chown)
        return _digest(
            self._platform,
            [] if is_apart else _diff_ids(layers),
            step.key or step.created_by,
            content,
            self._settings if isinstance(work, RunWork) else "",
            self._form if work is not None else None,
            chain,
        )

    def of_squash(self, below: Sequence[StepLayer], layers: Sequence[StepLayer]) -> str:
        """Return the key of several layers as one, on those below."""
        return _digest("squash", _diff_ids(below), _diff_ids(layers), self._form)


def _diff_ids(layers: Sequence[StepLayer]) -> list[str]:
    return [layer.diff_id for layer in layers]


def _digest(*parts: Any) -> str:
    return sha256(jsonio.dumps([_VERSION, *parts]).encode("utf-8", "surrogateescape")).hexdigest()
