"""A client of the OCI distribution specification: the pull half, end-1 to end-3 and end-8.

    client = open_registry("docker.io", credential=find_credential("docker.io", "library/busybox"))
    fetched = client.fetch_manifest("library/busybox", "latest")
    with client.open_blob("library/busybox", descriptor) as blob:
        while data := blob.read():
            ...

Everything fetched by digest is verified for digest and size while it is read. Prints nothing, asks
nothing, writes nothing to disk; may be used by several threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from types import TracebackType
from urllib.parse import urljoin, urlsplit

from daemonless import jsonio
from daemonless.errors import InvalidData, NotFound, printable
from daemonless.oci.digest import Digest, VerifiedReader, digest_of
from daemonless.oci.image import INDEXES, MANIFESTS, MAX_DOCUMENT, Descriptor, Fetched
from daemonless.registry.auth import Authenticator, auth_flow, is_loopback, refused_login
from daemonless.registry.credentials import Credential
from daemonless.registry.errors import Refused, RegistryError, Unreachable, Untrusted, redact_url
from daemonless.registry.tls import load_trust
from daemonless.registry.transport import HttpTransport, Request, Response, Transport, origin

MAX_ERROR_BYTES = 1 << 20
MAX_TAG_PAGES = 200
MAX_RESUMES = 4
_HOSTS = {"docker.io": "registry-1.docker.io"}  # the name people use: the host that serves it
_ACCEPT = ", ".join((*MANIFESTS, *INDEXES))


def open_registry(
    domain: str,
    *,
    credential: Credential | None = None,
    tls_verify: bool | None = None,
    cert_dir: str = "",
    debug: Callable[[str], None] | None = None,
) -> RegistryClient:
    """Return a client for the registry called `domain` in image names.

    Plain http is tried after https only if the registry is on this machine, or with
    `tls_verify` False, which also takes any certificate. `cert_dir` is a directory of certificates
    like those of containers-certs.d(5), instead of them. Raises UsageError for unusable
    certificates; nothing is sent yet.
    """
    host = _HOSTS.get(domain, domain)
    trust = load_trust(host, tls_verify=tls_verify is not False, cert_dir=cert_dir)
    plain = tls_verify is False or (tls_verify is None and is_loopback(urlsplit(f"//{host}").hostname or ""))
    transport = HttpTransport(trust, debug=debug)
    authenticator = Authenticator(domain, credential)
    if not plain:
        return RegistryClient(domain, transport, authenticator)
    # finding out whether there is TLS takes no trust, and loading the system's takes 50 ms
    prober = HttpTransport(load_trust(host, tls_verify=False, cert_dir=cert_dir), debug=debug)
    return RegistryClient(domain, transport, authenticator, schemes=("https", "http"), prober=prober)


class RegistryClient:
    """The verbs of one registry.

    `schemes` are tried in order until one gets an answer; `prober` is used for that if given, and
    for nothing else.
    """

    def __init__(
        self,
        domain: str,
        transport: Transport,
        authenticator: Authenticator,
        *,
        schemes: tuple[str, ...] = ("https",),
        prober: Transport | None = None,
    ) -> None:
        self.domain = domain
        self.host = _HOSTS.get(domain, domain)
        self._transport = transport
        self._authenticator = authenticator
        self._schemes = schemes
        self._prober = prober or transport
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()
        self._prober.close()

    def check_credential(self) -> str:
        """Show the credential to the registry (end-1) and return the origin that took it.

        The origin is the registry's own or that of its token server, empty if nobody asked for it.
        Raises Unauthorized if it was refused, otherwise as `fetch_manifest` does.
        """
        url = f"{self._scheme()}://{self.host}/v2/"
        response = self._exchange(auth_flow(Request(method="GET", url=url), "", self._authenticator))
        if response.status != 200 or response.crossed:
            raise self._error(response, f"registry {self.domain}")
        response.close()
        return self._authenticator.entrusted

    def fetch_manifest(self, path: str, reference: str, *, size: int | None = None) -> Fetched:
        """Fetch a manifest or an index by tag or digest (end-3).

        A digest is checked against the bytes, as is `size` if it is given; for a tag the digest
        the registry states is. Raises NotFound, Unauthorized, Unreachable, RegistryError or
        InvalidData.
        """
        name = f"{self.domain}/{path}{'@' if ':' in reference else ':'}{reference}"
        response = self._get(f"/v2/{path}/manifests/{reference}", path, name, {"Accept": _ACCEPT})
        data = response.read_all(MAX_DOCUMENT, f"the manifest of {name}")
        stated = reference if ":" in reference else response.headers.get("docker-content-digest", "")
        digest = digest_of(data, Digest(stated).algorithm if stated else "sha256")
        if stated and digest != stated:
            raise InvalidData(
                f"the manifest of {name} is corrupt: expected {printable(stated)}, got {digest}",
                "the registry, or something on the way to it, changed the content",
            )
        if size is not None and size != len(data):
            raise InvalidData(f"the manifest of {name} has {len(data)} bytes instead of {size}")
        return Fetched(data=data, content_type=response.headers.get("content-type", ""), digest=digest)

    def open_blob(self, path: str, descriptor: Descriptor) -> Blob:
        """Open a blob of a repository for reading (end-2); errors as for `fetch_manifest`.

        `descriptor.size` bounds what is read. A connection that breaks is resumed, so the reader
        sees one stream.
        """
        what = f"blob of {self.domain}/{path}"

        def open_at(offset: int) -> Response:
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            url = f"/v2/{path}/blobs/{descriptor.digest}"
            return self._get(url, path, f"{what} {descriptor.digest}", headers)

        return Blob(open_at, descriptor, what)

    def tags(self, path: str) -> list[str]:
        """Return all tags of a repository in the registry's order (end-8)."""
        name = f"{self.domain}/{path}"
        tags: list[str] = []
        target = f"/v2/{path}/tags/list"
        for _ in range(MAX_TAG_PAGES):
            response = self._get(target, path, name, {})
            answer = jsonio.loads(
                response.read_all(MAX_DOCUMENT, "the list of tags"), what="the list of tags"
            )
            page = answer.get("tags") or [] if isinstance(answer, dict) else None
            if not isinstance(page, list) or not all(isinstance(tag, str) for tag in page):
                raise InvalidData(f"the list of tags of {name} is malformed")
            tags += page
            target = self._next_page(response)
            if not target:
                return tags
        raise InvalidData(f"{name} has more than {MAX_TAG_PAGES} pages of tags")

    def _next_page(self, response: Response) -> str:
        """Return the path of the Link header's next page (RFC 8288), or an empty string."""
        link, _, rest = response.headers.get("link", "").partition(">")
        if not link.lstrip().startswith("<") or "next" not in rest:
            return ""
        url = urljoin(response.url, link.lstrip()[1:])
        if origin(url) != origin(response.url):
            raise Refused(f"registry {self.domain} continues its list of tags at {redact_url(url)}")
        parts = urlsplit(url)
        return f"{parts.path}?{parts.query}"

    def _get(self, target: str, path: str, name: str, headers: dict[str, str]) -> Response:
        """GET a path of the registry; `name` is what a 404 says does not exist."""
        url = f"{self._scheme()}://{self.host}{target}"
        flow = auth_flow(
            Request(method="GET", url=url, headers=headers), f"repository:{path}:pull", self._authenticator
        )
        response = self._exchange(flow)
        if response.status in (200, 206):
            return response
        raise self._error(response, name)

    def _exchange(self, flow: Generator[Request, Response, Response]) -> Response:
        request = next(flow)
        while True:
            try:
                request = flow.send(self._transport.send(request))
            except StopIteration as stop:
                result: Response = stop.value
                return result

    def _scheme(self) -> str:
        """Return the scheme that works; asked once, and only where there is a choice."""
        with self._lock:
            if len(self._schemes) > 1:
                self._schemes = (self._find_scheme(),)
            self._authenticator.insecure = self._schemes == ("http",)
            return self._schemes[0]

    def _find_scheme(self) -> str:
        failures: list[Unreachable] = []
        for scheme in self._schemes:
            try:
                request = Request(method="GET", url=f"{scheme}://{self.host}/v2/", redirects=False)
                self._prober.send(request).close()
            except Untrusted:
                raise
            except Unreachable as error:
                failures.append(error)
            else:
                return scheme
        raise failures[0]

    def _error(self, response: Response, name: str) -> Exception:
        status, detail = response.status, _detail(response)
        if status == 404:
            return NotFound(
                f"{name} does not exist in the registry" + (f": {detail}" if detail else ""),
                "check the spelling of the name and the tag",
            )
        if response.crossed:
            return RegistryError(
                f"{name}: {redact_url(response.url)}, where the registry keeps it, answered {status}"
            )
        if status in (401, 403):
            return refused_login(self._authenticator, detail)
        if status == 429:
            return RegistryError(
                f"registry {self.domain} answers no more requests for now: {detail or 'too many'}",
                "wait, or give credentials: anonymous pulls are limited",
            )
        return RegistryError(f"registry {self.domain} answered {status} for {name}: {detail or 'no reason'}")


def _detail(response: Response) -> str:
    """Return the message of the distribution spec's error body, fit for a terminal."""
    try:
        errors = jsonio.loads(response.read_all(MAX_ERROR_BYTES, "error"), limit=MAX_ERROR_BYTES)["errors"]
        return printable(str(errors[0].get("message") or errors[0].get("code") or ""))
    except (InvalidData, Unreachable, LookupError, TypeError, AttributeError):
        return ""


class Blob:
    """A blob being read: verified, bounded, resumed where the connection broke."""

    def __init__(self, open_at: Callable[[int], Response], descriptor: Descriptor, what: str) -> None:
        self._stream = _ResumingStream(open_at, descriptor.size)
        self._reader = VerifiedReader(self._stream, descriptor.digest, descriptor.size, what=what)

    def read(self, size: int = 1 << 20) -> bytes:
        """Return up to `size` bytes; b"" once all have been read and verified."""
        return self._reader.read(size)

    def read_all(self) -> bytes:
        """Return the whole verified content; for blobs of a few MiB."""
        return self._reader.read_all()

    def __enter__(self) -> Blob:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()


class _ResumingStream:
    """Reads on with a Range request (RFC 9110 section 14) after a lost connection."""

    def __init__(self, open_at: Callable[[int], Response], size: int) -> None:
        self._open_at = open_at
        self._size = size
        self._offset = 0
        self._resumes = 0
        self._response: Response | None = open_at(0)

    def read(self, amount: int) -> bytes:
        while True:
            try:
                if self._response is None:
                    self._response = self._resume()
                data = self._response.read(amount)
                if data or self._offset >= self._size:
                    self._offset += len(data)
                    return data
            except Unreachable:
                if self._resumes >= MAX_RESUMES:
                    raise
            # the peer closed early, with or without an error
            self.close()
            if self._resumes >= MAX_RESUMES:
                return b""
            self._resumes += 1

    def _resume(self) -> Response:
        response = self._open_at(self._offset)
        if response.status == 206:
            if not response.headers.get("content-range", "").startswith(f"bytes {self._offset}-"):
                response.close()
                raise InvalidData("the registry resumed a download at another place than asked")
            return response
        skip = self._offset  # it sends the whole blob again; the digest is still of all bytes
        while skip:
            data = response.read(min(skip, 1 << 20))
            if not data:
                break
            skip -= len(data)
        return response

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
