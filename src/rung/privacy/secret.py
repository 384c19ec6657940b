"""Secrets: API keys by their issuers' formats, private keys, and values after keywords such as "password:"."""

from __future__ import annotations

import re
from collections.abc import Iterator

_END = r"(?![0-9A-Za-z_-])"
# As documented by the issuers, and as gitleaks and GitHub's secret scanning detect them.
_ISSUED = re.compile(
    r"(?<![0-9A-Za-z_-])(?:"
    r"(?:AKIA|ASIA)[0-9A-Z]{16}"
    r"|sk-(?:proj-|ant-)?[0-9A-Za-z_-]{20,}"
    r"|(?:sk|rk|pk)_(?:live|test)_[0-9A-Za-z]{10,}"
    r"|gh[opusr]_[0-9A-Za-z]{30,}|github_pat_[0-9A-Za-z_]{22,}|glpat-[0-9A-Za-z_-]{20,}"
    r"|xox[abeoprs]-[0-9A-Za-z-]{10,}"
    r"|AIza[0-9A-Za-z_-]{35}|ya29\.[0-9A-Za-z_-]{20,}"
    r"|hf_[0-9A-Za-z]{30,}|npm_[0-9A-Za-z]{36}|pypi-[0-9A-Za-z_-]{50,}|dop_v1_[0-9a-f]{64}"
    r"|SG\.[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]{16,}|key-[0-9a-f]{32}|AC[0-9a-f]{32}"
    r"|LTAI[0-9A-Za-z]{12,26}|AKID[0-9A-Za-z]{13,40}"
    r"|eyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}"
    rf"){_END}"
)
_BEGIN = re.compile(r"-----BEGIN ([A-Z ]{0,30})PRIVATE KEY-----")
_NAMED = re.compile(
    r"(?:(?<![A-Za-z])(?:api[ _-]?key|secret(?:[ _-]?key)?|access[ _-]?(?:key|token)|auth[ _-]?token|token|password|"
    r"passwd|pwd|passcode)|密码|口令|密钥|令牌)[\"']?\s{0,2}(?:[:=：]|是|为|is\b)\s{0,2}[\"'“]?"
    r"(?P<value>[!-&(-+\--:<-~]{6,200})",
    re.IGNORECASE,
)


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of each secret."""
    for found in _ISSUED.finditer(text):
        yield found.span()
    at = 0
    while found_key := _BEGIN.search(text, at):
        end = f"-----END {found_key[1]}PRIVATE KEY-----"
        stop = text.find(end, found_key.end())
        at = stop + len(end) if stop >= 0 else len(text)
        yield found_key.start(), at
    for found in _NAMED.finditer(text):
        value = found["value"].rstrip(".,;:!?\"'")
        # A plain word is not a password: "the password is required".
        if (
            len(value) >= 6
            and any(char.isdigit() for char in value)
            and not value.isdigit()
            or (value.isdigit() and 6 <= len(value) <= 12)
        ):
            yield found.start("value"), found.start("value") + len(value)
