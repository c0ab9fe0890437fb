"""A client of the OCI distribution specification 1.1, all of its verbs (end-1 to end-13).

    client = open_registry("docker.io", credential=find_credential("docker.io", "library/busybox"))
    fetched = client.fetch_manifest("library/busybox", "latest")
    with client.open_blob("library/busybox", descriptor) as blob:
        while data := blob.read():
            ...

Everything fetched by digest is verified for digest and size while it is read. Prints nothing, asks
nothing, writes nothing to disk; may be used by several threads. Methods raise NotFound,
Unauthorized, Unreachable, Refused, RegistryError or InvalidData.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from urllib.parse import urlencode, urljoin, urlsplit

from daemonless import jsonio
from daemonless.errors import InvalidData, NotFound, Unsupported, printable
from daemonless.oci.digest import Digest, digest_of
from daemonless.oci.image import (
    INDEXES,
    MANIFESTS,
    MAX_DOCUMENT,
    OCI_INDEX,
    Descriptor,
    Fetched,
    Index,
    parse_document,
)
from daemonless.registry.auth import Authenticator, auth_flow, is_loopback, refused_login, repository_scope
from daemonless.registry.blob import Blob
from daemonless.registry.credentials import Credential
from daemonless.registry.errors import (
    Refused,
    RegistryError,
    Unauthorized,
    Unreachable,
    Untrusted,
    redact_url,
)
from daemonless.registry.retry import Attempts, Retry
from daemonless.registry.tls import load_trust
from daemonless.registry.transport import (
    Content,
    HttpTransport,
    Reader,
    Request,
    Response,
    Transport,
    origin,
)
from daemonless.registry.upload import Upload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from daemonless.oci.digest import Readable

MAX_ERROR_BYTES = 1 << 20
MAX_PAGES = 200  # of a list
_HOSTS = {"docker.io": "registry-1.docker.io"}  # the name people use: the host that serves it
_ACCEPT = ", ".join((*MANIFESTS, *INDEXES))


def open_registry(
    domain: str,
    *,
    credential: Credential | None = None,
    tls_verify: bool | None = None,
    cert_dir: str = "",
    retry: Retry | None = None,
    debug: Callable[[str], None] | None = None,
) -> RegistryClient:
    """Return a client for the registry called `domain` in image names.

    Plain http is tried after https only if the registry is on this machine, or with
    `tls_verify` False, which also takes any certificate; on a port of this machine before it, as few of
    these have TLS, and nobody listens. `cert_dir` is a directory of certificates
    like those of containers-certs.d(5), instead of them. `retry` says how often failures are
    forgiven, three times if not given. Raises UsageError for a `cert_dir` that is none; nothing is
    sent yet.
    """
    host = _HOSTS.get(domain, domain)
    place = urlsplit(f"//{host}")
    is_here = is_loopback(place.hostname or "")
    trust = load_trust(host, tls_verify=tls_verify is not False, cert_dir=cert_dir)
    forgiving = retry or Retry()

    def attempts() -> Attempts:
        return Attempts(forgiving)

    transport = HttpTransport(trust, debug=debug, attempts=attempts)
    authenticator = Authenticator(domain, credential)
    if tls_verify or (tls_verify is None and not is_here):
        return RegistryClient(domain, transport, authenticator, attempts=attempts)
    schemes = ("http", "https") if is_here and place.port else ("https", "http")
    prober = None
    if tls_verify is not False:
        # finding out whether there is TLS takes no trust, and loading the system's takes 50 ms
        unchecked = load_trust(host, tls_verify=False, cert_dir=cert_dir)
        prober = HttpTransport(unchecked, debug=debug, attempts=attempts)
    return RegistryClient(domain, transport, authenticator, schemes=schemes, prober=prober, attempts=attempts)


def _ignore(count: int) -> None:
    """Be told of no progress."""


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
        attempts: Callable[[], Attempts] = lambda: Attempts(Retry()),
    ) -> None:
        self.domain = domain
        self.host = _HOSTS.get(domain, domain)
        self._transport = transport
        self._authenticator = authenticator
        self._schemes = schemes
        self._prober = prober or transport
        self._attempts = attempts
        self._lock = threading.Lock()
        self._opened: dict[tuple[str, str], str] = {}  # (path, digest): upload that a mount opened

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()
        self._prober.close()

    def check_credential(self) -> str:
        """Show the credential to the registry (end-1) and return the origin that took it.

        The origin is the registry's own or that of its token server, empty if nobody asked for it.
        Raises Unauthorized if it was refused, otherwise as `fetch_manifest` does.
        """
        response = self._ask("GET", "/v2/", "")
        if response.status != 200 or response.crossed:
            raise self._error(response, f"registry {self.domain}")
        response.close()
        return self._authenticator.entrusted

    def fetch_manifest(self, path: str, reference: str, *, size: int | None = None) -> Fetched:
        """Fetch a manifest or an index by tag or digest (end-3).

        A digest is checked against the bytes, as is `size` if it is given; for a tag the digest
        the registry states is.
        """
        name = self._name(path, reference)
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

    def open_blob(self, path: str, descriptor: Descriptor, *, held: Readable | None = None) -> Blob:
        """Open a blob of a repository for reading (end-2).

        `descriptor.size` bounds what is read. A connection that breaks is resumed, so the reader
        sees one stream. `held` is a stream of what the caller has of its beginning: that is only
        hashed, and what is read are the bytes after it. InvalidData at the end may then mean that
        those held were wrong.
        """
        what = f"blob of {self.domain}/{path}"

        def open_at(offset: int) -> Response:
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            url = f"/v2/{path}/blobs/{descriptor.digest}"
            return self._get(url, path, f"{what} {descriptor.digest}", headers)

        return Blob(open_at, descriptor, what, attempts=self._attempts(), held=held)

    def head_manifest(self, path: str, reference: str) -> tuple[Digest, int, str] | None:
        """Return digest, size and media type of a manifest or an index, None if it is not there (end-3).

        All are what the registry says; a registry that does not say them is asked for the content.
        """
        name = self._name(path, reference)
        url = f"/v2/{path}/manifests/{reference}"
        response = self._ask("HEAD", url, repository_scope(path, "pull"), {"Accept": _ACCEPT})
        response.close()
        if response.status == 404:
            return None
        if response.status != 200:
            raise self._error(response, name)
        stated = response.headers.get("docker-content-digest", "")
        size = response.headers.get("content-length", "")
        if not stated or not size.isascii() or not size.isdigit():
            fetched = self.fetch_manifest(path, reference)
            return fetched.digest, len(fetched.data), fetched.content_type
        digest = Digest(stated)
        if ":" in reference and digest != reference:
            raise InvalidData(f"registry {self.domain} answers for {name} with {digest}")
        return digest, int(size[:18]), response.headers.get("content-type", "")

    def tags(self, path: str) -> list[str]:
        """Return all tags of a repository in the registry's order (end-8)."""
        return self._list(
            f"/v2/{path}/tags/list", "tags", f"{self.domain}/{path}", repository_scope(path, "pull")
        )

    def catalog(self) -> list[str]:
        """Return the paths of all repositories, where the registry tells (not in the OCI specification)."""
        return self._list("/v2/_catalog", "repositories", "the catalog", "registry:catalog:*")

    def search(self, term: str, limit: int) -> list[Any] | None:
        """Return what docker's search (its first API, no standard) finds, as it came; None where it is not.

        Each entry should be an object with `name`, `description`, `star_count`, `is_official` and
        `is_automated`.
        """
        query = urlencode({"q": term, "n": limit})
        response = self._ask("GET", f"/v1/search?{query}", "")
        if response.status in (404, 405):
            response.close()
            return None
        what = f"the result of a search in {self.domain}"
        if response.status != 200:
            raise self._error(response, what)
        answer = jsonio.loads(response.read_all(MAX_DOCUMENT, what), what=what)
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, list):
            raise InvalidData(f"{what} is malformed")
        return results

    def referrers(self, path: str, digest: str, artifact_type: str = "") -> Index:
        """Return what says that it is about the manifest `digest`: signatures, lists of components (end-12).

        A registry without that endpoint may keep such a list under a tag (the specification's
        "Referrers Tag Schema"); there it is looked for. No list is an empty one.
        """
        checked = Digest(digest)
        query = "?" + urlencode({"artifactType": artifact_type}) if artifact_type else ""
        target = f"/v2/{path}/referrers/{checked}{query}"
        what = f"the list of referrers of {self._name(path, digest)}"
        found: list[Descriptor] = []
        for _ in range(MAX_PAGES):
            response = self._ask("GET", target, repository_scope(path, "pull"), {"Accept": OCI_INDEX})
            if response.status == 404 and not found:
                response.close()
                found += self._tagged_referrers(path, checked)
                break
            if response.status != 200:
                raise self._error(response, what)
            found += _parse_index(response.read_all(MAX_DOCUMENT, what), what)
            target = self._next_page(response)
            if not target:
                break
        else:
            raise InvalidData(f"{what} has more than {MAX_PAGES} pages")
        # whether the registry has filtered is told by OCI-Filters-Applied; filtering again does no harm
        kept = (each for each in found if not artifact_type or each.artifact_type == artifact_type)
        return Index(media_type=OCI_INDEX, manifests=tuple(kept))

    def _tagged_referrers(self, path: str, digest: Digest) -> tuple[Descriptor, ...]:
        tag = f"{digest.algorithm}-{digest.hex}"[:128]
        try:
            data = self.fetch_manifest(path, tag).data
        except NotFound:
            return ()
        return _parse_index(data, f"the list of referrers of {self._name(path, digest)}")

    # --- push ---------------------------------------------------------------------------------

    def has_blob(self, path: str, descriptor: Descriptor) -> bool:
        """Return whether the repository has a blob, with the size that is expected (end-2).

        Asks for the right to push at once, as that is what comes next.
        """
        url = f"/v2/{path}/blobs/{descriptor.digest}"
        response = self._ask("HEAD", url, repository_scope(path, "pull,push"))
        response.close()
        if response.status == 404 or response.crossed:
            # storage elsewhere may refuse a HEAD: if it does, the blob is pushed once more
            return response.status == 200
        if response.status != 200:
            raise self._error(response, f"blob {descriptor.digest} of {self.domain}/{path}")
        return response.headers.get("content-length", str(descriptor.size)) == str(descriptor.size)

    def mount_blob(self, path: str, descriptor: Descriptor, source_path: str) -> bool:
        """Have the registry take a blob from another of its repositories; return whether it did (end-11)."""
        query = urlencode({"mount": descriptor.digest, "from": source_path})
        scope = repository_scope(path, "pull,push", source_path)
        try:
            response = self._ask("POST", f"/v2/{path}/blobs/uploads/?{query}", scope)
        except Unauthorized:  # perhaps only for the source
            return False
        response.close()
        if response.status == 202:  # it began an upload instead, which push_blob goes on with
            self._opened[(path, descriptor.digest)] = response.headers.get("location", "")
        return response.status == 201

    def push_blob(
        self,
        path: str,
        descriptor: Descriptor,
        open_at: Callable[[int], Reader],
        *,
        progress: Callable[[int], None] = _ignore,
    ) -> None:
        """Upload a blob (end-4 to end-6, end-13), streamed and in chunks, going on where it broke off.

        `open_at` opens the content at an offset, and may be called more than once. `progress` is
        told how many bytes more were sent; fewer than none where the registry lost some.
        """
        scope = repository_scope(path, "pull,push")
        what = f"blob {descriptor.digest} of {self.domain}/{path}"
        start = f"{self._scheme()}://{self.host}/v2/{path}/blobs/uploads/"

        def ask(method: str, url: str, headers: dict[str, str], body: bytes | Content) -> Response:
            return self._ask(method, url, scope, headers, body)

        Upload(
            descriptor,
            open_at,
            start=start,
            ask=ask,
            fail=lambda response: self._error(response, what),
            is_there=lambda: self.has_blob(path, descriptor),
            attempts=self._attempts(),
            progress=progress,
        ).run(self._opened.pop((path, descriptor.digest), ""))

    def push_manifest(self, path: str, reference: str, data: bytes, media_type: str) -> Digest:
        """Upload a manifest or an index under a tag or its digest; return the digest (end-7)."""
        name = self._name(path, reference)
        digest = digest_of(data, Digest(reference).algorithm if ":" in reference else "sha256")
        if ":" in reference and digest != reference:
            raise InvalidData(f"the manifest that is to be {name} has the digest {digest}")
        url = f"/v2/{path}/manifests/{reference}"
        headers = {"Content-Type": media_type}
        response = self._ask("PUT", url, repository_scope(path, "pull,push"), headers, data)
        if response.status not in (201, 200, 202):
            raise self._error(response, name)
        response.close()
        stated = response.headers.get("docker-content-digest", "")
        if stated and Digest(stated).algorithm == digest.algorithm and stated != digest:
            raise InvalidData(f"registry {self.domain} stored {name} as {stated} instead of {digest}")
        return digest

    # --- delete -------------------------------------------------------------------------------

    def delete_manifest(self, path: str, digest: str) -> None:
        """Delete a manifest or an index, and with it all its tags (end-9)."""
        self._delete(path, f"manifests/{Digest(digest)}", self._name(path, digest))

    def delete_tag(self, path: str, tag: str) -> None:
        """Delete a tag alone, where the registry can (end-9)."""
        self._delete(path, f"manifests/{tag}", self._name(path, tag))

    def delete_blob(self, path: str, digest: str) -> None:
        """Delete a blob of a repository (end-10)."""
        self._delete(path, f"blobs/{Digest(digest)}", f"blob {digest} of {self.domain}/{path}")

    def _delete(self, path: str, target: str, name: str) -> None:
        # docker.io knows no action of the name delete
        response = self._ask("DELETE", f"/v2/{path}/{target}", repository_scope(path, "*"))
        if response.status in (400, 405):
            response.close()
            raise Unsupported(f"registry {self.domain} does not let {name} be deleted")
        if response.status not in (202, 200, 204):
            raise self._error(response, name)
        response.close()

    # --- requests -----------------------------------------------------------------------------

    def _name(self, path: str, reference: str) -> str:
        return f"{self.domain}/{path}{'@' if ':' in reference else ':'}{reference}"

    def _list(self, target: str, member: str, what: str, scope: str) -> list[str]:
        """Return the strings of all pages of a list."""
        found: list[str] = []
        for _ in range(MAX_PAGES):
            response = self._ask("GET", target, scope)
            if response.status != 200:
                raise self._error(response, what)
            data = response.read_all(MAX_DOCUMENT, f"the list of {member}")
            answer = jsonio.loads(data, what=f"the list of {member}")
            page = answer.get(member) or [] if isinstance(answer, dict) else None
            if not isinstance(page, list) or not all(isinstance(each, str) for each in page):
                raise InvalidData(f"the list of {member} of {what} is malformed")
            found += page
            target = self._next_page(response)
            if not target:
                return found
        raise InvalidData(f"{what} has more than {MAX_PAGES} pages of {member}")

    def _next_page(self, response: Response) -> str:
        """Return the path of the Link header's next page (RFC 8288), or an empty string."""
        link, _, rest = response.headers.get("link", "").partition(">")
        if not link.lstrip().startswith("<") or "next" not in rest:
            return ""
        url = urljoin(response.url, link.lstrip()[1:])
        if origin(url) != origin(response.url):
            raise Refused(f"registry {self.domain} continues a list at {redact_url(url)}")
        parts = urlsplit(url)
        return f"{parts.path}?{parts.query}"

    def _get(self, target: str, path: str, name: str, headers: dict[str, str]) -> Response:
        """GET a path of a repository; `name` is what a 404 says does not exist."""
        response = self._ask("GET", target, repository_scope(path, "pull"), headers)
        if response.status in (200, 206):
            return response
        raise self._error(response, name)

    def _ask(
        self,
        method: str,
        target: str,
        scope: str,
        headers: dict[str, str] | None = None,
        body: bytes | Content = b"",
    ) -> Response:
        """Send a request for a path of the registry, or for an address of its origin."""
        url = f"{self._scheme()}://{self.host}{target}" if target.startswith("/") else target
        request = Request(method=method, url=url, headers=headers or {}, body=body)
        return self._exchange(auth_flow(request, scope, self._authenticator))

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
        failures: dict[str, Unreachable] = {}
        redirects = False  # as some servers answer to plain http on a port for TLS; others say that it is bad
        for scheme in self._schemes:
            try:
                request = Request(method="GET", url=f"{scheme}://{self.host}/v2/", redirects=False)
                response = self._prober.send(request)
                response.read(MAX_ERROR_BYTES)  # of one that is read to its end the connection is used again
                response.close()
            except Untrusted:
                raise
            except Unreachable as error:
                failures[scheme] = error
            else:
                redirects = 300 <= response.status < 400
                if scheme == "https" or not (redirects or response.status == 400):
                    return scheme
        if redirects:
            return "http"
        raise failures["https"]

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


def _parse_index(data: bytes, what: str) -> tuple[Descriptor, ...]:
    document = parse_document(data, what=what)
    if not isinstance(document, Index):
        raise InvalidData(f"{what} is not an index")
    return document.manifests
