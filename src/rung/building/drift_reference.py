"""Put into each bundle what rows and answers looked like at its build, so that drift can be told from it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from rung.core.files import write_json
from rung.core.types import Examples, Prediction, Schema
from rung.monitoring.drift import reference
from rung.monitoring.drift.statistics import unmonitored_inputs

# With fewer random rows among chosen ones, all are taken: a rough reference says more than none.
_LEAST_RANDOM = 30


class HeldOut(Protocol):
    """Answers of models on rows that those were not fitted on."""

    @property
    def truths(self) -> Sequence[Any]: ...

    @property
    def answers(self) -> Sequence[Prediction]: ...


def learn(train: Examples, seed: int, facts: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write the reference of the training rows' inputs into an empty folder; return how many rows it counts.

    facts: of the dataset. Rows that were chosen to be labelled are no sample of what is served: where some of the
    labelled rows are random, those alone are the reference.
    """
    random = set((facts.get("audit") or {}).get("random_units", ()))
    places = [i for i, unit in enumerate(train.units) if unit in random]
    rows = train.take(places) if len(places) >= _LEAST_RANDOM else train
    columns = rows.inputs
    sketch, counts, counted = reference.fit_input_reference(train.schema, columns, seed)
    missing = unmonitored_inputs(train.schema)
    none = reference.fit_prediction_reference(train.schema, [], [])
    reference.DriftReference(sketch, counts, counted, none, missing).save(folder)
    return {"rows": counted}


def place(bundle: Path, learned: Path, schema: Schema, held_out: HeldOut) -> None:
    """Make a bundle's folder with the reference in it: the inputs' as learned, and the answers on held-out rows."""
    bundle.mkdir()
    raw = json.loads((learned / reference.FILE_NAME).read_text(encoding="utf-8"))
    found = reference.fit_prediction_reference(schema, held_out.truths, held_out.answers)
    write_json(bundle / reference.FILE_NAME, {**raw, "answers": found.as_dict()})
    if (learned / reference.ARRAYS_FILE_NAME).is_file():
        shutil.copyfile(learned / reference.ARRAYS_FILE_NAME, bundle / reference.ARRAYS_FILE_NAME)
