"""A registry in this process that answers exactly what a test tells it to."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer


class Peer:
    """An HTTP server on a free loopback port, with TLS if given a context; `routes` maps a path to an answer.

    An answer is (status, headers, body) or a function of the handler that returns one or writes
    by itself. `seen` lists (method, path with query, headers) of all requests. What has no route
    goes to `default`, which reads the body itself.
    """

    def __init__(self, context=None):
        self.routes = {}
        self.seen = []
        self.default = None
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # headers and body are two writes: 40 ms each otherwise

            def handle_any(self):
                length = int(self.headers.get("Content-Length") or 0)
                peer.seen.append((self.command, self.path, dict(self.headers)))
                answer = peer.routes.get(self.path.partition("?")[0])
                if answer or not peer.default:
                    self.body = self.rfile.read(length)
                answer = answer or peer.default or (404, {}, b"{}")
                if callable(answer):
                    answer = answer(self)
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, body = answer
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    if value is not None:
                        self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_POST = do_HEAD = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def server_bind(self):  # without the name lookup of HTTPServer
                TCPServer.server_bind(self)
                self.server_name, self.server_port = self.server_address

            def handle_error(self, request, client_address):
                pass  # a client that hangs up is what some tests are about

        self.server = Server(("127.0.0.1", 0), Handler)
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def manifest(self, document, content_type, *, name="app", tag="latest"):
        """Serve a document under a tag and its digest; return the digest."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        digest = digest_of(body)
        answer = (200, {"Content-Type": content_type}, body)
        self.routes[f"/v2/{name}/manifests/{tag}"] = answer
        self.routes[f"/v2/{name}/manifests/{digest}"] = answer
        return digest

    def blob(self, body, *, name="app", digest=None):
        digest = digest or digest_of(body)
        self.routes[f"/v2/{name}/blobs/{digest}"] = (200, {}, body)
        return digest

    def sent(self, path):
        """Return the headers of the requests for a path."""
        return [headers for _, seen, headers in self.seen if seen.partition("?")[0] == path]


def digest_of(body):
    return "sha256:" + hashlib.sha256(body).hexdigest()
