"""What the rungs of a ladder are, in words."""

from __future__ import annotations

from collections.abc import Iterable

from rung.core.messages import say_or
from rung.pages.elements import text


def family_text(model: str, lang: str) -> str:
    """Return what a model family is, in a few words; "" for one that the catalogue does not know."""
    return say_or(f"family.{model}", lang, "")


def families(rungs: Iterable[tuple[str, str]], lang: str) -> str:
    """Return a list of the rungs with what each is. rungs: (name of the rung, its model family)."""
    items = "".join(
        f"<dt>{text(name)}</dt><dd>{text(words)}</dd>"
        for name, model in rungs
        if (words := family_text(model, lang))
    )
    return f'<dl class="families">{items}</dl>' if items else ""
