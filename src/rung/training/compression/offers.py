"""Which smaller versions of a model are worth making, mildest first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rung.core.types import Schema
from rung.modalities.text.onnx_encoder import EncoderConfig
from rung.training.compression.fewer_bits import to_float16, to_int8
from rung.training.compression.fewer_ngrams import keep_share
from rung.training.compression.fewer_tokens import fewer_tokens
from rung.training.compression.recipe import Recipe
from rung.training.compression.smaller_backbone import first_blocks, smaller_side, weights_in_8_bits
from rung.training.compression.smaller_encoder import cut_and_trained, keep_layers
from rung.training.compression.static_student import static_student
from rung.training.compression.students import student

_LAYERS, _TRAINED_LAYERS = (4, 3, 2), (4, 3)
# The share of the heads and feed-forward units that stays.
_NARROW = 0.5
# Of each family of tables: name of the recipe, family and parameters, the largest first.
_SMALL_TREES: dict[str, Any] = {"bags": 1, "num_leaves": 7, "learning_rate": 0.15}
_FEW_TREES: dict[str, Any] = {"bags": 1, "num_leaves": 4, "learning_rate": 0.3}
_ONE: tuple[str, str, dict[str, Any]] = ("one-linear", "linear_table", {})
_TREES = (
    ("one-bag", "boosted_trees", {"bags": 1}),
    ("small-trees", "boosted_trees", _SMALL_TREES),
    ("few-trees", "boosted_trees", _FEW_TREES),
)
_SMALLER_TABLES: dict[str, tuple[tuple[str, str, dict[str, Any]], ...]] = {
    "stack": (*_TREES, _ONE),
    "boosted_trees": (*_TREES, _ONE),
    "mlp_table": (*_TREES, _ONE),
    "explainable_boosting": (("few-trees", "boosted_trees", _FEW_TREES), _ONE),
}
# Families that are not cut themselves -> families that learn from their answers, the largest first.
_OF_TEXTS, _OF_IMAGES = (
    ("frozen_encoder", "static_embedding", "tfidf_linear"),
    ("hog_linear", "pixels_linear"),
)
_STUDENTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("lstm", "gru", "cnn_text", "mlp", "transformer", "network_search"), _OF_TEXTS[1:]),
    **dict.fromkeys(("finetuned_encoder", "fewshot_encoder"), _OF_TEXTS),
    **dict.fromkeys(("scratch_cnn", "finetuned_backbone"), _OF_IMAGES),
    "hog_linear": _OF_IMAGES[1:],
}
_SHARES = (0.5, 0.25, 0.12, 0.06, 0.03, 0.015)


def recipes_for(family: str, folder: Path, schema: Schema, train: bool = False) -> list[Recipe]:
    """Return the recipes for a winner of this family, in the order in which they are tried; [] where there is none.

    folder: of the winner's model. train: also those that train a cut network, which takes minutes each.
    """
    if family == "tfidf_linear":
        return _ngram_recipes()
    if family in {"frozen_encoder", "blend"}:
        return _encoder_recipes(family, folder, not schema.label_set, train)
    if family == "frozen_backbone":
        return _backbone_recipes(train)
    if family == "static_embedding":
        return _bits("")
    if family in _SMALLER_TABLES:
        return _table_recipes(family)
    taught = [_student(name) for name in _STUDENTS.get(family, ())]
    return [_student("scratch_cnn"), *taught] if train and family == "finetuned_backbone" else taught


def _ngram_recipes() -> list[Recipe]:
    found = _bits("")
    before = ""
    for share in _SHARES:
        name = f"ngrams-{share * 100:g}".replace(".", "_")
        found.append(Recipe(name, "ngrams", keep_share(share), {"share": share}, after=before))
        found.append(Recipe(f"{name}-int8", "int8", to_int8, base=name))
        before = name
    return found


def _student(family: str) -> Recipe:
    return Recipe(f"student-{family}", "student", student(family, {}), {"family": family})


def _backbone_recipes(train: bool) -> list[Recipe]:
    """Return the recipes of a model over a backbone: 8 bits, fewer blocks, smaller images, and a student without it."""
    found = [Recipe("weights-int8", "weights_int8", weights_in_8_bits), *_bits("weights-int8")]
    for name, step, make, values in (
        ("blocks", "blocks", first_blocks, {}),
        ("side-75", "side", smaller_side(0.75), {"share": 0.75}),
        ("side-50", "side", smaller_side(0.5), {"share": 0.5}),
    ):
        found.append(Recipe(name, step, make, values))
        found.append(Recipe(f"{name}-weights-int8", "weights_int8", weights_in_8_bits, base=name))
    found.append(Recipe("blocks-side-75", "side", smaller_side(0.75), {"share": 0.75}, base="blocks"))
    found.append(Recipe("blocks-side-75-int8", "weights_int8", weights_in_8_bits, base="blocks-side-75"))
    if train:
        found.append(_student("scratch_cnn"))
    return [*found, _student("hog_linear")]


def _encoder_recipes(family: str, folder: Path, one_label: bool, train: bool) -> list[Recipe]:
    """Return the recipes of a model over a sentence encoder: fewer bits, tokens and layers, and students without it."""
    found = [Recipe("tokens", "tokens", fewer_tokens), *_bits("tokens")]
    if EncoderConfig.read(folder / "encoder").variant == "float32":
        found.insert(0, Recipe("encoder-int8", "encoder_int8", keep_layers(None)))
        found.insert(1, Recipe("encoder-int8-tokens", "tokens", fewer_tokens, base="encoder-int8"))
    before = ""
    for layers in _LAYERS:
        name = f"layers-{layers}"
        found.append(Recipe(name, "layers", keep_layers(layers), {"layers": layers}, after=before))
        found.append(Recipe(f"{name}-tokens", "tokens", fewer_tokens, base=name))
        before = name
    if train:
        found += _trained_recipes()
    found.append(Recipe("static", "static", static_student))
    found += _bits("static")
    found.append(_student("static_embedding"))
    if one_label:
        found += [_student("tfidf_linear"), *_bits("student-tfidf_linear")]
    return [*found, _student("frozen_encoder")] if family == "blend" else found


def _trained_recipes() -> list[Recipe]:
    """Return the recipes that train what is left after a cut."""
    found = [Recipe("narrow-trained", "narrow", cut_and_trained(None, _NARROW), {"share": f"{_NARROW:.0%}"})]
    for layers in _TRAINED_LAYERS:
        name = f"layers-{layers}-trained"
        found.append(Recipe(name, "layers_trained", cut_and_trained(layers, 1.0), {"layers": layers}))
        found.append(Recipe(f"{name}-tokens", "tokens", fewer_tokens, base=name))
    values = {"layers": _TRAINED_LAYERS[0], "share": f"{_NARROW:.0%}"}
    name = f"layers-{_TRAINED_LAYERS[0]}-narrow-trained"
    found.append(Recipe(name, "layers_narrow", cut_and_trained(_TRAINED_LAYERS[0], _NARROW), values))
    return [*found, Recipe(f"{name}-tokens", "tokens", fewer_tokens, base=name)]


def _table_recipes(family: str) -> list[Recipe]:
    found = []
    for name, other, params in _SMALLER_TABLES[family]:
        values = {
            "family": other,
            "params": ", ".join(f"{key} {value}" for key, value in params.items()) or "-",
        }
        found.append(Recipe(name, "table", student(other, params), values))
    return found


def _bits(base: str) -> list[Recipe]:
    end = f"{base}-" if base else ""
    return [
        Recipe(f"{end}float16", "float16", to_float16, base=base),
        Recipe(f"{end}int8", "int8", to_int8, base=base),
    ]
