"""Check for emails that quote the message they reply to."""

from __future__ import annotations

import re

from rung.data.profile.finding import Finding
from rung.data.profile.view import View

KINDS = frozenset({"text"})
TARGETS = False
WHEN = "build"
_QUOTE = re.compile(
    r"^[ \t]*>{1,5}[ \t]?\S.*\n[ \t]*>"  # two quoted lines
    r"|^[ \t]*-{2,}[ \t]*(?:original message|forwarded message|原始邮件|原始郵件|转发邮件|轉寄郵件)[ \t]*-{2,}"
    r"|^[ \t]*(?:on\b.{4,120}\bwrote|.{2,80}(?:写道|寫道|編寫|编写))[ \t]*[:：][ \t]*$"
    r"|^[ \t]*(?:发件人|寄件者|寄件人)[:：].*\n(?:.*\n){0,3}?[ \t]*(?:收件人|收件者|发送时间|傳送時間|主题|主旨)[:：]"
    r"|^[ \t]*from:.*\n(?:.*\n){0,3}?[ \t]*(?:to|sent|date|subject):",
    re.I | re.M,
)


def check(view: View) -> Finding | None:
    """Return the rows in which a quoted mail begins."""
    found = {i: match[0] for i, text in enumerate(view.texts) if (match := _QUOTE.search(text))}
    if not found:
        return None
    evidence = view.evidence(list(found), lambda i: " ".join(found[i].split())[:60])
    return Finding("quoted_replies", "warn", len(found), len(view.texts), {}, evidence)
