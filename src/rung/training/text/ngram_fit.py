"""Fit an n-gram language model: units, the order that tells held-out texts best, the temperature; then all rows."""

from __future__ import annotations

from typing import Any

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.text.ngram_language import NgramLanguage
from rung.modalities.text.token_units import TokenUnits
from rung.modalities.text.writer import TextFinisher
from rung.training.text.language_rows import TextPairs, units_for
from rung.training.text.ngram_counts import count_ngrams
from rung.training.text.temperature_search import bits_per_character, choose_temperature

_ORDERS = {"character": (4, 6, 8), "subword": (2, 3, 4)}
_WIDE_ORDERS = (2, 3, 4)
# Units of a model of ideographs, at least: an alphabet has fewer.
_WIDE = 1_000


def fit_ngrams(
    examples: Examples, params: Any, context: FitContext
) -> tuple[NgramLanguage, float, dict[str, Any]]:
    """Return the model of all rows, its temperature and what was chosen. params: of `ngram_writer`.

    Order and temperature are chosen on `context.validation`, which the last model learns from as well.
    """
    finisher = TextFinisher(examples.schema, None, "")
    learn = TextPairs.of(examples, finisher)
    units = units_for(learn, params.unit, params.vocabulary_size)
    documents = learn.documents(units)
    held = context.validation
    chosen: dict[str, Any] = {"unit": units.unit, "units": len(units)}
    if held is None or not len(held):
        order = params.order or _orders(units)[1]
        model = count_ngrams(documents, units, order)
        return (
            model,
            choose_temperature(model, examples.take([]), finisher, context)[0],
            chosen | {"order": order},
        )
    own = TextPairs.of(held, finisher)
    models = {order: count_ngrams(documents, units, order) for order in (params.order,) if order}
    models = models or {order: count_ngrams(documents, units, order) for order in _orders(units)}
    bits = {order: bits_per_character(model, own) for order, model in models.items()}
    order = min(bits, key=lambda own: bits[own]["bits_per_character"])
    temperature, scores = choose_temperature(models[order], held, finisher, context)
    chosen |= {"order": order, **bits[order], "temperatures": scores}
    chosen["orders"] = {str(own): found["bits_per_character"] for own, found in bits.items()}
    return count_ngrams([*documents, *own.documents(units)], units, order), temperature, chosen


def _orders(units: TokenUnits) -> tuple[int, ...]:
    return _WIDE_ORDERS if units.unit == "character" and len(units) > _WIDE else _ORDERS[units.unit]
