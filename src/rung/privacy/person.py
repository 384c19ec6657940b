"""Names of people, by Presidio with a spaCy pipeline: an extra, since they are larger than the rest of rung."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import cache
from typing import Any

from rung.core.errors import MissingExtra, RungError

# The first one installed is used; larger ones know more names.
_PIPELINES = {
    "en": ("en_core_web_lg", "en_core_web_md", "en_core_web_sm"),
    "zh": ("zh_core_web_lg", "zh_core_web_md", "zh_core_web_sm"),
}
# spaCy's memory grows with the text: long texts are read in pieces.
_PIECE = 20_000


def require() -> None:
    """Raise MissingExtra or RungError when names cannot be detected here."""
    if importlib.util.find_spec("presidio_analyzer") is None:
        raise MissingExtra("finding names of people", "privacy", "presidio-analyzer")
    if not _installed():
        raise RungError(
            "finding names of people needs a spaCy pipeline, and none is installed",
            "privacy",
            "python -m spacy download en_core_web_md   (zh_core_web_md for Chinese)",
        )


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of each name. The same pipeline version gives the same names."""
    languages = ["zh"] if any("\u4e00" <= char <= "\u9fff" for char in text[:2_000]) else ["en"]
    analyzer, known = _analyzer(), _installed()
    for language in [item for item in languages if item in known]:
        for begin in range(0, len(text), _PIECE):
            piece = text[begin : begin + _PIECE]
            for found in analyzer.analyze(piece, language=language, entities=["PERSON"]):
                yield begin + found.start, begin + found.end


@cache
def _installed() -> dict[str, str]:
    found = {}
    for language, names in _PIPELINES.items():
        name = next((name for name in names if importlib.util.find_spec(name)), None)
        if name:
            found[language] = name
    return found


@cache
def _analyzer() -> Any:
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    models = [{"lang_code": language, "model_name": name} for language, name in _installed().items()]
    engine = NlpEngineProvider(
        nlp_configuration={"nlp_engine_name": "spacy", "models": models}
    ).create_engine()
    return AnalyzerEngine(nlp_engine=engine, supported_languages=list(_installed()))
