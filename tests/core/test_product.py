"""The spec: defaults, line numbers, and that no file can hang or kill the reader."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.core.errors import SpecError
from rung.core.spec.product import Product, iter_keys, load_product, parse_product, safe_name
from rung.core.spec.renamed import RenamedKeyWarning
from rung.core.spec.serve import ServeSpec

GOOD = "task: text_classification\ndata: {path: tickets.csv}\nbar: {metric: accuracy, at_least: 0.9}\n"


def test_defaults() -> None:
    product = parse_product(GOOD, default_name="tickets")
    assert product.name == "tickets"
    assert product.data.input == ("text",)
    assert product.data.target == "label"
    assert product.confidence == 0.95
    assert product.bar[0].level == 0.9
    assert product.bar[0].met_by(0.9)
    assert not product.bar[0].met_by(0.89)
    assert product.certify.fraction is None
    assert product.budget.effort == 2


def test_short_and_long_forms_are_one() -> None:
    short = GOOD + "ladder: [majority]\n"
    long = (
        "task: text_classification\ndata:\n  path: tickets.csv\n  input: [text]\n  target: label\n"
        "bar:\n- {metric: accuracy, at_least: 0.9, confidence: 0.95}\nladder:\n- model: majority\n"
    )
    assert parse_product(short) == parse_product(long)
    assert parse_product(short).fingerprint() == parse_product(long).fingerprint()


def test_every_key_changes_the_fingerprint() -> None:
    first = parse_product(GOOD).fingerprint()
    for line in (
        "seed: 1\n",
        "budget: {effort: 3}\n",
        "limits: {size_mb: 5}\n",
        "certify: {fraction: 0.2}\n",
    ):
        assert parse_product(GOOD + line).fingerprint() != first


def test_a_condition_can_ask_for_at_most() -> None:
    (condition,) = parse_product(GOOD.replace("accuracy, at_least: 0.9", "log_loss, at_most: 1.5")).bar
    assert condition.met_by(1.5)
    assert not condition.met_by(1.6)


def test_what_parses_parses_again_from_its_own_dump() -> None:
    product = parse_product(GOOD + "ladder: [majority, {model: tfidf_linear, name: big, params: {a: 1}}]\n")
    assert Product.model_validate_json(product.model_dump_json()) == product


def test_the_folder_stands_for_its_product_yaml(tmp_path: Path) -> None:
    folder = tmp_path / "my tickets"
    folder.mkdir()
    (folder / "product.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    product, base = load_product(folder)
    assert product.name == "my-tickets"
    assert base == folder.resolve()


def test_old_names_of_keys_are_read_with_a_warning() -> None:
    with pytest.warns(RenamedKeyWarning) as caught:
        product = parse_product(GOOD + "serve:\n  together: 4\n  waiting: 16\n")
    assert (product.serve.max_batch_size, product.serve.max_in_flight) == (4, 16)
    assert [str(warning.message) for warning in caught] == [
        "product.yaml, line 5: `serve.together` is now called `serve.max_batch_size`. "
        "The old name is still read; please rename it.",
        "product.yaml, line 6: `serve.waiting` is now called `serve.max_in_flight`. "
        "The old name is still read; please rename it.",
    ]
    # The spec that a run folder of version 0.1 holds.
    assert ServeSpec.model_validate({"together": 4, "waiting": 16, "rows": 9}) == ServeSpec(
        max_batch_size=4, max_in_flight=16, rows=9
    )


def test_new_names_of_keys_give_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    assert parse_product(GOOD + "serve: {max_batch_size: 4}\n").serve.max_batch_size == 4
    assert not recwarn.list


@pytest.mark.filterwarnings("ignore::rung.core.spec.renamed.RenamedKeyWarning")
@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("serve:\n  rows: 5\n  together: 99", "line 6, serve.max_batch_size: must be at most 32, not 99."),
        (
            "serve:\n  together: 4\n  max_batch_size: 8",
            "line 4, serve: 'together' is the old name of 'max_batch_size': keep only the new one.",
        ),
    ],
)
def test_mistakes_in_old_keys_are_named_with_their_line(lines: str, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_product(GOOD + lines + "\n")
    assert problem in str(caught.value)


def test_anchors_and_merges_are_read() -> None:
    text = "task: text_classification\ndata: {path: a.csv}\nbar:\n- &first {metric: accuracy, at_least: 0.9}\n- {<<: *first, metric: macro_f1}\n"
    assert [condition.metric for condition in parse_product(text).bar] == ["accuracy", "macro_f1"]


@pytest.mark.parametrize("name", ["a b", "", "ünïcode", "../../x", "." * 9, "名字", "x" * 99])
def test_safe_names_are_names(name: str) -> None:
    assert parse_product(GOOD, default_name=safe_name(name)).name == safe_name(name)


def test_every_key_has_a_description() -> None:
    keys = list(iter_keys(Product))
    assert len({name for name, *_ in keys}) == len(keys)
    assert [name for name, _, _, note in keys if not note] == []


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab:{}[]&*!|>-'\"# \n\t,?%@`.0é\0", max_size=60))
def test_no_text_is_more_than_a_spec_error(text: str) -> None:
    for wild in (text, GOOD + text):
        try:
            parse_product(wild)
        except SpecError as error:
            assert all(problem.problem.endswith(".") for problem in error.problems)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(key=st.sampled_from([name for name, *_ in iter_keys(Product)]), value=VALUES)
def test_no_value_of_any_key_is_more_than_a_spec_error(key: str, value: object) -> None:
    import yaml

    spec = yaml.safe_load(GOOD)
    at = spec
    *above, last = key.split(".")
    for part in above:
        if not isinstance(at.get(part), dict):
            at[part] = {}
        at = at[part]
    at[last] = value
    try:
        parse_product(yaml.safe_dump(spec, allow_unicode=True))
    except SpecError as error:
        assert error.problems
