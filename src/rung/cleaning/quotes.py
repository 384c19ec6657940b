"""Remove quoted replies from mail."""

from __future__ import annotations

import re
from dataclasses import dataclass

# From such a line on, the rest is the quoted mail.
_REPLY_HEADER = re.compile(
    r"^[ \t>]*(?:"
    r"-{2,}[ \t]*(?:Original Message|Forwarded message|原始邮件|原邮件|转发的邮件|Original-Nachricht)[ \t]*-{2,}"
    r"|On [^\n]{6,200}[ \t]wrote:"
    r"|在[^\n]{4,100}写道[:：]"
    r"|于[^\n]{4,100}写道[:：]"
    r"|[^\n]{2,60} 于[^\n]{4,60}写道[:：]"
    r"|_{20,}"
    r")[ \t]*$",
    re.M,
)
_QUOTED_LINE = re.compile(r"^[ \t]*>[^\n]*(?:\n|\Z)", re.M)


@dataclass(frozen=True)
class Params:
    """rest: cut from "On ... wrote:", "在……写道：" or "-----Original Message-----" on. lines: remove lines that
    start with >.
    """

    rest: bool = True
    lines: bool = True


def apply(text: str, params: Params) -> str:
    """Return the mail without quoted text; a mail that is only quoted text is unchanged."""
    kept = text
    if params.rest:
        found = _REPLY_HEADER.search(kept)
        kept = kept[: found.start()] if found else kept
    if params.lines and ">" in kept:
        kept = _QUOTED_LINE.sub("", kept)
    return kept if kept.strip() else text
