"""Addresses over loopback: fetched once, kept by what the server says of them, and secrets never written."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rung.core.download_progress import watched
from rung.core.errors import DataError
from rung.data.sources import download
from rung.data.sources.read import open_source, read_rows
from rung.data.sources.rows import Reading

TABLE = b"text,label\none,x\ntwo,y\n"


class Site:
    """What a loopback server answers. pages: path -> (status, headers, body); asked: (path, headers) of each request."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.path, dict(self.headers)))
                status, headers, body = site.pages.get(self.path.split("?")[0], (404, {}, b""))
                tag = headers.get("ETag")
                if tag and self.headers.get("If-None-Match") == tag:
                    status, body = 304, b""
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    found = Site()
    yield found
    found.stop()


def texts(address: str, **reading: Any) -> list[Any]:
    return [(row.values or {})["text"] for row in read_rows(open_source(address, Reading(**reading)))]


def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a copy that was just checked count as old."""
    monkeypatch.setattr(download, "_FRESH_SECONDS", 0)


def test_fetched_once_and_again_when_it_has_changed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.pages["/a.csv"] = (200, {"ETag": '"1"'}, TABLE)
    assert texts(f"{site.url}/a.csv") == texts(f"{site.url}/a.csv") == ["one", "two"]
    assert len(site.asked) == 1
    first = list(open_source(f"{site.url}/a.csv").hashes())
    later(monkeypatch)
    assert texts(f"{site.url}/a.csv") == ["one", "two"]
    assert site.asked[-1][1]["If-None-Match"] == '"1"'
    site.pages["/a.csv"] = (200, {"ETag": '"2"'}, TABLE.replace(b"two", b"new"))
    assert texts(f"{site.url}/a.csv") == ["one", "new"]
    assert list(open_source(f"{site.url}/a.csv").hashes()) != first
    site.stop()
    assert texts(f"{site.url}/a.csv") == ["one", "new"]


def test_the_content_type_tells_the_format_where_the_address_does_not(site: Site) -> None:
    site.pages["/export"] = (200, {"Content-Type": "text/csv; charset=utf-8"}, TABLE)
    source = open_source(f"{site.url}/export?id=1")
    assert source.name == "export.csv" and source.columns == ("text", "label")


def test_secrets_reach_the_server_and_no_file(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_PASSWORD", "h@nter/2")
    site.pages["/a.csv"] = (200, {}, TABLE)
    address = site.url.replace("://", "://desk:${DESK_PASSWORD}@") + "/a.csv?token=geheim&id=1"
    assert texts(address) == ["one", "two"]
    path, headers = site.asked[0]
    assert path == "/a.csv?token=geheim&id=1"
    assert headers["Authorization"] == f"Basic {b64encode(b'desk:h@nter/2').decode()}"
    written = b"".join(path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert b"token=***&id=1" in written and b"geheim" not in written and b"nter" not in written


def test_redirects_stay_on_the_web(site: Site, tmp_path: Path) -> None:
    site.pages["/a.csv"] = (200, {}, TABLE)
    site.pages["/moved.csv"] = (302, {"Location": "/a.csv"}, b"")
    assert texts(f"{site.url}/moved.csv") == ["one", "two"]
    (tmp_path / "secret.csv").write_bytes(TABLE)
    for number, target in enumerate(((tmp_path / "secret.csv").as_uri(), "ftp://127.0.0.1/a.csv", "/3.csv")):
        site.pages[f"/{number + 1}.csv"] = (302, {"Location": target}, b"")
        with pytest.raises(DataError, match="redirects|not followed"):
            texts(f"{site.url}/{number + 1}.csv")


def test_the_public_net_does_not_lead_into_a_private_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.pages["/a.csv"] = (302, {"Location": f"http://127.0.0.1:{site.server.server_port}/b.csv"}, b"")
    site.pages["/b.csv"] = (200, {}, TABLE)
    private = download._is_private
    monkeypatch.setattr(download, "_is_private", lambda url: private(url) and not url.endswith("/a.csv"))
    with pytest.raises(DataError, match="redirects to http://127.0.0.1, which is not followed"):
        texts(f"{site.url}/a.csv")


def test_a_login_does_not_follow_to_another_host(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Site()
    other.pages["/a.csv"] = (200, {}, TABLE)
    site.pages["/a.csv"] = (302, {"Location": f"{other.url}/a.csv"}, b"")
    assert texts(site.url.replace("://", "://me:word@") + "/a.csv") == ["one", "two"]
    assert "Authorization" in site.asked[0][1] and "Authorization" not in other.asked[0][1]
    other.stop()


@pytest.fixture
def hub(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A server that answers as the hub's endpoint for Parquet files does."""
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    monkeypatch.setenv("HF_TOKEN", "hf_geheim")
    listed: dict[str, Any] = {}
    for subset, splits in {"plain": {"train": 2, "test": 1}}.items():
        for split, files in splits.items():
            for number in range(files):
                name = f"/api/datasets/owner/news/parquet/{subset}/{split}/{number}.parquet"
                pq.write_table(
                    pa.table({"text": [f"{split} {number}"], "label": [number]}), tmp_path / "x.parquet"
                )
                site.pages[f"/cdn{name}"] = (200, {}, (tmp_path / "x.parquet").read_bytes())
                site.pages[name] = (302, {"Location": f"/cdn{name}"}, b"")
                listed.setdefault(subset, {}).setdefault(split, []).append(site.url + name)
    site.pages["/api/datasets/owner/news/parquet"] = (200, {}, json.dumps(listed).encode())
    return site


def test_a_data_set_by_its_name(hub: Site) -> None:
    assert texts("hf:owner/news") == ["train 0", "train 1"]
    assert texts("hf:owner/news:plain", split="test") == ["test 0"]
    assert hub.asked[0][1]["Authorization"] == "Bearer hf_geheim"
    assert open_source("hf:owner/news").tables[1].name == "owner/news/1.parquet"


def test_data_sets_that_are_not_there(hub: Site) -> None:
    with pytest.raises(DataError) as caught:
        open_source("hf:owner/new")
    assert str(caught.value) == (
        "hf:owner/new: the server answers 404 Not Found\n"
        "Check the name. A private or gated data set needs the environment variable HF_TOKEN."
    )
    with pytest.raises(DataError, match="no split 'tset'") as caught:
        open_source("hf:owner/news", Reading(split="tset"))
    assert caught.value.fix.startswith("Did you mean 'test'?")
    with pytest.raises(DataError, match="no subset 'plane'"):
        open_source("hf:owner/news:plane")
    with pytest.raises(DataError, match="names no data set"):
        open_source("hf:../../x")


def test_addresses_with_blanks_and_other_letters(site: Site) -> None:
    site.pages["/gr%C3%B6%C3%9Fe%20a.csv"] = (200, {}, TABLE)
    assert texts(f"{site.url}/größe a.csv") == ["one", "two"]


def test_what_is_too_large_is_not_fetched(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MOST_BYTES", 1_000_000)
    site.pages["/a.csv"] = (200, {"Content-Length": "2000000"}, TABLE)
    site.pages["/b.csv"] = (200, {"Content-Length": "500"}, TABLE)
    for name, words in (
        ("a", "larger than 1 MB"),
        ("b", "the connection broke after 23 of 500 bytes|cannot be fetched"),
    ):
        with pytest.raises(DataError, match=words):
            texts(f"{site.url}/{name}.csv")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_whoever_watches_is_told_how_far_it_is_without_the_secret(site: Site) -> None:
    rows = b"text,label\n" + b"".join(b"%d,x\n" % i for i in range(400_000))
    site.pages["/big.csv"] = (200, {}, rows)
    told: list[tuple[str, int, int]] = []
    with watched(lambda what, size, of: told.append((what, size, of))):
        open_source([f"{site.url}/big.csv?token=s3cret"], Reading())
    assert len(told) >= 2 and told[-1][1:] == (len(rows), len(rows))
    assert [size for _, size, _ in told] == sorted(size for _, size, _ in told)
    assert {what for what, _, _ in told} == {f"{site.url}/big.csv?token=***"}
    told.clear()
    open_source([f"{site.url}/big.csv?token=s3cret"], Reading())
    assert not told
