"""Quoted replies in mail: what the writer answers to is not what the writer says."""

from __future__ import annotations

import re
from dataclasses import dataclass

# From such a line on, the rest is somebody else's mail.
_REST = re.compile(
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
_QUOTED = re.compile(r"^[ \t]*>[^\n]*(?:\n|\Z)", re.M)


@dataclass(frozen=True)
class Params:
    """rest: cut from "On ... wrote:", "在……写道：" or "-----Original Message-----" on. lines: drop lines that begin with >."""

    rest: bool = True
    lines: bool = True


def apply(text: str, params: Params) -> str:
    """Return the mail without what it quotes; a text that is nothing but quotes stays as it is."""
    kept = text
    if params.rest:
        found = _REST.search(kept)
        kept = kept[: found.start()] if found else kept
    if params.lines and ">" in kept:
        kept = _QUOTED.sub("", kept)
    return kept if kept.strip() else text
