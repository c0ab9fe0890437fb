"""The pushing half of a registry, as strict as the distribution specification, with faults to order."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

from fake_peer import digest_of


class Store:
    """Takes uploads for a Peer.

    `faults` maps a method to a list of what its next requests meet: None for nothing, a number of
    bytes after which the connection is lost, or an answer.
    """

    def __init__(self, peer, *, chunks=True, minimum=0):
        self.blobs = {}
        self.manifests = {}
        self.uploads = {}
        self.faults = {}
        self.received = 0
        self.chunks = chunks
        self.minimum = minimum
        self.mounts = False
        self.location = "/v2/app/blobs/uploads/{}?state=a%2Bb"
        peer.default = self.answer

    def answer(self, handler):
        url = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        fault = (self.faults.get(handler.command) or [None]).pop(0)
        if isinstance(fault, tuple):
            self._read(handler)
            return fault
        name = url.path.rpartition("/")[2]
        if "/blobs/uploads/" in url.path:
            if handler.command == "POST":
                return self._begin(query)
            if name not in self.uploads:
                self._read(handler)
                return 404, {}, b"{}"
            return getattr(self, f"_{handler.command.lower()}")(handler, name, query, fault)
        if "/manifests/" in url.path and handler.command == "PUT":
            body = self._read(handler)
            self.manifests[name] = (handler.headers["Content-Type"], body)
            return 201, {"Docker-Content-Digest": digest_of(body)}, b""
        if handler.command == "HEAD" and "/blobs/" in url.path and name in self.blobs:
            return 200, {"Content-Length": str(len(self.blobs[name]))}, b""
        if handler.command == "DELETE":
            return 202, {}, b""
        return 404, {}, json.dumps({"errors": [{"code": "UNKNOWN", "message": "unknown"}]}).encode()

    def _read(self, handler, limit=None):
        length = int(handler.headers.get("Content-Length") or 0)
        data = handler.rfile.read(length if limit is None else min(limit, length))
        self.received += len(data)
        return data

    def _begin(self, query):
        if query.get("mount") in self.blobs and self.mounts:
            return 201, {"Location": "/there"}, b""
        name = f"upload{len(self.uploads)}"
        self.uploads[name] = b""
        headers = {"Location": self.location.format(name)}
        if self.minimum:
            headers["OCI-Chunk-Min-Length"] = str(self.minimum)
        return 202, headers, b""

    def _progress(self, name, status):
        received = len(self.uploads[name])
        headers = {"Location": self.location.format(name), "Range": f"0-{max(received - 1, 0)}"}
        return status, headers, b""

    def _get(self, handler, name, query, fault):
        return self._progress(name, 204)

    def _patch(self, handler, name, query, fault):
        if not self.chunks:
            self._read(handler)
            return 405, {}, b"{}"
        first, _, last = handler.headers["Content-Range"].partition("-")
        held = len(self.uploads[name])
        if int(first) != held or int(last) + 1 - held != int(handler.headers["Content-Length"]):
            self._read(handler)
            return 416, {}, b"{}"
        self.uploads[name] += self._read(handler, fault)
        if fault is not None:
            handler.connection.close()
            return None
        return self._progress(name, 202)

    def _put(self, handler, name, query, fault):
        self.uploads[name] += self._read(handler, fault)
        if fault is not None and fault >= 0:
            handler.connection.close()
            return None
        data = self.uploads.pop(name)
        if digest_of(data) != query["digest"]:
            return 400, {}, b'{"errors":[{"code":"DIGEST_INVALID","message":"digest invalid"}]}'
        self.blobs[query["digest"]] = data
        return 201, {"Docker-Content-Digest": query["digest"]}, b""
