"""Smaller models answer like the larger one where they promise to, and say what they cannot be made of."""

import json

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx import save as save_onnx

from rung.core import registry
from rung.core.errors import RungError
from rung.core.messages import has_message
from rung.core.model import FitContext
from rung.core.params import make_params
from rung.core.types import Examples, Field, Schema
from rung.modalities.text.onnx_encoder import EncoderConfig, OnnxEncoder
from rung.runtime.linear.head import LinearHead, holds_codes
from rung.training.compression import fewer_bits, fewer_ngrams, offers, students
from rung.training.compression.fewer_tokens import cut_graph, cut_tokenizer, used_tokens
from rung.training.compression.onnx_bits import weights_to_int8
from rung.training.compression.recipe import Source
from rung.training.text.encoder_export import export_encoder
from tiny_encoder import tiny_bert

SCHEMA = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", ("land", "sea")),))
WORDS = ["ship", "tree", "wave", "leaf", "harbour", "forest", "sail", "root"]


def examples(count=80):
    rng = np.random.default_rng(0)
    sea, land = WORDS[::2], WORDS[1::2]
    texts = [
        f"{rng.choice(sea if i % 2 else land)} number {i} of {rng.choice(sea if i % 2 else land)}"
        for i in range(count)
    ]
    labels = ["sea" if i % 2 else "land" for i in range(count)]
    return Examples(
        SCHEMA, {"text": texts}, labels, [str(i) for i in range(count)], list(range(count)), [0.0] * count
    )


@pytest.fixture
def source(tmp_path):
    rows, context = examples(), FitContext(effort=0)
    family = registry.model("tfidf_linear")
    params = make_params(family.Params, {})
    folder = tmp_path / "winner"
    folder.mkdir()
    family.fit(rows, params, context).save(folder)
    return Source("tfidf_linear", folder, SCHEMA, rows, params, context)


@pytest.mark.parametrize("make", [fewer_bits.to_float16, fewer_bits.to_int8, fewer_ngrams.keep_share(0.5)])
def test_a_smaller_linear_model_is_smaller_and_answers_alike(source, make, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    family = registry.model(make(source, folder))
    small, large = family.load(folder, SCHEMA), source.load()

    def size(at):
        return (at / "weights.safetensors").stat().st_size

    assert size(folder) < 0.8 * size(source.folder)
    inputs = source.learn.inputs
    assert [a.value for a in small.predict(inputs)] == [a.value for a in large.predict(inputs)]
    assert np.abs(small.probabilities(inputs) - large.probabilities(inputs)).max() < 0.2
    assert holds_codes(folder / "weights.safetensors") == (make is fewer_bits.to_int8)
    head, _, _ = LinearHead.load(folder, SCHEMA.classes)
    assert head.weights.dtype == np.float32


def test_a_student_learns_from_rows_that_the_source_answers(source, tmp_path):
    more = {"text": ["a wave and a sail", "a leaf and a root"] * 3}
    joined = students.taught(Source(**{**vars(source), "unlabelled": more}))
    assert len(joined) == len(source.learn) + 6
    assert list(joined.targets[-6:]) == ["sea", "land"] * 3
    assert students.taught(source) is source.learn


def wordpiece(vocabulary):
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": n, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for n, t in enumerate(("[UNK]", "[CLS]", "[SEP]"))],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]}, "[SEP]": {"id": "[SEP]", "ids": [2], "tokens": ["[SEP]"]}},
        },
        "decoder": None,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {t: n for n, t in enumerate(vocabulary)}},
    }  # fmt: skip


VOCABULARY = [
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "дом",
    "ship",
    "##s",
    "tree",
    "лес",
    "wave",
    "s",
    "h",
    "##h",
    "forest",
]


@pytest.fixture
def encoder(tmp_path):
    """The folder of a tiny encoder with random weights."""
    folder = tmp_path / "encoder"
    folder.mkdir()
    export_encoder(
        tiny_bert(2, len(VOCABULARY)),
        wordpiece(VOCABULARY),
        folder,
        EncoderConfig("", 0, "mean", 32),
        "float32",
    )
    return folder


def test_texts_that_were_seen_have_the_same_vectors_with_fewer_tokens(encoder, monkeypatch):
    monkeypatch.setattr("rung.training.compression.fewer_tokens._MOST_COMMON", 1)
    texts = ["ships and a tree", "wave", "hs"]
    before = OnnxEncoder.open(encoder).encode(texts)
    tokenizer = json.loads((encoder / "tokenizer.json").read_text())
    kept = used_tokens(tokenizer, texts)
    names = [VOCABULARY[number] for number in kept]
    # Special tokens, tokens of the texts, single characters; words of other texts and scripts are gone.
    assert names == ["[UNK]", "[CLS]", "[SEP]", "ship", "##s", "tree", "wave", "s", "h", "##h"]
    cut_graph(encoder / "model.onnx", kept)
    (encoder / "tokenizer.json").write_text(json.dumps(cut_tokenizer(tokenizer, kept)))
    small = OnnxEncoder.open(encoder)
    assert np.allclose(small.encode(texts), before, atol=1e-6)
    assert small.encode(["дом forest"]).shape == before[:1].shape


def test_a_tokenizer_of_merges_keeps_its_vocabulary():
    tokenizer = wordpiece(VOCABULARY)
    tokenizer["model"]["type"] = "BPE"
    with pytest.raises(RungError, match="built from others"):
        used_tokens(tokenizer, ["ship"])


def graph_file(path, operator, *weights):
    constants = [numpy_helper.from_array(w, f"w{n}") for n, w in enumerate(weights)]
    node = helper.make_node(operator, ["x", *(c.name for c in constants)], ["y"])
    shape = ["rows", len(weights[0])] if weights else ["rows", 4]
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], constants,
    )  # fmt: skip
    save_onnx(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


def test_weights_in_8_bits_are_a_quarter_and_give_nearly_the_same(tmp_path):
    weights = np.random.default_rng(0).normal(0, 1, (64, 128)).astype(np.float32)
    path = graph_file(tmp_path / "m.onnx", "MatMul", weights)
    rows, large = np.random.default_rng(1).normal(0, 1, (5, 64)).astype(np.float32), path.stat().st_size
    (before,) = onnxruntime.InferenceSession(path).run(None, {"x": rows})
    weights_to_int8(path)
    (after,) = onnxruntime.InferenceSession(path).run(None, {"x": rows})
    assert path.stat().st_size < 0.32 * large
    assert np.abs(after - before).max() < 0.02 * np.abs(before).max()


def test_a_graph_without_known_weights_is_refused_in_words(tmp_path):
    path = graph_file(tmp_path / "m.onnx", "Relu")
    with pytest.raises(RungError, match="no operator of the graph has weights that are known here"):
        weights_to_int8(path)


@pytest.mark.parametrize(
    "family",
    ["tfidf_linear", "frozen_backbone", "static_embedding", *offers._SMALLER_TABLES, *offers._STUDENTS],
)
@pytest.mark.parametrize("train", [False, True])
def test_recipes_have_names_of_their_own_and_words_in_both_languages(family, train, tmp_path):
    found = offers.recipes_for(family, tmp_path, SCHEMA, train)
    names = [recipe.name for recipe in found]
    assert len(set(names)) == len(names) > 0
    for number, recipe in enumerate(found):
        assert {recipe.base, recipe.after} - {""} <= set(names[:number])
        assert all(has_message(f"compress.step.{recipe.step}", lang) for lang in ("en", "zh"))


@pytest.mark.parametrize("variant", ["float32", "int8"])
def test_an_encoder_in_float_is_offered_8_bits(variant, tmp_path):
    (tmp_path / "encoder").mkdir()
    EncoderConfig("1", 8, "mean", 32, variant=variant).write(tmp_path / "encoder")
    names = {recipe.name for recipe in offers.recipes_for("frozen_encoder", tmp_path, SCHEMA)}
    assert ("encoder-int8" in names) == (variant == "float32")


@pytest.mark.parametrize("family", [*offers._STUDENTS, "frozen_backbone"])
def test_a_student_does_the_task_of_its_teacher(family, tmp_path):
    students = [
        r.values["family"] for r in offers.recipes_for(family, tmp_path, SCHEMA, True) if r.step == "student"
    ]
    assert students and all(registry.model(family).TASKS & registry.model(name).TASKS for name in students)


def test_a_family_without_recipes_has_none(tmp_path):
    assert offers.recipes_for("majority", tmp_path, SCHEMA) == []
