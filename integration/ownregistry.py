"""Registries in this process, whose image has layers of the test's making and whose manners it decides."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from layouts import CONFIG, LAYER, MANIFEST, busybox_layer


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class OwnRegistry:
    """`name` is the image. What it sends of the largest layer is up to `send_large`."""

    def __init__(self, size: int) -> None:
        small, large = busybox_layer(), busybox_layer({"noise": random.Random(size).randbytes(size)})
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
                start = int(self.headers.get("Range", "bytes=0-")[6:].rstrip("-"))
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                self.send_header("Content-Length", str(len(data) - start))
                if data is manifest:
                    self.send_header("Content-Type", MANIFEST)
                self.end_headers()
                if data is registry.layers[1]:
                    registry.send_large(self, data, start)
                else:
                    self.wfile.write(data[start:])

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                pass  # a client that is interrupted hangs up

        self._server = Server(("127.0.0.1", 0), Handler)
        self.name = f"127.0.0.1:{self._server.server_port}/own/app:1"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def send_large(self, handler: BaseHTTPRequestHandler, data: bytes, start: int) -> None:
        """Send the largest layer from an offset on."""
        handler.wfile.write(data[start:])

    def short(self, number: int) -> str:
        """Return how messages call a layer."""
        return _digest(self.layers[number])[7:19]

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()


class SlowRegistry(OwnRegistry):
    """`half` is set when half of its large layer was sent, `go_on` sends the rest."""

    def __init__(self) -> None:
        self.half, self.go_on = threading.Event(), threading.Event()
        self.starts: list[int] = []  # where each transfer of the large layer began
        super().__init__(2_000_000)

    def send_large(self, handler: BaseHTTPRequestHandler, data: bytes, start: int) -> None:
        """Stop in the middle, until it may go on."""
        self.starts.append(start)
        half = len(data) // 2
        for begin in range(start, half, half // 8):  # a rate takes more than one arrival
            handler.wfile.write(data[begin : min(begin + half // 8, half)])
            time.sleep(0.02)
        self.half.set()
        self.go_on.wait(30)
        handler.wfile.write(data[max(start, half) :])

    def close(self) -> None:
        """Let whoever waits go, and serve no more."""
        self.go_on.set()
        super().close()


class FlakyRegistry(OwnRegistry):
    """Hangs up in the middle of the large layer, after random numbers of bytes, `drops` times."""

    def __init__(self, size: int, drops: int, seed: int) -> None:
        self.sent = 0  # bytes of the large layer
        self.dropped = 0
        self._drops = drops
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        super().__init__(size)

    def send_large(self, handler: BaseHTTPRequestHandler, data: bytes, start: int) -> None:
        """Send a part of it, and everything once it has hung up often enough."""
        with self._lock:
            mean = len(data) // self._drops
            amount = self._random.randrange(mean // 2, mean)
            if self.dropped < self._drops:
                self.dropped += 1
            else:
                amount = len(data)
            self.sent += len(data[start : start + amount])
        handler.wfile.write(data[start : start + amount])
        handler.close_connection = True
