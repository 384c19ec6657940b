"""An ONNX file of the user's: every form it may have is read, every mistake is named, and no gate is passed silently."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import rung
from onnx_files import (
    FLOAT,
    STRING,
    image_file,
    table_file,
    text_file,
    token_file,
    value,
    word_nodes,
    word_tokenizer,
    write,
)
from rung.core.blobs import Blob
from rung.core.errors import RungError, SpecError
from rung.core.model import DataFacts, FitContext
from rung.core.params import make_params
from rung.core.spec.product import Product
from rung.core.types import Examples, Field, Schema
from rung.modalities.images.png import write_png
from rung.models.bring_your_own import BringYourOwn, BringYourOwnParams
from rung.runtime.onnx import session
from rung.tasks.image_classification import ImageClassification
from rung.tasks.text_classification import TextClassification
from support import write_csv

TEXTS = ["a ship at sea", "a tree on land", "the harbour and the ship", "a hill", "sea", "tree and hill"]
TARGETS = ["sea", "land", "sea", "land", "sea", "land"]
WORDS = [["tree", "hill"], ["ship", "sea"]]  # land, sea


def examples(targets=TARGETS, **inputs):
    inputs = inputs or {"text": TEXTS}
    n = len(targets)
    schema = TextClassification().schema(list(inputs), targets)
    return Examples(schema, inputs, targets, [f"{i:016x}" for i in range(n)], list(range(n)), [0.0] * n)


def fit(folder, rows=None, **params):
    made = make_params(BringYourOwnParams, {"path": "model.onnx", **params})
    return BringYourOwn.fit(rows or examples(), made, FitContext(base=folder))


def refused(folder, rows=None, **params):
    with pytest.raises(RungError) as caught:
        fit(folder, rows, **params)
    assert caught.value.fix and caught.value.problem
    return str(caught.value)


def answers(model, **inputs):
    return [answer.value for answer in model.predict(inputs or {"text": TEXTS})]


@pytest.mark.parametrize(
    "last,params",
    [
        ("softmax", {}),
        ("none", {"scores": "logits"}),
        ("sigmoid", {}),
        ("zipmap:land,sea", {}),
        ("softmax", {"output": "scores", "labels": ["land", "sea"]}),
    ],
)
def test_each_form_of_scores(last, params, tmp_path):
    text_file(tmp_path / "model.onnx", WORDS, last)
    model = fit(tmp_path, **params)
    assert answers(model) == TARGETS
    found = model.probabilities({"text": ["tree", ""]})
    # One word is worth a logit of 2; none at all says nothing.
    assert found == pytest.approx(
        np.array([[1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))], [0.5, 0.5]]), abs=1e-6
    )


def test_labels_in_the_order_of_the_file(tmp_path):
    text_file(tmp_path / "model.onnx", WORDS[::-1])
    model = fit(tmp_path, labels=["sea", "land"])
    assert model.labels == ("land", "sea") and answers(model) == TARGETS
    assert model.probabilities({"text": ["tree"]})[0].argmax() == 0


def test_one_number_a_row_is_the_second_label(tmp_path):
    after = [
        helper.make_node("ReduceSum", ["hits", "axis"], ["count"], keepdims=0),
        helper.make_node("Sub", ["count", "half"], ["score"]),
    ]
    nodes = word_nodes(["ship", "sea"], after)
    weights = {"axis": np.array([1]), "half": np.array([0.5], np.float32)}
    inputs = [value("text", STRING, ["rows", 1])]
    write(tmp_path / "model.onnx", nodes, inputs, [value("score", FLOAT, ["rows"])], weights)
    assert answers(fit(tmp_path, scores="logits")) == TARGETS


def test_several_fields_by_name(tmp_path):
    """The file reads 'title' and 'body'; words of the body alone decide."""
    nodes = word_nodes(
        ["tree", "ship"],
        [
            helper.make_node("RegexFullMatch", ["title"], ["t"], pattern="urgent"),
            helper.make_node("Cast", ["t"], ["u"], to=FLOAT),
            helper.make_node("Add", ["hits", "u"], ["scores"]),
        ],
        text="body",
    )
    inputs = [value(name, STRING, ["rows", 1]) for name in ("title", "body")]
    write(tmp_path / "model.onnx", nodes, inputs, [value("scores", FLOAT, ["rows", 2])])
    rows = examples(["land", "sea"], title=["sea", "urgent"], body=["a tree", "a ship"])
    model = fit(tmp_path, rows, scores="logits")
    assert answers(model, title=["", None], body=["tree", "ship"]) == ["land", "sea"]
    (reasons,) = model.explain({"title": ["ship"], "body": ["a tree"]})
    assert [reason.text for reason in reasons] == ["tree"]
    assert "the product has no input of that name" in refused(tmp_path, scores="logits")


@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.INT32, TensorProto.FLOAT])
@pytest.mark.parametrize("tokens", ["tokens", 5])
@pytest.mark.parametrize("pad_left", [False, True])
def test_token_ids(kind, tokens, pad_left, tmp_path):
    token_file(tmp_path / "model.onnx", 2, tokens, kind)
    word_tokenizer(tmp_path / "tokenizer.json", sorted(set(" ".join(TEXTS).split())), pad_left)
    model = fit(tmp_path, tokenizer="tokenizer.json")
    graph = onnx.load(tmp_path / "model.onnx").graph
    table = onnx.numpy_helper.to_array(next(t for t in graph.initializer if t.name == "table"))
    known = sorted(set(" ".join(TEXTS).split()))
    logits = np.array([table[[known.index(w) + 2 for w in text.split()][:5]].sum(axis=0) for text in TEXTS])
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert model.probabilities({"text": TEXTS}) == pytest.approx(wanted, abs=1e-5)
    assert len(answers(model, text=["", "龘", "a " * 5000, "\ud800"])) == 4


def test_a_fixed_length_without_a_mask_is_padded(tmp_path):
    token_file(tmp_path / "model.onnx", 2, tokens=6, masked=False)
    word_tokenizer(tmp_path / "tokenizer.json", ["ship", "tree"])
    model = fit(tmp_path, tokenizer="tokenizer.json", max_tokens=2)
    one, two = model.probabilities({"text": ["ship tree", "ship tree ship ship"]})
    assert one == pytest.approx(two)


def test_a_file_that_answers_by_batch_is_asked_row_by_row(tmp_path):
    """Scores less the batch's mean: an answer would depend on its neighbours."""
    after = [
        helper.make_node("ReduceMean", ["hits", "axis"], ["mean"], keepdims=1),
        helper.make_node("Sub", ["hits", "mean"], ["off"]),
        helper.make_node("Add", ["off", "hits"], ["scores"]),
    ]
    inputs = [value("text", STRING, ["rows", 1])]
    outputs = [value("scores", FLOAT, ["rows", 2])]
    nodes = word_nodes(["tree", "ship"], after)
    write(tmp_path / "model.onnx", nodes, inputs, outputs, {"axis": np.array([0])})
    model = fit(tmp_path, scores="logits")
    assert "one at a time" in model.chosen["rows"]
    together = model.probabilities({"text": TEXTS})
    alone = [model.probabilities({"text": [text]})[0] for text in TEXTS]
    assert together == pytest.approx(np.array(alone))
    model.save(tmp_path)
    loaded = BringYourOwn.load(tmp_path, examples().schema)
    assert loaded.probabilities({"text": TEXTS}) == pytest.approx(together)


def test_one_row_a_batch_and_other_fixed_numbers(tmp_path):
    text_file(tmp_path / "model.onnx", WORDS, rows=1)
    assert answers(fit(tmp_path)) == TARGETS
    text_file(tmp_path / "model.onnx", WORDS, rows=4)
    assert "reads exactly 4 rows at a time\nExport it with a free first dimension" in refused(tmp_path)


def test_a_file_that_draws_by_chance_is_refused(tmp_path):
    after = [
        helper.make_node("RandomNormalLike", ["hits"], ["noise"]),
        helper.make_node("Add", ["hits", "noise"], ["scores"]),
    ]
    inputs = [value("text", STRING, ["rows", 1])]
    write(
        tmp_path / "model.onnx", word_nodes(["a", "b"], after), inputs, [value("scores", FLOAT, ["rows", 2])]
    )
    assert "different results for the same row" in refused(tmp_path, scores="logits")


def test_messages_about_scores(tmp_path):
    text_file(tmp_path / "model.onnx", WORDS, "none")
    assert refused(tmp_path) == (
        f"{tmp_path / 'model.onnx'}: 'scores' holds no probabilities (rows sum to 2 up to 4): these look like logits\n"
        "Write params: {scores: logits}, or export the model with its softmax or sigmoid."
    )
    text_file(tmp_path / "model.onnx", WORDS)
    assert "holds probabilities already" in refused(tmp_path, scores="logits")
    assert "no output called 'score'\nDid you mean 'scores'?" in refused(tmp_path, output="score")
    three = examples([*TARGETS[:5], "air"])
    assert "no output fits 3 labels: 'scores' tensor(float) ['rows', 2]" in refused(tmp_path, three)
    nodes = word_nodes(["a", "b"], [helper.make_node("Log", ["hits"], ["scores"])])
    inputs = [value("text", STRING, ["rows", 1])]
    write(tmp_path / "model.onnx", nodes, inputs, [value("scores", FLOAT, ["rows", 2])])
    assert "holds NaN or infinite numbers" in refused(tmp_path, scores="logits")


def test_messages_about_labels(tmp_path):
    text_file(tmp_path / "model.onnx", WORDS)
    assert "names 'lnad', which no training row has\nDid you mean 'land'?" in refused(
        tmp_path, labels=["lnad", "sea"]
    )
    assert "lacks 'land', which the data has" in refused(tmp_path, labels=["sea"])
    assert "names 'sea' twice" in refused(tmp_path, labels=["sea", "sea"])
    text_file(tmp_path / "model.onnx", WORDS, "zipmap:earth,water")
    assert "the file answers 'earth', 'water'; the data's labels are 'land', 'sea'" in refused(tmp_path)


def test_messages_about_inputs(tmp_path):
    token_file(tmp_path / "model.onnx", 2)
    assert "no tokenizer is named\nName it: params" in refused(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    assert "tokenizer cannot be used" in refused(tmp_path, tokenizer="tokenizer.json")
    word_tokenizer(tmp_path / "tokenizer.json", ["ship"])
    text_file(tmp_path / "model.onnx", WORDS)
    assert "the file reads texts (input 'text'" in refused(tmp_path, tokenizer="tokenizer.json")
    pixels = [value("pixels", FLOAT, ["rows", 3, 8, 8])]
    write(
        tmp_path / "model.onnx",
        [helper.make_node("Flatten", ["pixels"], ["y"])],
        pixels,
        [value("y", FLOAT, ["rows", 2])],
    )
    assert "its inputs are not supported: 'pixels' tensor(float) ['rows', 3, 8, 8]" in refused(tmp_path)


def test_messages_about_the_file(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    assert "there is no file 'model.onnx' in the folder of product.yaml" in refused(tmp_path)
    path.write_bytes(b"not a model")
    assert "this is not an ONNX file" in refused(tmp_path)
    node = helper.make_node("Guess", ["text"], ["scores"], domain="my.own")
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("my.own", 1)]
    shapes = [value("text", STRING, ["rows", 1])], [value("scores", FLOAT, ["rows", 2])]
    write(path, [node], *shapes, opsets=opsets)
    assert "it uses my.own:Guess, which onnxruntime does not have" in refused(tmp_path)
    text_file(path, WORDS)
    onnx.save(
        onnx.load(path), tmp_path / "split.onnx", save_as_external_data=True, location="w", size_threshold=0
    )
    assert "its weights ('weight', for example) are stored in another file" in refused(
        tmp_path, path="split.onnx"
    )
    monkeypatch.setattr(session, "MAX_BYTES", 10)
    with pytest.raises(RungError, match=r"GB, more than"):
        session.OnnxFile.open(path)


def test_a_file_that_changes_in_use_is_noticed(tmp_path):
    text_file(tmp_path / "model.onnx", WORDS)
    model = fit(tmp_path)
    text_file(tmp_path / "model.onnx", WORDS[::-1])
    (tmp_path / "out").mkdir()
    with pytest.raises(RungError, match="changed while it was in use"):
        model.save(tmp_path / "out")


def test_unavailable_names_the_mend(tmp_path):
    facts, context = DataFacts(10, 2, 10.0), FitContext(base=tmp_path)
    reason = BringYourOwn.unavailable(facts, BringYourOwnParams(), context)
    assert str(reason) == (
        "it names no file\nWrite ladder: [{model: bring_your_own, params: {path: model.onnx}}]."
    )
    text_file(tmp_path / "modle.onnx", WORDS)
    reason = BringYourOwn.unavailable(facts, BringYourOwnParams("model.onnx"), context)
    assert reason.fix == "Did you mean 'modle.onnx'?"
    assert BringYourOwn.unavailable(facts, BringYourOwnParams("modle.onnx"), context) is None


def spec(folder, rows, **params):
    write_csv(folder / "rows.csv", ["text", "label"], rows)
    return Product.model_validate(
        {
            "name": "own",
            "task": "text_classification",
            "data": {"path": str(folder / "rows.csv"), "input": "text", "target": "label"},
            "bar": {"metric": "accuracy", "at_least": 0.9},
            "budget": {"effort": 0, "threads": 1},
            # One word tells the label, which the file looks for.
            "accept": ["leak_word"],
            "ladder": ["majority", {"model": "bring_your_own", "params": params}],
        }
    )


def test_from_a_file_to_a_certified_bundle(tmp_path, monkeypatch):
    """The file stands on a ladder that names it, and its certificate says what it assumes."""
    monkeypatch.chdir(tmp_path)
    text_file(tmp_path / "model.onnx", WORDS)
    rows = [(f"row {i}: a {'ship' if i % 2 else 'tree'}", "sea" if i % 2 else "land") for i in range(400)]
    done = rung.build(spec(tmp_path, rows, path="model.onnx"), run=tmp_path / "run")
    assert done.cleared and done.report["winner"] == "bring_your_own"
    claim = json.loads((done.bundle / "manifest.json").read_text())["certificate"]["claim"]
    assert "model.onnx was neither trained nor selected on the certification rows" in claim
    model = rung.load(done.bundle)
    assert model.selftest() == []
    assert model.predict(["my ship"])[0].value == "sea" and model.explain(["my ship"])[0][0].text == "ship"


def test_rules_stand_before_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text_file(tmp_path / "model.onnx", WORDS)
    rows = [(f"row {i}: a {'ship' if i % 2 else 'tree'}", "sea" if i % 2 else "land") for i in range(400)]
    product = spec(tmp_path, rows, path="model.onnx").model_dump(exclude_none=True)
    product |= {"rules": [{"contains": "ship", "answer": "sea"}]}
    done = rung.build(Product.model_validate(product), run=tmp_path / "run")
    assert done.report["winner"] == "lookup-bring_your_own"
    assert "neither trained nor selected" in done.report["certificate"]["claim"]
    answers = rung.load(done.bundle).predict(["a ship", "a tree"])
    assert [(a.value, a.answered_by) for a in answers] == [("sea", "lookup"), ("land", "bring_your_own")]


def test_a_row_that_cannot_be_run_names_no_folder(tmp_path, monkeypatch):
    text_file(tmp_path / "model.onnx", WORDS)
    fit(tmp_path).save(tmp_path)
    loaded = BringYourOwn.load(tmp_path, examples().schema)
    monkeypatch.setattr(
        type(loaded._reader), "batches", lambda reader, inputs, alone: iter([([0], {"text": np.zeros(1)})])
    )
    with pytest.raises(RungError, match="cannot run it on a row") as caught:
        loaded.predict({"text": ["a"]})
    assert caught.value.where == "model.onnx"


def test_a_missing_file_stops_the_build_with_the_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [(f"row {i}", "sea" if i % 2 else "land") for i in range(200)]
    with pytest.raises(SpecError, match=r"ladder\.1: there is no file 'gone\.onnx'"):
        rung.build(spec(tmp_path, rows, path="gone.onnx"), run=tmp_path / "run")


def image_examples(side=6):
    """Squares of grey, bright or dark."""
    levels = [20, 200, 40, 230, 10, 250]
    images = [Blob.of(write_png(np.full((side, side), level, np.uint8))) for level in levels]
    targets = ["bright" if level > 128 else "dark" for level in levels]
    schema = ImageClassification().schema(["image"], targets)
    units = [f"{number:016x}" for number in range(len(levels))]
    return Examples(schema, {"image": images}, targets, units, list(range(len(levels))), [0.0] * len(levels))


@pytest.mark.parametrize(
    "shape",
    [["rows", 6, 6], ["rows", 6, 6, 1], ["rows", 6, 6, 3], ["rows", 1, 6, 6], ["rows", 3, 4, 6], ["rows", 36], ["rows", 108]],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("kind,params,half", [(FLOAT, {}, 0.5), (TensorProto.UINT8, {"levels": "bytes"}, 127.5)])  # fmt: skip
def test_images(shape, kind, params, half, tmp_path):
    image_file(tmp_path / "model.onnx", shape, kind, half)
    rows = image_examples()
    model = fit(tmp_path, rows, scores="logits", **params)
    assert answers(model, **rows.inputs) == rows.targets
    bright = model.probabilities({"image": rows.inputs["image"][1:2]})[0, 0]
    assert bright == pytest.approx(1 / (1 + np.exp(-9 * (200 / 127.5 - 1))), abs=1e-4)
    model.save(tmp_path)
    loaded = BringYourOwn.load(tmp_path, rows.schema)
    assert np.array_equal(loaded.probabilities(rows.inputs), model.probabilities(rows.inputs))


def test_images_are_explained_by_their_parts(tmp_path):
    image_file(tmp_path / "model.onnx", ["rows", 6, 6])
    rows = image_examples()
    reasons = fit(tmp_path, rows, scores="logits").explain({"image": rows.inputs["image"][:1]})
    assert all(reason.region is not None for reason in reasons[0])


@pytest.mark.parametrize(
    "shape,kind,params,words",
    [
        (["rows", "height", "width"], FLOAT, {}, "its input is not supported"),
        (["rows", 35], FLOAT, {}, "its input is not supported"),
        (["rows", 6, 6, 2], FLOAT, {}, "its input is not supported"),
        (["rows", 6, 6], TensorProto.UINT8, {}, "whole numbers .* levels are 0 to 1"),
        (["rows", 6, 6], FLOAT, {"max_tokens": 4}, "the product is of images"),
    ],
)
def test_images_of_another_form_are_refused(shape, kind, params, words, tmp_path):
    image_file(tmp_path / "model.onnx", shape, kind)
    with pytest.raises(RungError, match=words) as caught:
        fit(tmp_path, image_examples(), scores="logits", **params)
    assert caught.value.fix


def table_examples(**more):
    """Loans: large ones are late, which is the label that matters."""
    inputs = {
        "amount": [100.0, 900.0, 200.0, 800.0, None, 950.0],
        "age": [30.0, 40.0, 50.0, 60.0, 20.0, 33.0],
    }
    targets = ["good", "bad", "good", "bad", "good", "bad"]
    fields = tuple(Field(name, "number", "input") for name in inputs)
    fields += tuple(Field(name, "category", "input") for name in more)
    # As the task has them: the rarer or worse one stands last.
    schema = Schema(fields, (Field("label", "category", "output", ("good", "bad")),))
    units = [f"{number:016x}" for number in range(len(targets))]
    return Examples(schema, inputs | more, targets, units, list(range(len(targets))), [0.0] * len(targets))


@pytest.mark.parametrize("matrix", [0, 2])
def test_tables(matrix, tmp_path):
    """The file's second label is "good", as sorted; what is missing is NaN."""
    table_file(tmp_path / "model.onnx", "amount", 500.0, matrix=matrix)
    rows = table_examples()
    model = fit(tmp_path, rows, scores="logits")
    assert answers(model, **rows.inputs)[:4] == rows.targets[:4]
    chances = model.probabilities(rows.inputs)
    assert chances[4] == pytest.approx([0.5, 0.5]) and chances[1, 1] == pytest.approx(
        1 / (1 + np.exp(-7.2)), abs=1e-4
    )
    (reasons,) = model.explain({name: cells[1:2] for name, cells in rows.inputs.items()})
    assert [reason.text for reason in reasons] == ["amount = 900"] and reasons[0].weight > 0
    model.save(tmp_path)
    loaded = BringYourOwn.load(tmp_path, rows.schema)
    assert np.array_equal(loaded.probabilities(rows.inputs), chances)
    assert loaded.explain(rows.inputs) == model.explain(rows.inputs)


@pytest.mark.parametrize(
    "column,matrix,more,words",
    [
        ("amounts", 0, {}, "for all columns, and there are 2 columns"),
        ("", 3, {}, "for all columns, and there are 2 columns"),
        ("", 2, {"purpose": ["car"] * 6}, "'purpose' holds no numbers"),
        ("purpose", 0, {"purpose": ["car"] * 6}, "the column 'purpose' holds words"),
    ],
)
def test_tables_of_another_form_are_refused(column, matrix, more, words, tmp_path):
    table_file(tmp_path / "model.onnx", column, 500.0, matrix=matrix)
    with pytest.raises(RungError, match=words) as caught:
        fit(tmp_path, table_examples(**more), scores="logits")
    assert caught.value.fix
