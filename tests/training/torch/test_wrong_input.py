"""What users get wrong with networks: each has a message with the value, the place and the fix, or simply works."""

import importlib.util
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from rung.core import registry
from rung.core.errors import DataError, MissingExtra, RungError
from rung.core.model import DataFacts, FitContext
from rung.core.params import make_params
from rung.modalities.text.network_model import TextInputs, encode_texts, open_tokenizer
from rung.runtime.weights.store import weights_folder
from rung.testing import tiny_examples
from rung.training.text.vocabulary import learn_vocabulary

FACTS = DataFacts(100, 2, 50.0, ("a text in English",))
NETWORKS = ("mlp", "cnn_text", "lstm", "gru", "transformer")


def fit(model, params, examples, context=None):
    family = registry.model(model)
    return family.fit(examples, make_params(family.Params, params), context or FitContext())


@pytest.fixture
def folder(tmp_path, minilm):
    """A copy of the folder of an encoder, to break; only its small files are copied, the weights are linked."""
    source = weights_folder("minilm")
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(source / name, tmp_path / name)
    (tmp_path / "model.safetensors").symlink_to(source / "model.safetensors")
    return tmp_path


def refused(folder, words):
    _, examples = tiny_examples("text_classification")
    with pytest.raises(RungError, match=words) as caught:
        fit("finetuned_encoder", {"weights": f"file:{folder}", "epochs": 1}, examples)
    assert caught.value.where and caught.value.fix
    return caught.value


def test_without_torch_the_line_to_install_it_is_said(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else found(name))
    for name in (*NETWORKS, "finetuned_encoder", "fewshot_encoder", "network_search", "mlp_table"):
        family = registry.model(name)
        problem = family.unavailable(FACTS, family.Params(), FitContext())
        assert isinstance(problem, MissingExtra) and "[train]" in problem.fix, name
    stack = registry.model("stack")
    assert "[train]" in stack.unavailable(FACTS, stack.Params(networks=True), FitContext()).fix


def test_a_hub_name_that_is_not_there_says_how_to_fetch_it():
    family = registry.model("finetuned_encoder")
    problem = family.unavailable(FACTS, family.Params(weights="hub:nobody/nothing"), FitContext())
    assert "'hub:nobody/nothing' are not on this machine" in problem.problem
    assert "rung weights fetch hub:nobody/nothing" in problem.fix


def test_a_checkpoint_of_another_architecture(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    assert "bert, roberta" in refused(folder, "model_type 'gpt2'").fix
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 9}))
    refused(folder, "tensor 'encoder.layer.6.attention.self.query.weight' is missing")


def test_a_tokenizer_of_other_weights(folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary |= {f"zz{number}": len(vocabulary) + number for number in range(20)}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    refused(folder, "tokenizer knows 30,542 tokens, and the weights have vectors for 30,522")


def test_weights_that_were_written_by_half(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    assert "Fetch it again" in refused(folder, "cannot be read").fix


@pytest.mark.parametrize("model", NETWORKS)
def test_one_row_a_class_trains(model):
    _, examples = tiny_examples("text_classification")
    first = [examples.targets.index(label) for label in examples.schema.labels]
    fitted = fit(model, {"init": "random", "width": 16, "epochs": 1, "heads": 4}, examples.take(first))
    assert fitted.predict({"text": ["a text"]})[0].value in examples.schema.labels


@pytest.mark.parametrize("model", ["finetuned_encoder", "fewshot_encoder"])
def test_one_row_a_class_trains_an_encoder(model, minilm):
    _, examples = tiny_examples("text_classification")
    first = [examples.targets.index(label) for label in examples.schema.labels]
    params = {"weights": "minilm", "epochs": 1, "precision_on_disk": "float32"}
    fitted = fit(model, params, examples.take(first))
    assert fitted.predict({"text": ["a text"]})[0].value in examples.schema.labels


@pytest.mark.parametrize("model", ["mlp", "lstm"])
def test_a_label_that_only_held_out_rows_have(model):
    """A fold may lack a rare label: it is never given then, and its held-out rows are scored as errors."""
    _, examples = tiny_examples("text_classification")
    own = [i for i, target in enumerate(examples.targets) if target == "sport"]
    schema = replace(
        examples.schema, outputs=(replace(examples.schema.outputs[0], values=("kitchen", "rare", "sport")),)
    )
    learn = replace(examples, schema=schema)
    held = replace(learn.take(own[:4]), targets=["rare"] * 4)
    params = {"init": "random", "width": 16, "epochs": 2}
    fitted = fit(model, params, learn, FitContext(validation=held))
    chances = np.array([a.extra["probabilities"] for a in fitted.predict(learn.inputs)])
    assert chances.shape == (len(learn), 3) and np.allclose(chances.sum(axis=1), 1.0)


def test_ten_thousand_classes_are_refused_before_anything_is_trained():
    task = registry.task("text_classification")
    with pytest.raises(DataError, match="10,000 different labels; at most 1,000") as caught:
        task.check({f"label {number}": 4 for number in range(10_000)}, "rows.csv")
    assert "merge labels" in caught.value.fix


def test_a_text_of_200_000_tokens_is_cut_before_it_is_tokenised():
    tokenizer = open_tokenizer(learn_vocabulary(["the red ship", "a blue tree"] * 20, 200, "subword"))
    text = "the red ship " * 70_000 + "a blue tree"
    head, both = (encode_texts(tokenizer, [text], TextInputs(64, tail=tail))[0] for tail in (0, 32))
    assert len(head) == len(both) == 64
    end = encode_texts(tokenizer, ["a blue tree"], TextInputs(64))[0]
    assert both[-len(end) :] == end and head[-len(end) :] != end and head[:32] == both[:32]


def test_a_network_reads_both_ends_where_it_is_asked_to():
    """What decides stands at the end, behind more words than are read."""
    _, examples = tiny_examples("text_classification")
    long = ["filler word " * 60 + text for text in examples.inputs["text"]]
    params = {
        "init": "random",
        "width": 32,
        "epochs": 30,
        "max_tokens": 24,
        "learning_rate": 0.01,
        "vocabulary_size": 400,
    }
    right = {}
    for ends in (False, True):
        model = fit("mlp", params | {"ends": ends}, replace(examples, inputs={"text": long}))
        found = [answer.value for answer in model.predict({"text": long})]
        right[ends] = np.mean([a == t for a, t in zip(found, examples.targets, strict=True)])
    assert right[True] > 0.9 > right[False]
