"""Every model family keeps the public contract on every task it can do, and answers to what it has never seen."""

import importlib.util
import math
from pathlib import Path

import pytest

from rung.core import registry
from rung.core.label_sets import set_labels
from rung.core.model import DataFacts, FitContext
from rung.core.params import make_params
from rung.testing import check_model, tiny_examples
from tiny_causal import tiny_causal
from ways_in import WAYS_IN


def installed(name):
    """Return whether the packages that fitting needs are there: an extra may be missing."""
    return all(importlib.util.find_spec(package) for package in registry.model(name).PACKAGES)


NAMES = [name for name in registry.model_names() if installed(name)]
PAIRS = sorted(
    (name, task) for task in registry.task_names() for name in registry.models_for(task) if name in NAMES
)
# A small encoder and one epoch instead of the defaults, which train for minutes.
_SHORT = {"weights": "minilm", "epochs": 1, "max_tokens": 32, "precision_on_disk": "float32"}
SHORT = {
    "finetuned_encoder": _SHORT,
    "fewshot_encoder": _SHORT,
    "scratch_cnn": {"epochs": 4, "width": 8},
    "finetuned_backbone": {"epochs": 1, "blocks": 2, "side": 32},
    "coco_detector": {"threshold": 0.3},
    "detector_head": {"epochs": 6, "hidden": 16, "side": 128},
    "page_reader": {"least_side": 128, "most_side": 256},
    "sasrec": {"epochs": 30, "width": 16, "hidden": 16, "layers": 1},
    "two_tower": {"epochs": 30, "width": 16, "hidden": 16},
    "lstm_writer": {"epochs": 60, "width": 32, "dropout": 0.0, "patience": 0, "learning_rate": 1e-2},
    "seq2seq_writer": {"epochs": 60, "width": 32, "dropout": 0.0, "patience": 0, "learning_rate": 1e-2},
    "transformer_writer": {
        "epochs": 60,
        "width": 32,
        "hidden": 64,
        "layers": 1,
        "dropout": 0.0,
        "patience": 0,
        "learning_rate": 1e-2,
    },
    "mlp_table": {"epochs": 20, "members": 4, "width": 32},
}
# Of random weights, so that it learns more than a tuned model has to.
TUNED = {"epochs": 15, "rank": 32, "learning_rate": 1e-2, "patience": 0, "bits": "16"}
STRANGE = ["", " ", "zzzz qqqq", "龘龘龘", "🙂", "a" * 300_000, "\x00\ud800"]
ODD = {
    "number": [None, 0.0, 1e300, -1e300, 5e-324, 7.0, None],
    "time": ["", None, "1000-01-01", "9999-12-31"] + [None] * 3,
    "writing_options": [
        None,
        {},
        {"max_chars": 1},
        {"temperature": 2.0},
        {"top_k": 1, "top_p": 0.01},
        None,
        None,
    ],
}


@pytest.fixture(scope="session")
def given(tmp_path_factory):
    """The parameters of the families that have no defaults to run with, and the folder of their files."""
    folder = tmp_path_factory.mktemp("brought")
    found = {name: (write(folder), folder) for name, write in WAYS_IN.items()}

    def of(name, task="text_classification"):
        if name == "llm_lora":
            return {**TUNED, "weights": tiny_causal(folder / "causal")}, folder
        return found.get(f"{name} {task}") or found.get(name, (SHORT.get(name, {}), Path()))

    return of


def test_whatever_can_run_with_its_defaults_does():
    """A way in is for a family that only enters a ladder that names it, and that says so without its file."""
    # Whether the weights of a language model were fetched here is another matter.
    for name in set(NAMES) - {"llm_lora"}:
        family = registry.model(name)
        reason = family.unavailable(DataFacts(100, 2, 100.0, repeated=1.0), family.Params(), FitContext())
        assert (reason is not None) == (name in WAYS_IN), name
        assert reason is None or (family.PLACE == "asked" and reason.fix)


@pytest.mark.parametrize("name,task_name", PAIRS)
def test_the_contract(name, task_name, given):
    params, base = given(name, task_name)
    check_model(name, params, base, [task_name])


@pytest.mark.parametrize(
    "name,task_name",
    [
        (n, t)
        for n, t in PAIRS
        if not {"image", "history"} & {f.kind for f in tiny_examples(t)[1].schema.inputs}
    ],
)
def test_unseen_input_is_answered(name, task_name, given):
    _, examples = tiny_examples(task_name)
    family = registry.model(name)
    params, base = given(name, task_name)
    model = family.fit(examples, make_params(family.Params, params), FitContext(effort=1, base=base))
    answers = model.predict({f.name: ODD.get(f.kind, STRANGE) for f in examples.schema.inputs})
    assert len(answers) == len(STRANGE)
    labels, sets = examples.schema.labels, examples.schema.label_set
    if task_name == "text_extraction":
        for answer, text in zip(answers, STRANGE, strict=True):
            assert all(place["value"] in text for place in answer.extra.get("places", []))
    elif task_name == "text_generation":
        assert all(isinstance(a.value, str) and len(a.value) <= 400 for a in answers)
        assert len(answers[2].value) <= 1
    elif sets:
        assert all(set(set_labels(a.value)) <= set(sets) for a in answers)
    else:
        assert all(a.value in labels if labels else math.isfinite(a.value) for a in answers)


def test_prices_grow_with_the_length_of_texts():
    for name in NAMES:
        family = registry.model(name)
        short, long = (
            family.cost(DataFacts(100, 2, chars), family.Params(), FitContext()) for chars in (100.0, 1000.0)
        )
        assert short.cpu_seconds_per_1k <= long.cpu_seconds_per_1k, name
