"""Why a rung cannot be used here, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.core.errors import RungError
from rung.core.messages import LANGUAGES, has_message, join_sentences, say


class Unavailable(RungError):
    """A rung cannot be used here, for a reason of the catalogue of messages.

    key: of the messages `unavailable.KEY.problem` and `unavailable.KEY.fix`. values: those that they name.
    """

    def __init__(self, key: str, where: str = "", **values: Any) -> None:
        problem, fix = (say(f"unavailable.{key}.{part}", "en", **values) for part in ("problem", "fix"))
        super().__init__(problem, where, fix)
        self.key, self.values = key, values


def reason_dict(error: RungError) -> dict[str, Any]:
    """Return a reason as plans and events hold it."""
    told = {"problem": error.problem.rstrip(".") + ".", "fix": error.fix}
    return told | ({"key": error.key, "values": dict(error.values)} if error.key else {})


def reason_text(reason: Mapping[str, Any], lang: str) -> str:
    """Return a reason in a language; one without a message as it was raised."""
    key = f"unavailable.{reason.get('key', '')}"
    if has_message(f"{key}.problem", lang):
        problem, fix = (say(f"{key}.{part}", lang, **reason["values"]) for part in ("problem", "fix"))
        return join_sentences(lang, problem + say("unavailable.stop", lang), fix)
    return f"{reason['problem']} {reason['fix']}".strip()


def fix_texts(error: RungError) -> dict[str, str]:
    """Return what to do about a reason, by language."""
    told = error.fix or error.problem
    key = f"unavailable.{error.key}.fix"
    return {lang: say(key, lang, **error.values) if has_message(key, lang) else told for lang in LANGUAGES}
