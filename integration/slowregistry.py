"""A registry in this process with one image, whose layer stops in the middle until a test lets it go on."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from layouts import CONFIG, LAYER, MANIFEST, busybox_layer


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class SlowRegistry:
    """`name` is the image, `half` is set when half of its large layer was sent, `go_on` sends the rest."""

    def __init__(self) -> None:
        self.half, self.go_on = threading.Event(), threading.Event()
        small, large = busybox_layer(), busybox_layer({"noise": os.urandom(2_000_000)})
        self.layers = [gzip.compress(layer, 1, mtime=0) for layer in (small, large)]
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": ["true"]},
                "rootfs": {"type": "layers", "diff_ids": [_digest(small), _digest(large)]},
            }
        ).encode()

        def describe(data: bytes, media_type: str) -> dict[str, object]:
            return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}

        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": describe(config, CONFIG),
                "layers": [describe(layer, LAYER) for layer in self.layers],
            }
        ).encode()
        blobs = {_digest(data): data for data in (config, *self.layers)}
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                wanted = self.path.rpartition("/")[2]
                data = manifest if "/manifests/" in self.path else blobs.get(wanted, b"{}")
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                if data is manifest:
                    self.send_header("Content-Type", MANIFEST)
                self.end_headers()
                if data is registry.layers[1]:
                    half = len(data) // 2
                    for start in range(0, half, half // 8):  # a rate takes more than one arrival
                        self.wfile.write(data[start : min(start + half // 8, half)])
                        time.sleep(0.02)
                    registry.half.set()
                    registry.go_on.wait(30)
                    data = data[len(data) // 2 :]
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                pass  # a client that is interrupted hangs up

        self._server = Server(("127.0.0.1", 0), Handler)
        self.name = f"127.0.0.1:{self._server.server_port}/slow/app:1"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def short(self, number: int) -> str:
        return _digest(self.layers[number])[7:19]

    def close(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
