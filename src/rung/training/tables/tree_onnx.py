"""Write a tree ensemble as an ONNX model, for ensembles too large for QuickScorer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rung.modalities.tables.fitted import MemberModel
from rung.modalities.tables.quickscorer import fits_quickscorer
from rung.modalities.tables.tree_arrays import Trees
from rung.modalities.tables.tree_ensemble import TreeEnsemble

_OPSET, _ML_OPSET, _IR_VERSION = 17, 5, 10
# Values of TreeEnsemble's attributes: sum of leaves, no transformation, "at most" splits.
_SUM, _NONE, _LESS_OR_EQUAL = 1, 0, 0


def with_onnx(member: MemberModel) -> MemberModel:
    """Return a large tree ensemble with its ONNX model; other models unchanged."""
    if not isinstance(member, TreeEnsemble) or fits_quickscorer(member.trees):
        return member
    return replace(member, onnx=trees_to_onnx(member.trees, len(member.encoding.sources)))


def trees_to_onnx(trees: Trees, features: int) -> bytes:
    """Return the trees as one TreeEnsemble node: input `rows` [n, features] float32, output `raw` [n,
    outputs].

    The operator of ai.onnx.ml 5 keeps splits and leaves apart: half the size of TreeEnsembleRegressor, with
    the same answers.
    """
    from onnx import TensorProto, helper, numpy_helper

    is_leaf = trees.feature < 0
    split, leaf = np.flatnonzero(~is_leaf), np.flatnonzero(is_leaf)
    # The number of each node among the splits or among the leaves.
    number = np.where(is_leaf, np.cumsum(is_leaf), np.cumsum(~is_leaf)) - 1
    left, right = trees.left[split], trees.right[split]
    tree = np.searchsorted(trees.roots, np.arange(len(trees.feature)), side="right") - 1
    node = helper.make_node(
        "TreeEnsemble", ["rows"], ["raw"], domain="ai.onnx.ml",
        n_targets=trees.outputs, aggregate_function=_SUM, post_transform=_NONE,
        tree_roots=_ints(number[trees.roots]),
        nodes_featureids=_ints(trees.feature[split]),
        nodes_splits=numpy_helper.from_array(trees.threshold[split], "splits"),
        nodes_modes=numpy_helper.from_array(np.full(len(split), _LESS_OR_EQUAL, np.uint8), "modes"),
        nodes_truenodeids=_ints(number[left]), nodes_trueleafs=_ints(is_leaf[left]),
        nodes_falsenodeids=_ints(number[right]), nodes_falseleafs=_ints(is_leaf[right]),
        nodes_missing_value_tracks_true=_ints(trees.missing_left[split]),
        leaf_targetids=_ints(trees.output[tree[leaf]]),
        leaf_weights=numpy_helper.from_array(trees.value[leaf], "weights"),
    )  # fmt: skip
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, features])],
        [helper.make_tensor_value_info("raw", TensorProto.FLOAT, [None, trees.outputs])],
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="rung")
    return bytes(model.SerializeToString())


def _ints(values: npt.NDArray[np.generic]) -> list[int]:
    return [int(value) for value in values.tolist()]
