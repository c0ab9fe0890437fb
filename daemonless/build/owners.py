"""--chown: whom the copied files belong to, as names or numbers of the root filesystem copied into."""

from __future__ import annotations

from daemonless.isolation.identity import resolve


def has_names(text: str) -> bool:
    """Return whether it depends on the root filesystem whom `user[:group]` means."""
    return any(not (part.isascii() and part.isdigit()) for part in text.split(":") if part)


def resolve_owner(root_fd: int, text: str) -> tuple[int, int]:
    """Return the uid and gid of `user[:group]`, names looked up below `root_fd`.

    A number without a group is the group's number, too; a name brings its primary group. Raises
    what `daemonless.isolation.identity.resolve` raises.
    """
    user, colon, group = text.partition(":")
    if user.isascii() and user.isdigit() and not group:
        return resolve(root_fd, f"{user}:{user}", ()).uid, int(user)
    identity = resolve(root_fd, f"{user}{colon}{group}" if group else user, ())
    return identity.uid, identity.gid
