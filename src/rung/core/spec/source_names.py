"""How a spec writes where data comes from, and what of it people may see: never a password or a key."""

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
# What stands before the last `@`: a password that was not quoted may hold any sign. In an address of the web an
# `@` may also stand in the path; there a colon that no port follows tells a password with a `/`.
_USERINFO = re.compile(
    r"((?<!http)(?<!https)://).*@|((?<=http)://|(?<=https)://)(?:[^/?#]*@|[^/?#:]*:(?!\d*(?:[/?#]|$)).*@)",
    re.I | re.S,
)
_VARIABLE = re.compile(r"\$\{(\w+)\}")
# Parameters of an address that open a door: ?token=..., ?X-Amz-Signature=..., ?odbc_connect=...;PWD=...
_SECRET_PARAMETER = re.compile(
    r"([?&;](?:[\w.-]*(?:token|key|sig|secret|passw|pwd|auth|cred|code|odbc_connect)[\w.-]*)=)[^&#;]*", re.I
)


def is_address(path: str) -> bool:
    """Return whether a path of a spec is a URL, or an environment variable that holds one."""
    return _ADDRESS.match(path) is not None


def is_hub(path: str) -> bool:
    """Return whether a path of a spec names a data set of the Hugging Face hub."""
    return path.startswith("hf:")


def masked(path: str) -> str:
    """Return a path as it may be shown, logged and hashed: without user, password and keys."""
    if not is_address(path):
        return path
    return _SECRET_PARAMETER.sub(rf"\g<1>{HIDDEN}", _USERINFO.sub(f"://{HIDDEN}@", path))


def without_secrets(path: str) -> str:
    """Return an address that can be written down: ${SOURCE_PASSWORD} where a password or key stood in clear."""

    def variable(secret: str) -> str:
        return secret if not secret or _VARIABLE.search(secret) else f"${{{PASSWORD}}}"

    def login(match: re.Match[str]) -> str:
        user, colon, password = match[0][3:-1].partition(":")
        return f"://{user}{colon}{variable(password)}@"

    if not is_address(path):
        return path
    hidden = _USERINFO.sub(login, path)
    return _SECRET_PARAMETER.sub(lambda match: match[1] + variable(match[0][len(match[1]) :]), hidden)


def expanded(path: str) -> str:
    """Return an address with each ${NAME} replaced from the environment; raises RungError when one is not set.

    Within user and password a value is quoted, so that it may hold any character.
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


def scrubbed(text: str, path: str) -> str:
    """Return a message of a library without anything that the address of a spec must hide."""
    secrets = {os.environ[name] for name in _VARIABLE.findall(path) if name in os.environ}
    address = expanded(path)
    secrets |= {match[0].split("=", 1)[1] for match in _SECRET_PARAMETER.finditer(address)}
    for match in _USERINFO.finditer(address):
        secrets |= {match[0][3:-1], match[0][3:-1].partition(":")[2]}
    secrets |= {unquote(secret) for secret in secrets}
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return re.sub(r"://[^\s/]*@", f"://{HIDDEN}@", text)


def short_name(path: str | Sequence[str]) -> str:
    """Return what a source is called in messages: the name of a file, an address without its secrets."""
    if isinstance(path, str):
        return masked(path) if is_address(path) or is_hub(path) else PurePath(path).name or path
    names = [short_name(item) for item in path]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def stem(path: str, endings: Container[str]) -> str:
    """Return what a source is called without its folder, its packing, and an ending among these."""
    found = PurePath(PurePath(masked(path)).stem)
    return found.stem if found.suffix.lower() in endings else found.name
