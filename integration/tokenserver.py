"""A token server for docker-registry: distribution's spec/auth/token.md and oauth.md, for one user."""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

USER, PASSWORD, REFRESH = "bearer", "canary-bearer-1b7e", "canary-refresh-77aa"
SERVICE = "loopback"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class TokenServer:
    """Plain http on loopback; `seen` has the Authorization header or the body of each request."""

    def __init__(self, directory: Path) -> None:
        self.seen: list[str] = []
        self.certificate = directory / "token.pem"
        self._key = directory / "token-key.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", "/CN=token", "-keyout", str(self._key), "-out", str(self.certificate)),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                header = self.headers.get("Authorization", "")
                server.seen.append(header)
                expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
                self._answer(header == expected, query)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                server.seen.append(body)
                fields = parse_qs(body)
                self._answer(fields.get("refresh_token") == [REFRESH], fields)

            def _answer(self, allowed: bool, fields: dict[str, list[str]]) -> None:
                document = {"token": server.token(fields.get("scope", []))} if allowed else {"errors": []}
                data = json.dumps(document).encode()
                self.send_response(200 if allowed else 401)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.realm = f"http://127.0.0.1:{self._server.server_port}/token"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def token(self, scopes: list[str]) -> str:
        """Return a JSON Web Token (RFC 7519, RS256) for what is asked for."""
        certificate = "".join(self.certificate.read_text().splitlines()[1:-1])
        now = int(time.time())
        access = []
        for scope in " ".join(scopes).split():
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        claims = {
            "iss": "test",
            "sub": USER,
            "aud": SERVICE,
            "jti": f"{now}",
            "iat": now - 9,
            "nbf": now - 9,
            "exp": now + 300,
            "access": access,
        }
        header = {"typ": "JWT", "alg": "RS256", "x5c": [certificate]}
        signed = ".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
        with tempfile.NamedTemporaryFile() as text:
            text.write(signed.encode())
            text.flush()
            done = subprocess.run(
                ["openssl", "dgst", "-sha256", "-sign", str(self._key), text.name],
                check=True,
                capture_output=True,
                timeout=20,
            )
        return f"{signed}.{_base64(done.stdout)}"

    def registry_settings(self) -> str:
        """Return what docker-registry's configuration says about us."""
        return (
            f"auth: {{token: {{realm: '{self.realm}', service: {SERVICE}, issuer: test, "
            f"rootcertbundle: '{self.certificate}'}}}}\n"
        )

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
