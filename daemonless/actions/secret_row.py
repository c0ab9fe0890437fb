"""The fields of a secret, for `secret ls` and `secret inspect`."""

from __future__ import annotations

import time

from daemonless.actions import columns
from daemonless.actions.values import Struct
from daemonless.containers.instant import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.secretstore import Secret, SecretStore


def listed(secret: Secret) -> Struct:
    """Return the fields of a row of `secret ls`."""
    return Struct(
        ID=secret.id,
        Name=secret.name,
        Driver="file",
        CreatedAt=_ago(secret.created),
        UpdatedAt=_ago(secret.updated),
    )


def _ago(text: str) -> str:
    return columns.ago(time.time() - (rfc3339(text) or 0) / 1e9)


def described(secret: Secret, store: SecretStore) -> Struct:
    """Return what `secret inspect` tells, which is not the value."""
    return Struct(
        ID=secret.id,
        CreatedAt=secret.created,
        UpdatedAt=secret.updated,
        Spec=Struct(
            Name=secret.name,
            Driver=Struct(Name="file", Options={"path": store.directory}),
            Labels=secret.labels,
        ),
    )
