"""Items like those of the history by what they are: words, pictures and categories. It knows items that nobody had yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from rung.core.errors import BundleError, RungError
from rung.core.files import read_json, write_json
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples, Schema
from rung.modalities.recommendation.catalogue import Item
from rung.modalities.recommendation.item_content import ContentSpace, ItemWords, unit
from rung.modalities.recommendation.recommender import Recommender
from rung.modalities.recommendation.scorers import Alike

# Files that give the vectors of items which a request brings.
_SPACE, _ARRAYS, _EMBEDDER = "content.json", "content.safetensors", "embedder"


@dataclass(frozen=True)
class ContentParams:
    """Parameters. prior: weight of what is popular against likeness; None chooses it on people held out. new_items: also ship what
    turns words into vectors, so that a request may bring items which the model never saw; with static word vectors 17 MB.
    """

    prior: float | None = None
    new_items: bool = False


class Content(Recommender):
    """Use it where many items are new: it suggests what nobody had yet, by its words, its picture and its categories."""

    Params = ContentParams
    # How words and categories become a vector; None where no new items are taken.
    _space: tuple[ContentSpace, ItemWords] | None = None

    @classmethod
    def unavailable(cls, facts: DataFacts, params: ContentParams, context: FitContext) -> RungError | None:
        if context.options.get("recommend") and not context.options["recommend"].get("items"):
            fix = "Name a table of items with titles or categories: `recommend: {items: {path: items.csv, title: title}}`."
            return RungError("nothing is known of the items but their ids", "recommend.items", fix)
        from rung.training.recommendation.item_pictures import missing_pictures

        return missing_pictures(context)

    @classmethod
    def fit(cls, examples: Examples, params: ContentParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.recommendation.content import learn_content
        from rung.training.recommendation.popularity import learned
        from rung.training.recommendation.tuning import alike

        found = learned(examples, context)
        vectors, space, words = learn_content(found.people.catalogue)
        scorer, prior = alike(vectors, found, params.prior)
        facts = {
            "words": words.how,
            "pictures": space.pictures > 0,
            "prior": prior,
            "new_items": params.new_items,
        }
        model = cls(found.shelf, scorer, found.facts | facts)
        if params.new_items:
            model._space = (space, words)
        return model

    def with_items(self, items: Sequence[Item]) -> Recommender | None:
        if self._space is None or not isinstance(self.scorer, Alike):
            return None
        space, words = self._space
        return type(self)(
            self.shelf.with_items(items),
            self.scorer.with_vectors(space.vectors(items, words.words)),
            self._facts,
        )

    def save(self, folder: Path) -> None:
        super().save(folder)
        if self._space is None:
            return
        from safetensors.numpy import save_file

        from rung.modalities.text.tfidf import dump_blocks

        space, words = self._space
        specs, arrays = dump_blocks(words.blocks)
        arrays = {**space.arrays(), **arrays, **({} if words.right is None else {"right": words.right})}
        save_file({key: np.ascontiguousarray(value) for key, value in arrays.items()}, folder / _ARRAYS)
        write_json(folder / _SPACE, {"how": words.how, "categories": list(space.categories), "blocks": specs})
        if words.embedder is not None:
            (folder / _EMBEDDER).mkdir()
            words.embedder.save(folder / _EMBEDDER)

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        model = super().load(folder, schema)
        if (folder / _SPACE).is_file():
            try:
                model._space = _read_space(folder)
            except (KeyError, ValueError) as error:
                fix = "Build the bundle again."
                raise BundleError(f"its vectors of items cannot be read: {error}", folder.name, fix) from None
        return model

    @classmethod
    def cost(cls, facts: DataFacts, params: ContentParams, context: FitContext) -> Cost:
        more = 20.0 if params.new_items else 0.0
        return Cost(3.0 + facts.rows * 2e-3, 0.25, 150.0 + more, 0.6 + more)


def _read_space(folder: Path) -> tuple[ContentSpace, ItemWords]:
    """Return what `Content.save` wrote; raises KeyError or ValueError where it does not fit together."""
    from safetensors.numpy import load_file

    from rung.modalities.text.embedder import load_embedder
    from rung.modalities.text.tfidf import load_blocks, transform

    facts, arrays = read_json(folder / _SPACE), load_file(folder / _ARRAYS)
    space = ContentSpace.from_arrays(arrays, tuple(facts["categories"]))
    width = len(space.centre)
    if facts["how"] == "static":
        embedder = load_embedder(folder / _EMBEDDER)
        return space, ItemWords(
            "static", lambda texts: embedder.embed(list(texts)).astype(np.float64), embedder
        )
    if facts["how"] == "words" and width:
        blocks, right = load_blocks(facts["blocks"], arrays), arrays["right"]
        return space, ItemWords(
            "words", lambda texts: unit(transform(list(texts), blocks).dot(right)), None, blocks, right
        )
    return space, ItemWords(facts["how"], lambda texts: np.zeros((len(texts), width)))
