"""Encoders as torch modules answer as their ONNX graphs do; LoRA; what is trained."""

import json

import numpy as np
import onnxruntime
import pytest
import torch
from torch.autograd import gradcheck

from rung.core.errors import RungError
from rung.modalities.text.finetuning_params import FinetuningParams
from rung.modalities.text.network_model import TextInputs, encode_texts, open_tokenizer
from rung.runtime.linear.head import Calibration, LinearHead
from rung.training.text.bert_onnx import write_classifier, write_float
from rung.training.text.bert_weights import BertWeights, FloatTable, Int4Table, Layer, Linear, Norm
from rung.training.text.vocabulary import learn_vocabulary
from rung.training.torch.adapters import AdaptedLinear
from rung.training.torch.bert import BertClassifier, BertEncoder
from rung.training.torch.encoder_finetune import EncoderSource, export_classifier, make_classifier
from rung.training.torch.lora import LoraLinear
from rung.training.torch.text_classifier import TokenRows

WIDTH, INNER, VOCABULARY, LABELS = 32, 48, 90, 3
DRAW = np.random.default_rng(0)
TEXTS = [f"the {a} {b} 球队" for a in ("red", "blue", "old") for b in ("ship", "tree", "house")]


def floats(*shape, scale=0.3):
    return DRAW.normal(0, scale, shape).astype(np.float32)


def linear(inputs, outputs):
    return Linear(floats(inputs, outputs), floats(outputs))


def norm():
    return Norm(1 + floats(WIDTH), floats(WIDTH))


def encoder_weights(packed=False, layers=4):
    if packed:
        codes = DRAW.integers(0, 256, (VOCABULARY, WIDTH // 2)).astype(np.uint8)
        tokens = Int4Table(codes, floats(VOCABULARY, WIDTH // 32).astype(np.float16))
    else:
        tokens = FloatTable(floats(VOCABULARY, WIDTH))
    each = [
        Layer(
            linear(WIDTH, 3 * WIDTH),
            linear(WIDTH, WIDTH),
            norm(),
            linear(WIDTH, INNER),
            linear(INNER, WIDTH),
            norm(),
        )
        for _ in range(layers)
    ]
    return BertWeights(4, 1e-12, tokens, floats(40, WIDTH), norm(), tuple(each))


def rows():
    return TokenRows([[1, 2, 3, 4, 5], [6, 7, 8]], np.array([0, 1]))


def head(width):
    return LinearHead(floats(width, LABELS), floats(LABELS), Calibration(scale=2.0))


def source(packed=False):
    tokenizer = learn_vocabulary(TEXTS, VOCABULARY, "subword")
    return EncoderSource("tiny", encoder_weights(packed), "mean", tokenizer, TextInputs(40, padded=False))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_onnx_and_torch_agree(packed, pooling):
    weights = encoder_weights(packed)
    encoder = BertEncoder(weights, pooling, np.array([3, 5]), 0.1)
    classifier = BertClassifier(encoder, floats(encoder.width, LABELS), floats(LABELS), 0.1).eval()
    content = write_classifier(encoder.export(), write_float, pooling, classifier.head_weights())
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for count, tokens in [(1, 1), (2, 7), (5, 13), (3, 40), (8, 2)]:
        ids = DRAW.integers(0, VOCABULARY, (count, tokens))
        (found,) = session.run(["logits"], {"input_ids": ids})
        padded = np.concatenate([ids, DRAW.integers(0, VOCABULARY, (count, max(40 - tokens, 0)))], axis=1)
        mask = np.zeros(padded.shape, np.float32)
        mask[:, :tokens] = 1
        with torch.no_grad():
            expected = classifier(torch.as_tensor(padded), torch.as_tensor(mask)).numpy()
        assert np.abs(found - expected).max() < 1e-4


def test_training_starts_at_the_linear_head():
    weights = encoder_weights()
    given = head(3 * WIDTH)
    start = make_classifier(source(), given, rows(), FinetuningParams())
    start = BertClassifier(
        BertEncoder(weights, "mean", np.array([1]), 0.0), given.weights * 2, given.bias * 2, 0.0
    )
    ids, mask = torch.tensor([[1, 2, 3]]), torch.ones(1, 3)
    features = start.eval().encoder(ids, mask).detach().numpy()
    expected = Calibration(scale=2.0).apply((features @ given.weights + given.bias).astype(np.float64))
    assert np.allclose(torch.softmax(start(ids, mask), 1).detach().numpy(), expected, atol=1e-5)


def test_lora_starts_at_the_frozen_layer_merges_and_has_right_gradients():
    torch.manual_seed(0)
    base = torch.nn.Linear(6, 4).double()
    layer = LoraLinear(base, rank=2, alpha=8.0).double()
    x = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    assert torch.equal(layer(x), base(x))
    torch.nn.init.normal_(layer.b)
    assert gradcheck(
        lambda v, a, b: torch.func.functional_call(layer, {"a": a, "b": b}, (v,)), (x, layer.a, layer.b)
    )
    assert torch.allclose(layer.merged().double()(x), layer(x), atol=1e-5)


@pytest.mark.parametrize(
    "layers,trained",
    [("all", {"encoder.embedding", "encoder.positions", "encoder.layers.0", "head"}),
     ("last_2", {"encoder.layers.2", "encoder.layers.3", "head"}),
     ("lora", {"encoder.layers.0", "encoder.layers.3", "head"}),
     ("adapters", {"encoder.layers.0", "encoder.layers.3", "head"})],
)  # fmt: skip
def test_what_is_trained(layers, trained):
    module = make_classifier(source(), head(3 * WIDTH), rows(), FinetuningParams(layers=layers))
    moving = {name for name, p in module.named_parameters() if p.requires_grad}
    for part in trained:
        assert any(name.startswith(part) for name in moving), part
    assert any(name.startswith("encoder.layers.0") for name in moving) == ("encoder.layers.0" in trained)
    assert all(".a" in n or ".b" in n for n in moving if layers == "lora" and "head" not in n)


@pytest.mark.parametrize("layers", ["all", "lora", "adapters"])
def test_exported_classifiers_answer_as_trained(layers):
    of = source()
    module = make_classifier(of, head(3 * WIDTH), rows(), FinetuningParams(layers=layers))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape))
    tokenizer = open_tokenizer(of.tokenizer)
    with torch.no_grad():
        module.eval()
        expected = np.concatenate(
            [
                module(torch.tensor([ids]), torch.ones(1, len(ids))).numpy()
                for ids in encode_texts(tokenizer, TEXTS, of.inputs)
            ]
        )
    exact, variant = export_classifier(module, of, TEXTS, "float32")
    assert variant == "float32" and np.abs(exact.logits(TEXTS) - expected).max() < 1e-4
    small, _ = export_classifier(module, of, TEXTS, "int8")
    assert np.abs(exact.logits(TEXTS) - small.logits(TEXTS)).max() < 0.3 * np.abs(exact.logits(TEXTS)).max()
    assert json.loads(exact.tokenizer_json)


def test_an_adapter_starts_at_nothing_and_has_right_gradients():
    torch.manual_seed(0)
    base = torch.nn.Linear(6, 4).double()
    layer = AdaptedLinear(base, 3).double()
    x = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.equal(layer(x), base(x))
    torch.nn.init.normal_(layer.up.weight)
    torch.nn.init.normal_(layer.down.weight)
    names = ("down.weight", "down.bias", "up.weight", "up.bias")
    values = [dict(layer.named_parameters())[name] for name in names]

    def answer(v, *given):
        return torch.func.functional_call(layer, dict(zip(names, given, strict=True)), (v,))

    assert gradcheck(answer, (x, *values))
    assert not base.weight.requires_grad


def test_adapters_learn_what_their_frozen_encoder_cannot_say():
    """Only adapters, norms and the head move, and the loss falls further than with the head alone."""
    losses = {}
    for layers in ("adapters", "last_1"):
        torch.manual_seed(0)
        params = FinetuningParams(layers=layers, bottleneck=8, dropout=0.0)
        module = make_classifier(source(), head(3 * WIDTH), rows(), params).train()
        if layers == "last_1":
            module.encoder.requires_grad_(False)
        frozen = {n: p.clone() for n, p in module.named_parameters() if not p.requires_grad}
        ids, mask = torch.randint(0, VOCABULARY, (24, 6)), torch.ones(24, 6)
        codes = torch.arange(24) % LABELS
        moving = [p for p in module.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(moving, lr=5e-3)
        for _ in range(25):
            loss = torch.nn.functional.cross_entropy(module(ids, mask), codes)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses[layers] = loss.item()
        assert all(torch.equal(frozen[n], p) for n, p in module.named_parameters() if n in frozen)
    assert losses["adapters"] < losses["last_1"]


@pytest.mark.parametrize("name", ["rank", "bottleneck"])
def test_a_width_of_zero_is_refused(name):
    with pytest.raises(RungError, match=name):
        FinetuningParams(layers="lora", **{name: 0})
