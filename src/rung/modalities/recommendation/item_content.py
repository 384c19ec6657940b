"""Vectors of what items are, and new items that a request brings: known by their words and categories alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.recommendation.catalogue import Item
from rung.modalities.recommendation.events import item_id

Floats = npt.NDArray[np.float64]
# Vectors of texts, [texts, width], each of length 1, or 0 for a text without a known word.
Words = Callable[[Sequence[str]], Floats]
# Items that a request may bring, characters of a title and of a text, and categories of each.
MOST_NEW, _MOST_TITLE, _MOST_TEXT, _MOST_CATEGORIES = 200, 300, 5_000, 50
_KEYS = ("item", "title", "text", "categories", "price")
# Weight of the categories against the words.
_CATEGORIES = 1.5


@dataclass(frozen=True)
class ItemWords:
    """What texts of items go through. how: static, words or none. embedder: of static; blocks, right: n-grams and their directions."""

    how: str
    words: Words
    embedder: Any = None
    blocks: tuple[Any, ...] = ()
    right: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class ContentSpace:
    """How words and categories become one vector.

    categories: names. rare: [categories], how much each counts. centre: [word width], the mean of all texts, which says nothing of
    one. directions: [word width + picture width + categories, width] onto which wider vectors are narrowed, or None. pictures:
    width of the vectors of pictures, which only items of the catalogue have.
    """

    categories: tuple[str, ...]
    rare: Floats
    centre: Floats
    directions: npt.NDArray[Any] | None
    pictures: int = 0

    def vectors(self, items: Sequence[Item], words: Words) -> npt.NDArray[np.float32]:
        """Return [items, width], each of length 1 or 0."""
        both = self.wide(items, words)
        if self.directions is not None:
            both = both @ self.directions.astype(np.float64)
        return unit(both).astype(np.float32)

    def wide(self, items: Sequence[Item], words: Words, pictures: Floats | None = None) -> Floats:
        """Return the vectors before they are narrowed, [items, word width + picture width + categories].

        pictures: [items, picture width], each of length 1 or 0; None: none of these items has one.
        """
        texts = [text_of(item) for item in items]
        found = np.zeros((len(items), len(self.centre)))
        if len(self.centre):
            known = words(texts)
            has = (known != 0.0).any(axis=1)
            found[has] = unit(known[has] - self.centre)
        marks = np.zeros((len(items), len(self.categories)))
        place = {name: column for column, name in enumerate(self.categories)}
        for row, item in enumerate(items):
            marks[row, [place[name] for name in item.categories if name in place]] = 1.0
        seen = np.zeros((len(items), self.pictures)) if pictures is None else pictures
        return np.concatenate([found, seen, _CATEGORIES * unit(marks * self.rare)], axis=1)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays to store."""
        found = {"space.rare": self.rare, "space.centre": self.centre}
        return found if self.directions is None else {**found, "space.directions": self.directions}

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[Any]], categories: tuple[str, ...]) -> ContentSpace:
        """Return what `arrays` gave; raises KeyError or ValueError where it does not fit together."""
        rare, centre = arrays["space.rare"], arrays["space.centre"]
        directions = arrays.get("space.directions")
        pictures = 0 if directions is None else len(directions) - len(rare) - len(centre)
        if len(rare) != len(categories) or pictures < 0:
            raise ValueError("the space of contents does not fit the categories")
        return ContentSpace(categories, rare, centre, directions, pictures)


def text_of(item: Item) -> str:
    """Return the words of an item."""
    return " ".join(filter(None, (item.title, item.text)))


def unit(vectors: Floats) -> Floats:
    """Return rows of length 1; those of length 0 stay."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 1e-12))


def read_new_items(value: Any) -> list[dict[str, Any]]:
    """Return the new items of a request as plain values; raises ValueError, which names the place."""
    if not isinstance(value, list | tuple):
        raise ValueError("needs a list in 'new_items'")
    if len(value) > MOST_NEW:
        raise ValueError(f"brings {len(value):,} in 'new_items'; at most {MOST_NEW} are read")
    return [_read(raw, place) for place, raw in enumerate(value)]


def _read(raw: Any, place: int) -> dict[str, Any]:
    where = f"new item {place}"
    if not isinstance(raw, Mapping):
        raise ValueError(f"has {where}, which is no object")
    unknown = next((str(key) for key in raw if key not in _KEYS), None)
    if unknown is not None:
        raise ValueError(f"has the unknown key '{unknown[:40]}' in {where}")
    name = item_id(raw.get("item"))
    if not name:
        raise ValueError(f"has no 'item' in {where}")
    found: dict[str, Any] = {"id": name}
    for key, most in (("title", _MOST_TITLE), ("text", _MOST_TEXT)):
        text = raw.get(key, "")
        if not isinstance(text, str) or len(text) > most:
            raise ValueError(f"needs a text of at most {most:,} characters in '{key}' of {where}")
        found[key] = text
    names = raw.get("categories", [])
    if not isinstance(names, list | tuple) or len(names) > _MOST_CATEGORIES or not all(isinstance(n, str) and len(n) <= _MOST_TITLE for n in names):  # fmt: skip
        raise ValueError(f"needs a list of at most {_MOST_CATEGORIES} names in 'categories' of {where}")
    found["categories"] = [name.strip() for name in names if name.strip()]
    price = raw.get("price")
    if price is not None and (
        isinstance(price, bool) or not isinstance(price, int | float) or not abs(price) < 1e15
    ):
        raise ValueError(f"needs a number in 'price' of {where}")
    return found | ({} if price is None else {"price": float(price)})
