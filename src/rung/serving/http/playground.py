"""The page to try a model in a browser, in the reader's language, without external resources."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from rung.core.kind import kind_names
from rung.core.messages import LANGUAGES, catalogue, say_or

_FOLDER = Path(__file__).parent
_PREFIX = "serve.try."
_MESSAGE_KEYS = (
    "serve.try.title", "serve.try.keyed", "serve.try.key", "serve.try.wrong_key", "serve.try.open", "serve.try.model",
    "serve.try.ask", "serve.try.docs", "serve.try.certified", "serve.try.uncertified", "serve.try.json", "serve.try.decided", "serve.try.highlighted",
    "serve.try.large", "serve.try.waiting", "serve.try.unreachable", "serve.try.filled", "serve.try.threshold",
    "serve.try.right", "serve.try.yes", "serve.try.no", "serve.try.correct", "serve.try.send", "serve.try.thanks",
    "serve.try.batch", "serve.try.batch_how", "serve.try.batch_file", "serve.try.batch_ask", "serve.try.batch_missing",
    "serve.try.reco_pick", "serve.try.reco_search", "serve.try.reco_history", "serve.try.reco_empty", "serve.try.reco_list",
    "serve.try.reco_because", "serve.try.reco_portrait", "serve.try.reco_portrait_how", "serve.try.reco_lately", "serve.try.reco_forget",
    "serve.try.reco_remove", "serve.try.reco_add", "serve.try.reco_variety", "serve.try.reco_unknown", "serve.try.reco_none",
    "serve.try.reco_to_list", "serve.try.reco_to_portrait", "serve.try.reco_no_portrait", "serve.try.reco_over_time", "serve.try.reco_no_times",
    "serve.try.reco_events", "serve.try.reco_edit", "serve.try.reco_edit_how", "serve.try.reco_apply", "serve.try.reco_erase",
    "serve.try.reco_erase_how", "serve.try.reco_erase_do", "serve.try.reco_erased", "serve.try.reco_by", "serve.try.reco_comma",
    "serve.try.ai_generated", "serve.try.boxes", "serve.try.no_values", "serve.try.no_labels", "serve.try.thresholds",
    "serve.try.drop", "serve.try.camera", "serve.try.no_camera", "serve.try.take", "serve.try.lines", "serve.try.batch_empty", "serve.try.batch_at", "serve.try.batch_done", "serve.try.batch_first", "serve.try.batch_save",
)  # fmt: skip
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src blob:; media-src blob:",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Language",
}


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
    words: dict[str, object] = {key.removeprefix(_PREFIX): messages[key] for key in _MESSAGE_KEYS}
    words["kinds"] = {name: say_or(f"kind.{name}", lang, name) for name in kind_names()}
    data = json.dumps(words, ensure_ascii=False).replace("<", "\\u003c")
    page, *scripts = (
        (_FOLDER / name).read_text(encoding="utf-8")
        for name in (
            "playground.html",
            "playground.js",
            "playground_media.js",
            "playground_lists.js",
            "playground_portrait.js",
            "playground_batch.js",
        )
    )
    page = page.replace('lang="en"', f'lang="{lang}"', 1).replace("/*words*/{}", data, 1)
    return page.replace("/*script*/", "\n".join(scripts), 1)
