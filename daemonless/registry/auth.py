"""Authentication with a registry: challenges, and the token flow as a generator without I/O.

RFC 9110 section 11.6.1 (challenges), RFC 7617 (Basic) and the distribution project's token
protocol (spec/auth/token.md, oauth.md). `auth_flow` yields requests and is sent responses, so a
test needs no network.

Whom a registry names as its token server decides who receives the password, so `check_realm`
is strict; see its docstring.
"""

from __future__ import annotations

import base64
import ipaddress
import time
from collections.abc import Callable, Generator
from urllib.parse import urlencode, urlsplit, urlunsplit

from daemonless import jsonio
from daemonless.errors import InvalidData, printable
from daemonless.record import Record
from daemonless.registry.errors import Refused, RegistryError, Unauthorized, redact_url
from daemonless.registry.realms import origin_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.registry.credentials import Credential
    from daemonless.registry.transport import Request, Response

MAX_TOKEN_BYTES = 1 << 20
MAX_HEADER = 8192
CLIENT_ID = "daemonless"
_TOKEN_CHARS = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_TOKEN68_CHARS = frozenset("-._~+/=") | frozenset(c for c in _TOKEN_CHARS if c.isalnum())
_EVERYTHING = "*"  # the scope of a password
_DEFAULT_LIFE = 60.0  # seconds; what the token protocol says of an answer without expires_in


class Challenge(Record):
    """One challenge of a WWW-Authenticate header; scheme and parameter names in lower case."""

    scheme: str
    parameters: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        """Return a parameter, or an empty string."""
        return dict(self.parameters).get(name, "")


def parse_challenges(header: str) -> list[Challenge]:
    """Parse a WWW-Authenticate header, several challenges and lists joined by commas included.

    Raises InvalidData for what RFC 9110 does not allow.
    """
    if len(header) > MAX_HEADER:
        raise InvalidData("the registry's WWW-Authenticate header is too long")
    return _ChallengeParser(header).parse()


class _ChallengeParser:
    """A cursor over the header; challenges and their parameters share the comma as separator."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def parse(self) -> list[Challenge]:
        challenges: list[Challenge] = []
        self._skip(" \t,")
        while self.at < len(self.text):
            scheme = self._token()
            parameters: list[tuple[str, str]] = []
            while self._skip(" \t,") and (parameter := self._parameter()) is not None:
                parameters.append(parameter)
            if len({name for name, _ in parameters}) != len(parameters):
                raise InvalidData("the registry's WWW-Authenticate header repeats a parameter")
            if self.at < len(self.text) and self.text[self.at - 1] not in " \t,":
                raise self._malformed()
            challenges.append(Challenge(scheme=scheme.lower(), parameters=tuple(parameters)))
        return challenges

    def _parameter(self) -> tuple[str, str] | None:
        """Read `name = value`, or leave the cursor where it was: then a scheme may follow."""
        start = self.at
        if self.at >= len(self.text) or self.text[self.at] not in _TOKEN_CHARS:
            return None
        name = self._token()
        self._skip(" \t")
        if self._peek() != "=":
            self.at = start
            return None
        self.at += 1
        self._skip(" \t")
        if self._peek() == '"':
            return name.lower(), self._quoted()
        if self._peek() in ("", "=", ","):  # "Scheme dG9rZW4=": token68, which no scheme here uses
            while self._peek() and self._peek() in _TOKEN68_CHARS:
                self.at += 1
            return "", ""
        return name.lower(), self._token()

    def _token(self) -> str:
        start = self.at
        while self._peek() and self._peek() in _TOKEN_CHARS:
            self.at += 1
        if start == self.at:
            raise self._malformed()
        return self.text[start : self.at]

    def _quoted(self) -> str:
        self.at += 1
        value = []
        while (char := self._peek()) != '"':
            if char == "\\":
                self.at += 1
                char = self._peek()
            if not char or (ord(char) < 32 and char != "\t"):
                raise self._malformed()
            value.append(char)
            self.at += 1
        self.at += 1
        return "".join(value)

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _skip(self, chars: str) -> bool:
        start = self.at
        while self._peek() and self._peek() in chars:
            self.at += 1
        return self.at > start

    def _malformed(self) -> InvalidData:
        return InvalidData(f"the registry's WWW-Authenticate header is malformed: {printable(self.text, 80)}")


class Authenticator:
    """What one client knows about authenticating with one registry.

    `credential` may be None (anonymous). `insecure` tells that plain http was chosen for this
    registry. Tokens live in memory only, until shortly before they expire by the monotonic clock.
    `entrusted` is the origin that the credential was given to, empty before that.
    """

    def __init__(
        self,
        host: str,
        credential: Credential | None = None,
        *,
        insecure: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.host = host
        self.credential = credential
        self.insecure = insecure
        self.entrusted = ""
        self._clock = clock
        self._headers: dict[str, tuple[str, float]] = {}  # scope: (Authorization, expiry)

    def header(self, scope: str) -> str:
        """Return an Authorization header that worked for `scope` or more, or an empty string."""
        wanted = _grants(scope)
        for held, (header, expiry) in list(self._headers.items()):
            if (held == _EVERYTHING or wanted <= _grants(held)) and self._clock() < expiry:
                return header
        return ""

    def remember(self, scope: str, header: str, life: float) -> None:
        """Keep a header for `life` seconds."""
        self._headers[scope] = (header, self._clock() + life)

    def forget(self, header: str) -> None:
        """Drop a header, because the registry refused it."""
        for scope, (held, _) in list(self._headers.items()):
            if held == header:
                self._headers.pop(scope, None)


def repository_scope(path: str, actions: str, source: str = "") -> str:
    """Return the scope (token.md) of `actions`, e.g. pull,push, and of a pull from `source` as well."""
    scope = f"repository:{path}:{actions}"
    return f"{scope} repository:{source}:pull" if source and source != path else scope


def _grants(scope: str) -> frozenset[tuple[str, str]]:
    """Return the pairs of resource and action that a scope, or several with spaces, consists of."""
    pairs = (each.rpartition(":") for each in scope.split())
    return frozenset((resource, action) for resource, _, actions in pairs for action in actions.split(","))


def auth_flow(
    request: Request, scope: str, authenticator: Authenticator
) -> Generator[Request, Response, Response]:
    """Yield the requests that get an answer to `request`; return that answer.

    `scope` is what a token is asked for (`repository_scope`), whatever the challenge says: a
    registry cannot make us ask for more. Raises Unauthorized, Refused or InvalidData. An answer
    that came from another origin than the registry's is returned as it is, even a 401.
    """
    known = authenticator.header(scope)
    response = yield request.with_header("Authorization", known) if known else request
    if response.status != 401 or response.crossed:
        return response
    if known:
        authenticator.forget(known)
    header = response.headers.get("www-authenticate", "")
    response.close()
    challenges = {challenge.scheme: challenge for challenge in reversed(parse_challenges(header))}
    if "bearer" in challenges:
        token_request = _token_request(request, challenges["bearer"], scope, authenticator)
        authorization, life = _read_token((yield token_request), authenticator)
    elif "basic" in challenges and authenticator.credential and authenticator.credential.username:
        _entrust(request.url, authenticator)
        authorization, life = authenticator.credential.basic(), float("inf")
        scope = _EVERYTHING
    else:
        raise refused_login(authenticator)
    response = yield request.with_header("Authorization", authorization)
    if response.status == 401 and not response.crossed:
        response.close()
        raise refused_login(authenticator)
    authenticator.remember(scope, authorization, life)
    return response


def refused_login(authenticator: Authenticator, detail: str = "") -> Unauthorized:
    """Return the error for a registry that wants other credentials, or some at all."""
    suffix = f": {detail}" if detail else ""
    if authenticator.credential is None:
        return Unauthorized(
            f"registry {authenticator.host} demands credentials{suffix}",
            "give them with --creds USER:PASSWORD or --authfile FILE; "
            "a name that does not exist may be answered like this too",
        )
    return Unauthorized(
        f"registry {authenticator.host} refused the credentials of "
        f'"{printable(authenticator.credential.username or "token", 60)}"{suffix}',
        f"they came from {authenticator.credential.source}",
    )


def _token_request(
    request: Request, challenge: Challenge, scope: str, authenticator: Authenticator
) -> Request:
    realm = check_realm(challenge.get("realm"), request.url, insecure=authenticator.insecure)
    fields = {"service": challenge.get("service"), "scope": scope}
    credential = authenticator.credential
    plain = request.replace(headers={}, body=b"", redirects=False)
    if credential and credential.identity_token:
        _entrust(realm, authenticator)
        fields |= {
            "grant_type": "refresh_token",
            "refresh_token": credential.identity_token,
            "client_id": CLIENT_ID,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return plain.replace(method="POST", url=realm, headers=headers, body=urlencode(fields).encode())
    parts = urlsplit(realm)
    pairs = [("service", fields["service"]), *(("scope", each) for each in scope.split())]
    query = "&".join(filter(None, (parts.query, urlencode([pair for pair in pairs if pair[1]]))))
    token_request = plain.replace(method="GET", url=urlunsplit(parts._replace(query=query)))
    if credential:
        _entrust(realm, authenticator)
        return token_request.with_header("Authorization", credential.basic())
    return token_request


def check_realm(realm: str, registry_url: str, *, insecure: bool) -> str:
    """Return `realm` if credentials may be sent there; raise Refused otherwise.

    It must be https (http only with a registry that is itself spoken to over http), must hold no
    user information and no fragment, and may be a loopback, private or link-local address only
    if it is the registry's own host: a public registry must not aim us at the internal network.
    """
    own_host = (urlsplit(registry_url).hostname or "").rstrip(".")
    try:
        parts = urlsplit(realm)
        host = (parts.hostname or "").rstrip(".")
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        host = ""
    if not host or not realm.isascii() or not realm.isprintable() or " " in realm:
        raise _bad_realm(registry_url, realm, "it is not an address")
    if parts.scheme not in ("https", "http"):
        raise _bad_realm(registry_url, realm, "it is neither https nor http")
    if parts.scheme == "http" and not insecure:
        raise _bad_realm(registry_url, realm, "it is not encrypted")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise _bad_realm(registry_url, realm, "it holds more than an address")
    if host != own_host and _is_internal(host):
        raise _bad_realm(registry_url, realm, "it lies in the internal network")
    return realm


def _bad_realm(registry_url: str, realm: str, reason: str) -> Refused:
    return Refused(
        f"registry {urlsplit(registry_url).hostname} sends us to {redact_url(realm)} for a token: {reason}",
        "no credentials were sent; the registry is misconfigured or hostile",
    )


def _is_internal(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(host)
    except ValueError:
        # inet_aton also reads 127.1, 0x7f000001 and 2130706433; no name of the DNS ends like that
        last = host.rpartition(".")[2]
        return last.isdigit() or last.startswith("0x")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return not address.is_global


def _entrust(url: str, authenticator: Authenticator) -> None:
    """Make sure that the credential may be sent to `url`; raise Refused otherwise.

    A stored one goes only to the origin it was given to at login, if that is known. Unencrypted it
    goes to this machine, or where it was given unencrypted at login; --creds on the command line
    together with a registry that was made insecure on purpose is as clear a wish.
    """
    credential = authenticator.credential
    assert credential is not None
    target = origin_of(url)
    if not credential.explicit:
        if credential.realm and target != credential.realm:
            raise Refused(
                f"registry {authenticator.host} wants the credentials of {credential.source} at "
                f"{redact_url(target)}, but they were given to {redact_url(credential.realm)} at login",
                f"they were not sent; if this change is right: daemonless login {authenticator.host}",
            )
        local = is_loopback(urlsplit(url).hostname or "")
        if not credential.realm and target.startswith("http:") and not local:
            raise Refused(
                f"{redact_url(url)} is not encrypted: the credentials of {credential.source} were not sent",
                "give them with --creds to send them anyway",
            )
    authenticator.entrusted = target


def is_loopback(host: str) -> bool:
    """Return whether a host, without its port, is this machine by name or number."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _read_token(response: Response, authenticator: Authenticator) -> tuple[str, float]:
    """Return the Authorization header a token server's answer amounts to, and its life in seconds."""
    data = response.read_all(MAX_TOKEN_BYTES, "the token server's answer")
    if response.status in (400, 401, 403):
        raise refused_login(authenticator)
    if response.status != 200:
        raise RegistryError(f"{redact_url(response.url)} answered {response.status} instead of a token")
    answer = jsonio.loads(data, what="the token server's answer", limit=MAX_TOKEN_BYTES)
    token = answer.get("token") or answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise InvalidData(f"{redact_url(response.url)} answered without a usable token")
    expires = answer.get("expires_in")
    life = float(expires) if type(expires) in (int, float) and 0 < expires < 1e9 else _DEFAULT_LIFE
    return f"Bearer {token}", max(life - 5.0, life / 2)


def basic_header(username: str, secret: str) -> str:
    """Return the Authorization header of RFC 7617."""
    return "Basic " + base64.b64encode(f"{username}:{secret}".encode()).decode("ascii")
