"""Loopback servers for what a build fetches: files, and repositories in both of git's ways."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

_BACKEND = "/usr/lib/git-core/git-http-backend"
_GIT = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_AUTHOR_DATE": "1600000000 +0000",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b",
    "GIT_COMMITTER_DATE": "1600000000 +0000",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ALLOW_PROTOCOL": "file:http",
}


def git(directory: Path, *words: str) -> str:
    """Run git in a directory."""
    environment = {**os.environ, **_GIT}
    done = subprocess.run(
        ["git", "-c", "init.defaultBranch=main", "-C", directory, *words],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the files of a directory, and below /smart/ its repositories by git-http-backend."""

    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        if self.path.startswith("/smart/"):
            self._run_backend(b"")
        elif self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/file")
            self.end_headers()
        elif self.path == "/refused":
            self.send_response(403)
            self.end_headers()
        else:
            super().do_GET()

    def do_POST(self) -> None:
        self._run_backend(self.rfile.read(int(self.headers["Content-Length"])))

    def _run_backend(self, body: bytes) -> None:
        path, _, query = self.path.removeprefix("/smart").partition("?")
        if path.startswith("/private/"):
            path = path.removeprefix("/private")
            if self.headers.get("Authorization") != "Basic bmFtZTpzZXNhbWU=":  # name:sesame
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="private"')
                self.end_headers()
                return
        done = subprocess.run(
            [_BACKEND],
            input=body,
            env={
                **os.environ,
                **_GIT,
                "GIT_PROJECT_ROOT": self.directory,
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            },
            capture_output=True,
            check=True,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def serve(directory: Path):
    """Serve a directory from another process; yields the address, without a slash at its end."""
    with subprocess.Popen([sys.executable, __file__, directory], stdout=subprocess.PIPE, text=True) as server:
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


if __name__ == "__main__":
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *args: _Handler(*args, directory=sys.argv[1])
    ) as running:
        print(running.server_port, flush=True)
        running.serve_forever()
