"""login: check credentials with a registry, and keep them."""

from __future__ import annotations

import os
import resource
import sys
from getpass import getpass

from daemonless import syscalls as sc
from daemonless.errors import DaemonlessError, UsageError, printable
from daemonless.oci.reference import Reference
from daemonless.registry.client import open_registry
from daemonless.registry.credentials import Credential, find_credential
from daemonless.registry.errors import Unauthorized
from daemonless.registry.logins import parse_key, store_login
from daemonless.registry.registries import load_registries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args

MAX_SECRET = 16 << 10  # bytes; tokens of the large clouds have up to 4 KiB


def main(args: Args) -> int:
    """Log in; nothing is kept of what the registry refuses."""
    if args.authfile and args.compat_auth_file:
        raise UsageError("--authfile and --compat-auth-file exclude each other")
    domain, path = parse_key(args.registry)
    if args.get_login:
        print(_stored_name(args, domain, path))
        return 0
    _keep_memory_private()
    given = args.username is not None or args.password is not None or args.password_stdin
    if not given and _is_logged_in(args, domain, path):
        print(f"Existing credentials are valid. Already logged in to {_shown(domain, path)}")
        return 0
    credential = _ask_for(args, _stored(args, domain, path))
    realm = _checked(args, domain, credential)
    if not realm:
        args.warn(f"registry {domain} did not ask for the credentials, so nobody has checked them")
    credential = credential.replace(realm=realm)
    place = store_login(
        domain, path, credential, authfile=args.authfile or "", compat_authfile=args.compat_auth_file or ""
    )
    if args.verbose:
        print(f"Used: {printable(place)}")
        print(f"Checked by: {realm or 'nobody'}")
    print("Login Succeeded!")
    sys.stdout.flush()
    print(f"The credentials are in {printable(place)}", file=sys.stderr)
    _warn_if_hidden(args, domain, path, credential)
    return 0


def _keep_memory_private() -> None:
    """Let no core file and no other process of the user show the secret."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sc.prctl(sc.PR_SET_DUMPABLE, 0)


def _shown(domain: str, path: str) -> str:
    return f"{domain}/{path}" if path else domain


def _stored(args: Args, domain: str, path: str) -> Credential | None:
    """Return what is stored already; a file that is about to be made is not there yet."""
    file = args.compat_auth_file or args.authfile or os.environ.get("REGISTRY_AUTH_FILE", "")
    if file and not os.path.exists(file):
        return None
    return find_credential(domain, path, authfile=file)


def _stored_name(args: Args, domain: str, path: str) -> str:
    credential = _stored(args, domain, path)
    if credential is None:
        shown = _shown(domain, path)
        raise DaemonlessError(f"not logged in to {shown}", f"log in with: daemonless login {shown}")
    return printable(credential.username or "<token>")


def _is_logged_in(args: Args, domain: str, path: str) -> bool:
    """Try what is stored; say so, because a person waits for that."""
    credential = _stored(args, domain, path)
    if credential is None:
        return False
    print(f"Authenticating with existing credentials for {_shown(domain, path)}", file=sys.stderr)
    try:
        return bool(_checked(args, domain, credential))
    except Unauthorized:
        print("Existing credentials are invalid, please enter a name and a password", file=sys.stderr)
        return False


def _ask_for(args: Args, stored: Credential | None) -> Credential:
    """Return the credential of the options and of what a person types."""
    if args.password is not None and args.password_stdin:
        raise UsageError("--password and --password-stdin exclude each other")
    if args.password is not None:
        args.warn("every user of this machine can see what follows --password; use --password-stdin")
    if args.password_stdin and args.username is None:
        raise UsageError("--password-stdin needs a user name", "give it with --username USER")
    complete = args.username is not None and (args.password is not None or args.password_stdin)
    if not complete and not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to ask for a name and a password on",
            "give them with --username USER --password-stdin",
        )
    try:
        username = args.username if args.username is not None else _ask_name(stored)
        if not username or ":" in username or not username.isprintable():
            raise UsageError("a user name is needed, without a colon")
        secret = _secret(args)
    except KeyboardInterrupt:
        os.write(2, b"\n")  # the question stands there without its end
        raise
    if not secret:
        raise UsageError("the password is empty")
    if len(secret) > MAX_SECRET:
        raise UsageError(f"the password is longer than {MAX_SECRET} characters")
    return Credential(username=username, secret=secret, source="login", explicit=True)


def _ask_name(stored: Credential | None) -> str:
    offered = stored.username if stored else ""
    os.write(2, f"Username{f' ({printable(offered)})' if offered else ''}: ".encode())
    return sys.stdin.readline().strip() or offered


def _secret(args: Args) -> str:
    if args.password_stdin:
        try:
            data = sys.stdin.buffer.read(MAX_SECRET + 3).decode("utf-8")
        except UnicodeDecodeError:
            raise UsageError("the password is not text in UTF-8") from None
        return data.removesuffix("\n").removesuffix("\r")
    return args.password if args.password is not None else getpass("Password: ", stream=sys.stderr)


def _checked(args: Args, domain: str, credential: Credential) -> str:
    """Show the credential to the registry and return who took it; the stored one stays as it was given."""
    place = load_registries().destination(Reference(domain=domain, path=""))
    client = open_registry(
        domain,
        credential=credential,
        tls_verify=False if place.insecure and args.tls_verify is None else args.tls_verify,
        cert_dir=args.cert_dir or "",
        debug=args.debug,
    )
    try:
        return client.check_credential()
    except Unauthorized as error:
        if not credential.explicit:
            raise
        raise Unauthorized(error.message, "nothing was stored") from None
    finally:
        client.close()


def _warn_if_hidden(args: Args, domain: str, path: str, credential: Credential) -> None:
    """Tell if other credentials for the registry come before the new ones."""
    if args.authfile or args.compat_auth_file:
        return
    found = find_credential(domain, path)
    if found and (found.username, found.secret) != (credential.username, credential.secret):
        shown = _shown(domain, path)
        args.warn(f"other credentials for {shown} come first: those of {printable(found.source)}")
