"""Which smaller versions of a model are worth making, mildest first."""

from __future__ import annotations

from typing import Any

from rung.core.types import Schema
from rung.training.compression.fewer_bits import to_float16, to_int8
from rung.training.compression.fewer_ngrams import keep_share
from rung.training.compression.recipe import Recipe

_SHARES = (0.5, 0.25, 0.12, 0.06, 0.03, 0.015)


def recipes_for(family: str, params: Any, schema: Schema, has_unlabelled: bool) -> list[Recipe]:
    """Return the recipes for a winner of this family, in the order in which they are tried; [] where there is none.

    params: the winner's.
    """
    if family == "tfidf_linear":
        return _ngram_recipes()
    return []


def _ngram_recipes() -> list[Recipe]:
    found = _bits("")
    before = ""
    for share in _SHARES:
        name = f"ngrams-{share * 100:g}".replace(".", "_")
        found.append(Recipe(name, "ngrams", keep_share(share), {"share": share}, after=before))
        found.append(Recipe(f"{name}-int8", "int8", to_int8, base=name))
        before = name
    return found


def _bits(base: str) -> list[Recipe]:
    end = f"{base}-" if base else ""
    return [
        Recipe(f"{end}float16", "float16", to_float16, base=base),
        Recipe(f"{end}int8", "int8", to_int8, base=base),
    ]
