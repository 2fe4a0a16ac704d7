"""A web server for the tests: serves a folder, knows ranges, and misbehaves when it is told to."""

import http.server
import re
import threading
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest


def pytest_collection_modifyitems(config, items):
    """Nothing reaches out unless it is asked for, whatever else is chosen with -m."""
    if "network" not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker("network"):
                item.add_marker(pytest.mark.skip(reason="reaches out to the real servers; run with: pytest -m network"))


class Server:
    """Serves `root`; `url` is its address.

    Attributes
    ----------
    answers : dict of str to list of int
        For a path: status codes for the next requests, before it is served at last.
    cuts : dict of str to list of int
        For a path: how many bytes the next requests get before the connection is cut.
    ranges : bool
        Whether it understands ranges.
    requests : list of (str, str or None)
        What has been asked for: path and range.
    """

    def __init__(self, root):
        self.root = Path(root)
        self.answers, self.cuts, self.kinds = {}, {}, {}
        self.ranges = True
        self.requests = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                server.respond(self)

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def respond(self, handler):
        path = unquote(handler.path).lstrip("/")
        wanted = handler.headers.get("Range")
        self.requests.append((path, wanted))
        file = self.root / path
        codes = self.answers.get(path) or [200 if file.is_file() else 404]
        code = codes.pop(0) if path in self.answers else codes[0]
        body = file.read_bytes() if code == 200 else b"sorry"
        start = 0
        if code == 200 and wanted and self.ranges:
            start = int(re.match(r"bytes=(\d+)-", wanted)[1])
            code = 206 if start < len(body) else 416
        total, body = len(body), body[start:] if code != 416 else b""
        handler.send_response(code)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("Content-Type", self.kinds.get(path, "application/octet-stream"))
        if code == 206:
            handler.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        handler.end_headers()
        if self.cuts.get(path):
            body = body[: self.cuts[path].pop(0)]
            handler.close_connection = True
        handler.wfile.write(body)

    def asked(self):
        """How often each path was asked for."""
        return Counter(path for path, _ in self.requests)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr("ilsegkit.data.transfer.PAUSE", 0.01)
    root = tmp_path / "www"
    root.mkdir()
    server = Server(root)
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture(autouse=True)
def no_roots_of_this_machine(tmp_path, monkeypatch):
    """Tests see neither the shared roots nor the cache of whoever runs them."""
    monkeypatch.delenv("ILSEGKIT_DATA", raising=False)
    monkeypatch.setattr("ilsegkit.data.store.pooch.os_cache", lambda name: tmp_path / "cache" / name)
