"""Paths and addresses of data sources in a spec, and their forms without passwords and keys."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Sequence
from pathlib import PurePath
from urllib.parse import quote, unquote

from rung.core.errors import RungError

HIDDEN = "***"
PASSWORD = "SOURCE_PASSWORD"
_ADDRESS = re.compile(r"(?:[A-Za-z][\w+.-]+://|\$\{\w+\})")
# Everything before the last `@`, because an unquoted password may contain any character. In a web address `@` may also
# occur in the path; there a colon without a port after it indicates a password that contains `/`.
_USERINFO = re.compile(
    r"((?<!http)(?<!https)://).*@|((?<=http)://|(?<=https)://)(?:[^/?#]*@|[^/?#:]*:(?!\d*(?:[/?#]|$)).*@)",
    re.I | re.S,
)
_VARIABLE = re.compile(r"\$\{(\w+)\}")
# URL parameters with credentials: ?token=..., ?X-Amz-Signature=..., ?odbc_connect=...;PWD=...
_SECRET_PARAMETER = re.compile(
    r"([?&;](?:[\w.-]*(?:token|key|sig|secret|passw|pwd|auth|cred|code|odbc_connect)[\w.-]*)=)[^&#;]*", re.I
)


def is_address(path: str) -> bool:
    """Return whether a path of a spec is a URL, or starts with an environment variable."""
    return _ADDRESS.match(path) is not None


def is_hub(path: str) -> bool:
    """Return whether a path of a spec is a dataset of the Hugging Face hub."""
    return path.startswith("hf:")


def masked(path: str) -> str:
    """Return a path that is safe to show, log and hash: without user, password and keys."""
    if not is_address(path):
        return path
    return _SECRET_PARAMETER.sub(rf"\g<1>{HIDDEN}", _USERINFO.sub(f"://{HIDDEN}@", path))


def without_secrets(path: str) -> str:
    """Return an address that is safe to store: clear-text passwords and keys become ${SOURCE_PASSWORD}."""

    def variable(secret: str) -> str:
        return secret if not secret or _VARIABLE.search(secret) else f"${{{PASSWORD}}}"

    def login(match: re.Match[str]) -> str:
        user, colon, password = match[0][3:-1].partition(":")
        return f"://{user}{colon}{variable(password)}@"

    if not is_address(path):
        return path
    hidden = _USERINFO.sub(login, path)
    return _SECRET_PARAMETER.sub(lambda match: match[1] + variable(match[0][len(match[1]) :]), hidden)


def expand_variables(path: str) -> str:
    """Return an address with each ${NAME} replaced from the environment; raises RungError if one is not set.

    Inside user and password a value is URL-quoted, so that it may contain any character.
    """
    ends = path.rfind("@")

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found is None:
            raise RungError(
                f"the environment variable '{match[1]}' is not set",
                masked(path),
                f"Set it before you start rung: export {match[1]}=...",
            )
        inside = 0 < path.find("://") < match.start() < ends
        return quote(found, safe="") if inside else found

    return _VARIABLE.sub(value, path)


def without_source_secrets(text: str, path: str) -> str:
    """Return a library's message without the secrets of a source's address."""
    secrets = {os.environ[name] for name in _VARIABLE.findall(path) if name in os.environ}
    address = expand_variables(path)
    secrets |= {match[0].split("=", 1)[1] for match in _SECRET_PARAMETER.finditer(address)}
    for match in _USERINFO.finditer(address):
        secrets |= {match[0][3:-1], match[0][3:-1].partition(":")[2]}
    secrets |= {unquote(secret) for secret in secrets}
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return re.sub(r"://[^\s/]*@", f"://{HIDDEN}@", text)


def short_name(path: str | Sequence[str]) -> str:
    """Return the name of a source in messages: a file's name, or an address without secrets."""
    if isinstance(path, str):
        return masked(path) if is_address(path) or is_hub(path) else PurePath(path).name or path
    names = [short_name(item) for item in path]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def stem(path: str, endings: Container[str]) -> str:
    """Return a source's name without folder, compression suffix, and a suffix among `endings`."""
    found = PurePath(PurePath(masked(path)).stem)
    return found.stem if found.suffix.lower() in endings else found.name
