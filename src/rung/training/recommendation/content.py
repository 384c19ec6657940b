"""Vectors of what items are: their words, through static word vectors where those are here, and their categories."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rung.core.model import FitContext
from rung.modalities.recommendation.catalogue import Catalogue, Item, read_items
from rung.training.recommendation.interactions import Floats

# Weight of the categories against the words.
_CATEGORIES = 1.5
_WIDTH = 128
_FEWEST_DOCUMENTS = 2


def content_vectors(catalogue: Catalogue, context: FitContext) -> tuple[npt.NDArray[np.float32], str]:
    """Return [items, width], each of length 1 or 0, and what the words went through: static, words or none."""
    table = context.tables.get("items")
    full = {item.id: item for item in read_items(table)} if table is not None else {}
    items = [full.get(item.id, item) for item in catalogue.items]
    texts = [_text(item) for item in items]
    words, how = _words(texts)
    both = np.concatenate([words, _CATEGORIES * _category_vectors(items, catalogue)], axis=1)
    if both.shape[1] > _WIDTH:
        both = _narrowed(both)
    return _unit(both).astype(np.float32), how


def _text(item: Item) -> str:
    return " ".join(filter(None, (item.title, item.text)))


def _words(texts: Sequence[str]) -> tuple[Floats, str]:
    if not any(texts):
        return np.zeros((len(texts), 0)), "none"
    from rung.core.errors import RungError
    from rung.modalities.text.embedder import is_english, open_embedder
    from rung.runtime.weights.store import weights_folder

    if is_english([text for text in texts if text][:200]):
        try:
            embedder = open_embedder("static", weights_folder("wordllama"))
        except RungError:
            pass  # not fetched: words alone, which is said in what the fit chose
        else:
            found = embedder.embed(list(texts)).astype(np.float64)
            found[[not text for text in texts]] = 0.0
            # What all texts have in common says nothing of one.
            return _unit(found - found.mean(axis=0)), "static"
    return _tfidf(texts), "words"


def _tfidf(texts: Sequence[str]) -> Floats:
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        vectorizer = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(2, 4), min_df=_FEWEST_DOCUMENTS, max_features=20_000
        )
        matrix = vectorizer.fit_transform(texts)
    except ValueError:  # no piece of a word stands in two texts
        return np.zeros((len(texts), 0))
    from scipy.sparse.linalg import svds

    rank = min(_WIDTH, min(matrix.shape) - 1)
    if rank < 1:
        return np.zeros((len(texts), 0))
    left, sizes, _ = svds(matrix.astype(np.float64), k=rank, random_state=0)
    return _unit(left * sizes)


def _category_vectors(items: Sequence[Item], catalogue: Catalogue) -> Floats:
    """Return [items, categories]: of length 1, rarer categories counting more."""
    place = {name: column for column, name in enumerate(catalogue.categories)}
    found = np.zeros((len(items), len(place)))
    for row, item in enumerate(items):
        for name in item.categories:
            if name in place:
                found[row, place[name]] = 1.0
    rare = np.log1p(len(items) / np.maximum(found.sum(axis=0), 1.0))
    return _unit(found * rare)


def _narrowed(vectors: Floats) -> Floats:
    """Return the first principal directions of some vectors."""
    gram = vectors.T @ vectors
    _, directions = np.linalg.eigh(gram)
    return np.asarray(vectors @ directions[:, ::-1][:, :_WIDTH])


def _unit(vectors: Floats) -> Floats:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 1e-12))
