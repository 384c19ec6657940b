"""Tiny ONNX files, as a user might bring them: texts or token ids in, scores of labels out."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

STRING, FLOAT, INT64 = TensorProto.STRING, TensorProto.FLOAT, TensorProto.INT64
OPSETS = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3)]


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def write(path, nodes, inputs, outputs, weights=None, opsets=OPSETS):
    """Write a graph; weights: name -> array."""
    arrays = [numpy_helper.from_array(np.asarray(array), name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "brought", inputs, outputs, arrays)
    path.write_bytes(helper.make_model(graph, opset_imports=list(opsets), ir_version=9).SerializeToString())
    return path


def word_nodes(words, last, text="text"):
    """Nodes that count which words a text [rows, 1] holds: `hits` [rows, words]; then the nodes of `last`."""
    nodes = []
    for i, word in enumerate(words):
        nodes.append(helper.make_node("RegexFullMatch", [text], [f"m{i}"], pattern=f"(?s).*{word}.*"))
        nodes.append(helper.make_node("Cast", [f"m{i}"], [f"f{i}"], to=FLOAT))
    nodes.append(helper.make_node("Concat", [f"f{i}" for i in range(len(words))], ["hits"], axis=1))
    return [*nodes, *last]


def text_file(path, words, last="softmax", name="scores", rows="rows"):
    """A file that reads texts: one list of words a label. last: softmax, none (logits), zipmap, sigmoid (two labels)."""
    flat = [word for group in words for word in group]
    weight = np.zeros((len(flat), len(words)), np.float32)
    weight[np.arange(len(flat)), [k for k, group in enumerate(words) for _ in group]] = 2.0
    shape = [rows, len(words)]
    after = [helper.make_node("MatMul", ["hits", "weight"], [name if last == "none" else "logits"])]
    if last == "softmax":
        after.append(helper.make_node("Softmax", ["logits"], [name], axis=1))
    if last == "sigmoid":
        weight = weight[:, 1:] - weight[:, :1]
        after.append(helper.make_node("Sigmoid", ["logits"], [name]))
        shape = [rows, 1]
    outputs = [value(name, FLOAT, shape)]
    if last.startswith("zipmap:"):
        after.append(helper.make_node("Softmax", ["logits"], ["dense"], axis=1))
        keys = {"classlabels_strings": last.removeprefix("zipmap:").split(",")}
        after.append(helper.make_node("ZipMap", ["dense"], [name], domain="ai.onnx.ml", **keys))
        map_type = helper.make_map_type_proto(STRING, helper.make_tensor_type_proto(FLOAT, []))
        outputs = [helper.make_value_info(name, helper.make_sequence_type_proto(map_type))]
    return write(
        path, word_nodes(flat, after), [value("text", STRING, [rows, 1])], outputs, {"weight": weight}
    )


def token_file(path, labels, tokens="tokens", kind=INT64, masked=True, vocabulary=64):
    """A file that reads token ids: the mean of each token's row of logits, padding left out where `masked`."""
    rng = np.random.default_rng(0)
    weights = {"table": rng.normal(size=(vocabulary, labels)).astype(np.float32)}
    inputs = [value("input_ids", kind, ["rows", tokens])]
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["ids"], to=INT64),
        helper.make_node("Gather", ["table", "ids"], ["each"]),
    ]
    if masked:
        inputs += [value(name, kind, ["rows", tokens]) for name in ("attention_mask", "token_type_ids")]
        weights["last"] = np.array([2], np.int64)
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["real"], to=FLOAT),
            helper.make_node("Unsqueeze", ["real", "last"], ["column"]),
            helper.make_node("Mul", ["each", "column"], ["kept"]),
        ]
    nodes += [
        helper.make_node("ReduceSum", ["kept" if masked else "each", "axis"], ["sum"], keepdims=0),
        helper.make_node("Softmax", ["sum"], ["scores"], axis=1),
    ]
    weights["axis"] = np.array([1], np.int64)
    return write(path, nodes, inputs, [value("scores", FLOAT, ["rows", labels])], weights)


def word_tokenizer(path, words, pad_left=False):
    """A tokenizer.json that knows these words, padding as number 0."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {"[PAD]": 0, "[UNK]": 1} | {word: i + 2 for i, word in enumerate(words)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if pad_left:
        made.enable_padding(direction="left", pad_id=0)
    made.save(str(path))
    return path


def image_file(path, shape, kind=FLOAT, half=0.5, bright_first=True):
    """A file that reads images: a logit of 9 times how far the mean level is over half, for the bright one of two labels.

    One number a row is the score of the second label.
    """
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["mean", "half"], ["off"]),
        helper.make_node("Div", ["off", "half"], ["share"]),
        helper.make_node("Mul", ["share", "factor"], ["scores"]),
    ]
    factor = np.array(-9.0 if bright_first else 9.0, np.float32)
    weights = {"axes": np.arange(1, len(shape)), "half": np.array(half, np.float32), "factor": factor}
    return write(path, nodes, [value("pixels", kind, shape)], [value("scores", FLOAT, ["rows"])], weights)


def table_file(path, column, half, high_first=True, matrix=0):
    """A file that reads one column of numbers, or a matrix of so many: a logit by how far the first is over half.

    One number a row is the score of the second label; what is missing counts as half.
    """
    name, width = ("cells", matrix) if matrix else (column, 1)
    nodes = [
        helper.make_node("Gather", [name, "first"], ["number"], axis=1),
        helper.make_node("IsNaN", ["number"], ["missing"]),
        helper.make_node("Where", ["missing", "half", "number"], ["filled"]),
        helper.make_node("Sub", ["filled", "half"], ["off"]),
        helper.make_node("Div", ["off", "half"], ["share"]),
        helper.make_node("Mul", ["share", "factor"], ["scores"]),
    ]
    factor = np.array(-9.0 if high_first else 9.0, np.float32)
    weights = {"first": np.array([0]), "half": np.array(half, np.float32), "factor": factor}
    inputs = [value(name, FLOAT, ["rows", width])]
    return write(path, nodes, inputs, [value("scores", FLOAT, ["rows", 1])], weights)
