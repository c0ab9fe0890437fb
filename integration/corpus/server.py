"""A web server on loopback: files, files for those who have a token, and a git repository."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from corpus.adding import SERVED
from corpus.case import STARTER, archive, file, folder, write_files

TOKEN = "let-me-in"
CONTEXT = {
    "Dockerfile": file(f"FROM {STARTER}\nCOPY f /f\nCOPY d/g /g\n"),
    "f": file("served\n"),
    "d": folder(0o700),
    "d/g": file("g", 0o600),
}
COMMITS = (  # branch, what is in it
    ("main", {"f": "main\n", "sub/run": file("#!/bin/sh\n", 0o755)}),
    ("side", {"g": "side\n"}),
    (
        "with-dockerfile",
        {
            "Dockerfile": f"FROM {STARTER}\nCOPY f /a\n",
            "f": "main\n",
            "nested/Dockerfile": f"FROM {STARTER}\nCOPY n /n\n",
            "nested/n": "nested\n",
        },
    ),
)


def make_repository(directory: Path) -> str:
    """Make the bare repository repo.git, its tag v1, and return the commit of its main branch."""
    env = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{
            f"GIT_{who}_{what}": "x@example.com"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
        **{f"GIT_{who}_DATE": "1600000000 +0000" for who in ("AUTHOR", "COMMITTER")},
    }
    work = directory / "work"

    def git(*args: str) -> str:
        command = ["git", "-C", str(work), *args]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=env, timeout=30).stdout

    work.mkdir()
    git("init", "-q", "-b", "main")
    for branch, files in COMMITS:
        if branch != "main":
            git("checkout", "-q", "--orphan", branch)
            git("rm", "-rfq", ".")
        write_files(work, files)
        git("add", ".")
        git("commit", "-q", "-m", branch)
    git("tag", "v1", "main")
    git("checkout", "-q", "main")
    bare = str(directory / "repo.git")
    git("clone", "-q", "--bare", ".", bare)
    # a commit that no branch ends in can be asked for as well, as with the large hosts
    subprocess.run(
        ["git", "-C", bare, "config", "uploadpack.allowAnySHA1InWant", "true"], check=True, env=env
    )
    return git("rev-parse", "main").strip()


class Server:
    """Serves until `close`; `address` is where, `commit` the repository's."""

    def __init__(self, directory: Path) -> None:
        self.commit = make_repository(directory)
        files = {**SERVED, "context.tar.gz": archive(CONTEXT, "gz")}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(files, directory))
        self._http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


def _handler(files: Mapping[str, bytes], repositories: Path) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            if path.startswith("git/"):
                self._git()
                return
            if path.startswith("private/"):
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    self.send_error(401)
                    return
                path = path.removeprefix("private/")
            if path not in files:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(files[path])))
            self.send_header("Last-Modified", "Sun, 13 Sep 2020 12:26:40 GMT")
            self.end_headers()
            self.wfile.write(files[path])

        def do_POST(self) -> None:
            self._git()

        def _git(self) -> None:
            """Answer as git-http-backend(1), which is a CGI program, does."""
            path, _, query = self.path.removeprefix("/git").partition("?")
            headers = self.headers
            done = subprocess.run(
                ["git", "http-backend"],
                input=self.rfile.read(int(headers.get("Content-Length") or 0)),
                capture_output=True,
                timeout=30,
                check=True,
                env={
                    "PATH": os.environ["PATH"],
                    "GIT_PROJECT_ROOT": str(repositories),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "REQUEST_METHOD": self.command,
                    "CONTENT_TYPE": headers.get("Content-Type") or "",
                    "HTTP_CONTENT_ENCODING": headers.get("Content-Encoding") or "",
                    "GIT_PROTOCOL": headers.get("Git-Protocol") or "",
                    "REMOTE_ADDR": "127.0.0.1",
                },
            )
            head, _, body = done.stdout.partition(b"\r\n\r\n")
            lines = [line.partition(": ") for line in head.decode().splitlines()]
            status = next((value for name, _, value in lines if name == "Status"), "200")
            self.send_response(int(status.split()[0]))
            for name, _, value in lines:
                if name != "Status":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass  # the report is for what the tests say

    return Handler
