"""Check for HTML tags and entities left in texts."""

from __future__ import annotations

import re
from collections import Counter

from rung.data.profile.finding import Finding
from rung.data.profile.view import View

KINDS = frozenset({"text"})
TARGETS = False
WHEN = "build"
# Only names of HTML, so that "a < b > c" and "<3" are no tags.
_TAG = re.compile(
    r"</?(?:a|b|i|u|p|em|h[1-6]|hr|br|li|ol|ul|td|tr|th|div|img|pre|span|font|body|head|html|link|meta|table|tbody|thead|"
    r"strong|script|style|center|iframe|blockquote)(?:\s[^<>]{0,500})?/?>"
    r"|&(?:nbsp|amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9a-f]{1,6});",
    re.I,
)


def check(view: View) -> Finding | None:
    """Return the rows with tags or entities of HTML."""
    found = [(i, match[0]) for i, text in enumerate(view.texts) if (match := _TAG.search(text))]
    if not found:
        return None
    kinds = Counter(mark.split()[0].strip("<>/").casefold() for _, mark in found)
    shown = ", ".join(f"`{name}`" for name, _ in kinds.most_common(5))
    notes = {i: mark[:40] for i, mark in found}
    evidence = view.evidence(list(notes), notes.__getitem__)
    return Finding("markup", "warn", len(found), len(view.texts), {"marks": shown}, evidence)
