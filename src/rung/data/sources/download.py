"""Download http(s) sources into the cache, with conditional requests."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import socket
import tempfile
import time
import urllib.error
import urllib.request
from base64 import b64encode
from http.client import HTTPException, HTTPMessage, responses
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from rung.core.download_progress import arrived
from rung.core.errors import DataError
from rung.core.files import read_json, write_json, writing
from rung.core.spec.source_names import expand_variables, masked, without_source_secrets
from rung.data.readers import readers
from rung.data.sources.files import File
from rung.runtime.weights.store import cache_folder

MOST_BYTES = 4 << 30
_TIMEOUT_S = 30
_MOST_SECONDS = 3600
# Within one command a source is opened more than once: the server is not asked each time.
_FRESH_SECONDS = 60
_PIECE = 1 << 20
_PLAIN = "/%:@!$&'()*+,;=~"
_ENDINGS = {
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
    "application/vnd.apache.parquet": ".parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.ms-excel.sheet.binary.macroenabled.12": ".xlsb",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
}
_HERE = "Download it elsewhere and name the file."


def fetch(address: str, token: str = "", most_bytes: int = 0) -> File:
    """Return the file at an address, from the cache when it is there and has not changed.

    token: sent to that host alone. most_bytes: 0 for the general limit. A copy is kept by its address without
    secrets, with the server's ETag and its own SHA-256 beside it. Raises DataError when the server cannot be
    reached and no copy is here, or the file is too large.
    """
    url, user = _without_user(expand_variables(address))
    shown = masked(address)
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise DataError("only http:// and https:// addresses are read", shown, _HERE)
    key = hashlib.sha256(masked(url).encode()).hexdigest()[:32]
    folder = cache_folder() / "downloads" / key
    known = _known(folder)
    if known and 0 <= time.time() - known["checked"] < _FRESH_SECONDS:
        return File(folder / "content", known["name"])
    request = urllib.request.Request(url, headers={"User-Agent": "rung", "Accept-Encoding": "identity"})
    if token or user:
        # Not among the headers that follow a redirect to another host.
        login = f"Bearer {token}" if token else f"Basic {b64encode(user.encode()).decode()}"
        request.add_unredirected_header("Authorization", login)
    if known and known["etag"]:
        request.add_header("If-None-Match", known["etag"])
    if known and known["modified"]:
        request.add_header("If-Modified-Since", known["modified"])
    try:
        with _opener(url).open(request, timeout=_TIMEOUT_S) as response:
            name = _name(url, response.headers)
            _save(response, folder, name, shown, most_bytes or MOST_BYTES)
            return File(folder / "content", name)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 304 and known:
            write_json(folder / "source.json", known | {"checked": time.time()})
            return File(folder / "content", known["name"])
        raise _refused(error.code, shown) from None
    except (OSError, HTTPException, ValueError) as error:
        # Without a network the copy that is here does; what changed on the server shows when there is one again.
        if known and isinstance(error, urllib.error.URLError):
            return File(folder / "content", known["name"])
        reason = without_source_secrets(str(getattr(error, "reason", error)) or type(error).__name__, address)
        raise DataError(
            f"it cannot be fetched: {reason}", shown, f"Check the address and the network. {_HERE}"
        ) from None


def _refused(code: int, shown: str) -> DataError:
    """Return the error for an answer that is not the file."""
    if 300 <= code < 400:
        return DataError("it redirects too often, or to what is not followed", shown, _HERE)
    words = f"{code} {responses.get(code, '')}".strip()
    login = "Is it behind a login? Write https://user:${NAME_OF_VARIABLE}@host/..."
    return DataError(
        f"the server answers {words}", shown, login if code in {401, 403} else "Check the address."
    )


def _without_user(url: str) -> tuple[str, str]:
    """Return an address, its blanks and letters beyond ASCII quoted, without user and password, and these apart."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    path, query = quote(parts.path, safe=_PLAIN), quote(parts.query, safe=f"{_PLAIN}?")
    return urlunsplit((parts.scheme, host, path, query, "")), unquote(user)


def _known(folder: Path) -> dict[str, Any] | None:
    """Return what is written beside a whole copy; None when there is none, or it was changed."""
    try:
        known = read_json(folder / "source.json")
        whole = (folder / "content").stat().st_size == known["size"]
    except (OSError, ValueError, KeyError):
        return None
    return known if whole else None


def _save(response: Any, folder: Path, name: str, shown: str, most: int) -> None:
    """Write an answer's body and what must be known of it, within the limits; the description is written last."""
    declared = int(response.headers.get("Content-Length") or -1)
    _refuse_size(declared, most, shown)
    digest, size, begun = hashlib.sha256(), 0, time.monotonic()
    with writing(folder.parent):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as sink:
            temporary = Path(sink.name)
            try:
                while piece := response.read(_PIECE):
                    size += len(piece)
                    _refuse_size(size, most, shown)
                    if time.monotonic() - begun > _MOST_SECONDS:
                        raise DataError(
                            f"it did not arrive within {_MOST_SECONDS // 60} minutes", shown, _HERE
                        )
                    digest.update(piece)
                    sink.write(piece)
                    arrived(shown, size, max(declared, 0))
                if declared >= 0 and size != declared:
                    raise DataError(
                        f"the connection broke after {size:,} of {declared:,} bytes", shown, "Try again."
                    )
                sink.close()
                temporary.replace(folder / "content")
            finally:
                temporary.unlink(missing_ok=True)
    write_json(
        folder / "source.json",
        {
            "address": shown,
            "name": name,
            "size": size,
            "sha256": digest.hexdigest(),
            "etag": response.headers.get("ETag"),
            "modified": response.headers.get("Last-Modified"),
            "checked": time.time(),
        },
    )


def _refuse_size(size: int, most: int, shown: str) -> None:
    if size > most:
        raise DataError(f"it is larger than {most / 1e6:,.0f} MB, the limit for downloads", shown, _HERE)


def _name(url: str, headers: HTTPMessage) -> str:
    """Return what a download is called: the end of its address, and its content type's ending if it has no own."""
    path = PurePosixPath(unquote(urlsplit(url).path))
    name = re.sub(r"[^\w.()+ -]", "_", path.name) or urlsplit(url).hostname or "download"
    file = File(Path(), name)
    if file.packing or file.suffix in readers():
        return name
    return name + _ENDINGS.get(headers.get_content_type(), "")


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Return what opens http and https, and no file or other scheme, redirects included."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(_is_private(url)),
    ):
        opener.add_handler(handler)
    return opener


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect to http(s) only, never from https to http, nor from the public net into a private one."""

    max_redirections = 5

    def __init__(self, from_private: bool) -> None:
        self._from_private = from_private

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        allowed = new.scheme == "https" or (new.scheme == "http" and old.scheme == "http")
        if not allowed or (not self._from_private and _is_private(newurl)):
            where = f"{new.scheme}://{new.hostname or ''}"
            raise urllib.error.URLError(f"it redirects to {where}, which is not followed")
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        login = req.get_header("Authorization")
        if request and login and (old.scheme, old.netloc) == (new.scheme, new.netloc):
            request.add_unredirected_header("Authorization", login)
        return request


def _is_private(url: str) -> bool:
    """Return whether a host's address belongs to no public network; an unknown host counts as public."""
    try:
        found = socket.getaddrinfo(urlsplit(url).hostname or "", None)
    except (OSError, UnicodeError):
        return False
    return any(not ipaddress.ip_address(str(item[4][0]).split("%")[0]).is_global for item in found)
