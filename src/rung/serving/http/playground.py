"""The page to try a model in a browser, in the reader's language, without external resources."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from rung.core.messages import LANGUAGES, catalogue

_PAGE = Path(__file__).with_name("playground.html")
_PREFIX = "serve.try."
_MESSAGE_KEYS = (
    "serve.try.title", "serve.try.key", "serve.try.open", "serve.try.model", "serve.try.ask", "serve.try.docs",
    "serve.try.certified", "serve.try.uncertified", "serve.try.json", "serve.try.decided",
    "serve.try.large", "serve.try.waiting", "serve.try.unreachable",
)  # fmt: skip


def preferred_language(accept: str) -> str:
    """Return the first supported language of an Accept-Language header; English where there is none.

    Browsers list languages by preference; `q` weights are ignored.
    """
    wanted = re.findall(r"[A-Za-z]{2,8}(?=[-,;\s]|$)", accept[:200])
    return next((lang.lower() for lang in wanted if lang.lower() in LANGUAGES), LANGUAGES[0])


@cache
def playground_page(lang: str) -> str:
    """Return the page as HTML."""
    messages = catalogue(lang)
    words = {key.removeprefix(_PREFIX): messages[key] for key in _MESSAGE_KEYS}
    script = json.dumps(words, ensure_ascii=False).replace("<", "\\u003c")
    page = _PAGE.read_text(encoding="utf-8")
    return page.replace('lang="en"', f'lang="{lang}"', 1).replace("/*words*/{}", script, 1)
