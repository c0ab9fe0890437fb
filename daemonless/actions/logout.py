"""logout: forget the credentials of a registry."""

from __future__ import annotations

from daemonless.errors import DaemonlessError, UsageError
from daemonless.registry.logins import forget_all_logins, forget_login, is_dockers, parse_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Forget the registry's credentials, or all, where `login` keeps them."""
    if args.authfile and args.compat_auth_file:
        raise UsageError("--authfile and --compat-auth-file exclude each other")
    authfile, compat_authfile = args.authfile or "", args.compat_auth_file or ""
    if args.all:
        if args.registry:
            raise UsageError("--all takes no registry")
        forget_all_logins(authfile=authfile, compat_authfile=compat_authfile)
        print("Removed login credentials for all registries")
        return 0
    domain, path = parse_key(args.registry or "docker.io")
    shown = f"{domain}/{path}" if path else domain
    if not forget_login(domain, path, authfile=authfile, compat_authfile=compat_authfile):
        dockers = not (authfile or compat_authfile) and is_dockers(domain, path)
        raise DaemonlessError(
            f"not logged in to {shown}",
            f"docker has credentials for it: docker logout {shown}" if dockers else "",
        )
    print(f"Removed login credentials for {shown}")
    return 0
