"""Tables with cells as nasty as they come, and bundles of models fitted on them."""

from collections import Counter
from datetime import datetime, timedelta

import numpy as np

from rung.core import registry
from rung.core.manifest import Manifest
from rung.core.model import FitContext
from rung.core.scalars import cell_text
from rung.core.types import Examples
from rung.exporting.source import Source
from rung.serving.predictor import Predictor

WORDS = ["red", "绿色", 'say "hi"', "back\\slash", "what??/now", "a\tb", "é", "", None]


def examples_of(task_name, inputs, targets):
    task = registry.task(task_name)
    schema = task.schema(list(inputs), sorted({str(t) for t in targets}))
    cells = {name: Counter(map(cell_text, column)) for name, column in inputs.items()}
    schema = task.described(schema, Counter(targets), lambda: cells, {})
    n = len(targets)
    ids = [f"{i:016x}" for i in range(n)]
    return Examples(schema, inputs, list(targets), ids, list(range(n)), [0.0] * n)


def nasty(rows=600, seed=0):
    """Numbers with gaps and huge values, dates before and after 1970, words of all kinds, words seen once."""
    rng = np.random.default_rng(seed)
    number = rng.normal(size=rows)
    number[::7] = np.nan
    large = rng.integers(0, 1_000_000_000, rows).astype(float)
    large[3] = 1.7e308
    day = [
        (datetime(1965, 1, 1) + timedelta(hours=int(h))).isoformat() for h in rng.integers(0, 500_000, rows)
    ]
    day[::9] = [None] * len(day[::9])
    word = [WORDS[i] for i in rng.integers(0, len(WORDS), rows)]
    rare = [f"身份-{i // 2}" for i in range(rows)]
    inputs = {"a number": number, "int": large, "2day": day, "colour": word, "colour?": rare}
    score = np.nan_to_num(number) + np.array([w in ("red", "绿色") for w in word]) + 0.01 * (large > 5e8)
    return inputs, score


def source_of(family, examples, folder, effort=1, task="", params=None):
    model = registry.model(family)
    fitted = model.fit(examples, model.Params(**(params or {})), FitContext(effort=effort))
    fitted.save(folder)
    loaded = model.load(folder, examples.schema)
    name = task or ("tabular_classification" if examples.schema.labels else "tabular_regression")
    manifest = Manifest("nasty-table", "1", "0", name, family, family, "", examples.schema, {})
    return Source(folder, Predictor(manifest, registry.task(name), loaded, folder))
