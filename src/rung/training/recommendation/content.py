"""Vectors of what items are: their words, through static word vectors where those are here, their pictures and their categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rung.modalities.recommendation.catalogue import Catalogue, Item
from rung.modalities.recommendation.item_content import ContentSpace, ItemWords, text_of, unit
from rung.training.recommendation.interactions import Floats
from rung.training.recommendation.item_pictures import picture_vectors

_WIDTH = 128
_FEWEST_DOCUMENTS, _MOST_PIECES = 2, 20_000


def content_vectors(catalogue: Catalogue) -> tuple[npt.NDArray[np.float32], str]:
    """Return [items, width], each of length 1 or 0, and what the words went through: static, words or none."""
    vectors, _, learned = learn_content(catalogue)
    return vectors, learned.how


def learn_content(
    catalogue: Catalogue,
) -> tuple[npt.NDArray[np.float32], ContentSpace, ItemWords]:
    """Return the vectors of the items, and what gives those of others: the space, and what texts go through."""
    items = catalogue.items
    texts = [text_of(item) for item in items]
    learned = _words(texts)
    known = learned.words(texts)
    has = (known != 0.0).any(axis=1)
    centre = known[has].mean(axis=0) if learned.how == "static" and has.any() else np.zeros(known.shape[1])
    pictures = picture_vectors(items)
    space = ContentSpace(catalogue.categories, _rare(items, catalogue), centre, None, pictures.shape[1])
    # Texts are embedded once; the second time they are looked up.
    place = {text: row for row, text in enumerate(texts)}
    wide = space.wide(items, lambda own: known[[place[text] for text in own]], pictures)
    if wide.shape[1] > _WIDTH:
        space = replace(space, directions=_directions(wide).astype(np.float32))
        wide = wide @ np.asarray(space.directions, np.float64)
    return unit(wide).astype(np.float32), space, learned


def _words(texts: Sequence[str]) -> ItemWords:
    if not any(texts):
        return ItemWords("none", lambda own: np.zeros((len(own), 0)))
    from rung.core.errors import RungError
    from rung.modalities.text.embedder import is_english, open_embedder
    from rung.runtime.weights.store import weights_folder

    if is_english([text for text in texts if text][:200]):
        try:
            embedder = open_embedder("static", weights_folder("wordllama"))
        except RungError:
            pass  # not fetched: words alone, which is said in what the fit chose
        else:
            return ItemWords("static", lambda own: embedder.embed(list(own)).astype(np.float64), embedder)
    return _ngrams(texts)


def _ngrams(texts: Sequence[str]) -> ItemWords:
    """Return pieces of words, narrowed to their main directions."""
    from rung.modalities.text.ngrams import NgramSpec, normalize_text
    from rung.modalities.text.tfidf import fit_block, transform

    normalized = [normalize_text(text) for text in texts]
    block, rows = fit_block(normalized, NgramSpec(0, 2, 4), _FEWEST_DOCUMENTS, _MOST_PIECES, 1.0)
    rank = min(_WIDTH, min(len(rows), rows.width) - 1)
    if rank < 1:  # no piece of a word stands in two texts
        return ItemWords("words", lambda own: np.zeros((len(own), 0)))
    from scipy.sparse import csr_matrix
    from scipy.sparse.linalg import svds

    matrix = csr_matrix(
        (rows.values.astype(np.float64), rows.columns, rows.starts), shape=(len(rows), rows.width)
    )
    _, _, across = svds(matrix, k=rank, random_state=0)
    right = across.T.astype(np.float32)
    return ItemWords(
        "words", lambda own: unit(transform(list(own), (block,)).dot(right)), None, (block,), right
    )


def _rare(items: Sequence[Item], catalogue: Catalogue) -> Floats:
    """Return how much each category counts, [categories]: rarer ones more."""
    place = {name: column for column, name in enumerate(catalogue.categories)}
    counts = np.zeros(len(place))
    for item in items:
        for name in item.categories:
            if name in place:
                counts[place[name]] += 1.0
    return np.asarray(np.log1p(len(items) / np.maximum(counts, 1.0)))


def _directions(vectors: Floats) -> Floats:
    """Return the first principal directions of some vectors, [width, narrower]."""
    _, found = np.linalg.eigh(vectors.T @ vectors)
    return np.asarray(found[:, ::-1][:, :_WIDTH])
