"""Errors of the HTTP API and of commands in other languages: sentences are recognised by their English template."""

from __future__ import annotations

import re
import string
from functools import cache
from pathlib import Path
from typing import NamedTuple

# A longer text is given back as it is: templates with several gaps take time on it.
_MOST_CHARS = 600
# Gaps that hold a sentence of their own.
_SENTENCES_IN_GAPS = {"reason", "what"}


class _Template(NamedTuple):
    pattern: re.Pattern[str]
    translation: str


def in_language(text: str, lang: str) -> str:
    """Return an error's problem or fix in a language; unchanged where it is not known there.

    Several sentences may be joined by "; " or blanks: each is looked up.
    """
    if lang == "en" or not text or len(text) > _MOST_CHARS:
        return text
    exact, _ = _sentences(lang)
    # A problem and its fix before a template: its last gap would take in the fix.
    for found in (exact.get(text), _problem_and_fix(text, lang), _translated(text, lang)):
        if found is not None:
            return found
    for joint, between in (("; ", "；"), (". ", "")):
        parts = text.split(joint)
        if len(parts) > 1:
            ended = [f"{part}." if joint == ". " else part for part in parts[:-1]] + parts[-1:]
            each = [_translated(part, lang) for part in ended]
            if all(part is not None for part in each):
                return between.join(part for part in each if part is not None)
    return text


def _problem_and_fix(text: str, lang: str) -> str | None:
    """Return a problem, which is known without its full stop, with a fix that is known word for word; None for anything else."""
    exact, _ = _sentences(lang)
    for joint in re.finditer(r"\. ", text):
        fix = exact.get(text[joint.end() :])
        problem = _translated(text[: joint.start()], lang) if fix is not None else None
        if problem is not None:
            return f"{problem.rstrip('。')}。{fix}"
    return None


def _translated(sentence: str, lang: str) -> str | None:
    exact, templates = _sentences(lang)
    if sentence in exact:
        return exact[sentence]
    for template in templates:
        if found := template.pattern.fullmatch(sentence):
            gaps = found.groupdict()
            for name in _SENTENCES_IN_GAPS & gaps.keys():
                gaps[name] = in_language(gaps[name], lang)
            return template.translation.format_map(gaps)
    return None


@cache
def _sentences(lang: str) -> tuple[dict[str, str], tuple[_Template, ...]]:
    """Return sentences without gaps, and templates; the one with the most words of its own is tried first."""
    import yaml

    known: dict[str, str] = {}
    for path in sorted((Path(__file__).parent / "sentences").glob(f"{lang}*.yaml")):
        known |= yaml.safe_load(path.read_text(encoding="utf-8"))
    exact, templates = {}, list[tuple[int, _Template]]()
    for english, translation in known.items():
        parts = list(string.Formatter().parse(english))
        if all(name is None for _, name, _, _ in parts):
            exact[english.format()] = translation.format()
            continue
        pattern = "".join(
            re.escape(words) + (f"(?P<{name}>.*?)" if name else "") for words, name, _, _ in parts
        )
        own = sum(len(words) for words, _, _, _ in parts)
        templates.append((own, _Template(re.compile(pattern, re.DOTALL), translation)))
    return exact, tuple(template for _, template in sorted(templates, key=lambda found: -found[0]))
