"""The items a model knows: ids, names, categories, prices, and how popular each is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.blobs import Blob, BlobStore
from rung.modalities.recommendation.sparse_rows import Ints, entries_of

# What bundles do not hold of an item.
_ONLY_CONTENT = ("text", "image")
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Item:
    """What the table of items says of one. text, image: of the content, not kept in bundles. available: may be suggested. added: seconds since 1970."""

    id: str
    title: str = ""
    categories: tuple[str, ...] = ()
    price: float | None = None
    available: bool = True
    text: str = ""
    added: float | None = None
    image: Blob | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the item as a line of JSON has it; what says nothing is left out."""
        found: dict[str, Any] = {"id": self.id}
        found |= {"title": self.title} if self.title else {}
        found |= {"categories": list(self.categories)} if self.categories else {}
        found |= {"price": self.price} if self.price is not None else {}
        found |= {} if self.available else {"available": False}
        found |= {"added": self.added} if self.added is not None else {}
        found |= {"text": self.text} if self.text else {}
        return found | ({"image": self.image.reference()} if self.image is not None else {})

    @staticmethod
    def from_dict(raw: Mapping[str, Any], media: BlobStore | None = None) -> Item:
        """Return the item that `as_dict` wrote. media: where its picture lies; None: it has none."""
        return Item(
            raw["id"], raw.get("title", ""), tuple(raw.get("categories", ())), raw.get("price"),
            raw.get("available", True), raw.get("text", ""), raw.get("added"),
            media.resolve(raw["image"]) if media is not None and "image" in raw else None,
        )  # fmt: skip


def write_items(path: Path, items: Iterable[Item]) -> None:
    """Write a line of JSON for each item."""
    with path.open("w", encoding="utf-8") as file:
        for item in items:
            file.write(json.dumps(item.as_dict(), ensure_ascii=False) + "\n")


def read_items(path: Path) -> list[Item]:
    """Return the items of a file that `write_items` wrote; their pictures lie where `picture_store` says."""
    media = picture_store(path)
    with path.open(encoding="utf-8") as file:
        return [Item.from_dict(json.loads(line), media) for line in file]


def picture_store(table: Path, base: Path | None = None) -> BlobStore:
    """Return the store of the pictures of a file of items, a folder beside it. base: for a new one, the product's folder."""
    folder = table.with_suffix("")
    return BlobStore.open(folder) if base is None else BlobStore(folder, base)


@dataclass(frozen=True)
class Catalogue:
    """Items in the order of a model's columns."""

    items: tuple[Item, ...]

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def place(self) -> Mapping[str, int]:
        """Return the column of each id."""
        return {item.id: column for column, item in enumerate(self.items)}

    @cached_property
    def available(self) -> Bools:
        """Return which items may be suggested."""
        return np.array([item.available for item in self.items], bool)

    @cached_property
    def has_unavailable(self) -> bool:
        """Return whether some item may not be suggested."""
        return not bool(self.available.all())

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """Return all categories, sorted."""
        return tuple(sorted({name for item in self.items for name in item.categories}))

    @cached_property
    def _category_table(self) -> tuple[Ints, Ints]:
        """Return where the categories of each item begin, and the numbers of all of them, item by item."""
        number = {name: place for place, name in enumerate(self.categories)}
        counts = np.array([0, *(len(item.categories) for item in self.items)], np.int64)
        codes = [number[name] for item in self.items for name in item.categories]
        return counts.cumsum(), np.array(codes, np.int64)

    def category_numbers(self, places: Ints) -> tuple[Ints, Ints]:
        """Return the numbers of the categories of some items, one item after the other, and how many each item has."""
        begins, codes = self._category_table
        at, counts = entries_of(begins, places)
        return codes[at], counts

    def of_categories(self, names: Sequence[str]) -> Bools:
        """Return which items have at least one of these categories."""
        wanted = frozenset(names)
        return np.array([not wanted.isdisjoint(item.categories) for item in self.items], bool)

    def at_most(self, price: float) -> Bools:
        """Return which items are known to cost no more."""
        return np.array([item.price is not None and item.price <= price for item in self.items], bool)

    def newness(self, half_life_days: float) -> npt.NDArray[np.float64]:
        """Return how new each item is, in [0, 1]: 1 for the newest, halved with each half-life before it; 0 where it is not known when it came."""
        added = self._added
        if np.isnan(added).all():
            return np.zeros(len(added))
        age = (np.nanmax(added) - added) / 86_400.0
        return np.nan_to_num(np.exp2(-age / half_life_days), nan=0.0)

    @cached_property
    def _added(self) -> npt.NDArray[np.float64]:
        return np.array([np.nan if item.added is None else item.added for item in self.items], np.float64)

    def with_items(self, items: Sequence[Item]) -> Catalogue:
        """Return a catalogue with more items behind the others; where it knows when items came, these came last."""
        newest = None if np.isnan(self._added).all() else float(np.nanmax(self._added))
        dated = (item if item.added is not None else replace(item, added=newest) for item in items)
        return Catalogue((*self.items, *dated))

    def save(self, folder: Path) -> None:
        """Write the items into a model's folder."""
        # A bundle holds no .jsonl of a model: one JSON array, an item a line, so that no reader needs all of it at once.
        with (folder / "items.json").open("w", encoding="utf-8") as file:
            for place, item in enumerate(self.items):
                line = {key: value for key, value in item.as_dict().items() if key not in _ONLY_CONTENT}
                file.write(("[\n" if place == 0 else ",\n") + json.dumps(line, ensure_ascii=False))
            file.write("\n]\n" if self.items else "[]\n")

    @staticmethod
    def load(folder: Path) -> Catalogue:
        """Return the items that `save` wrote."""
        with (folder / "items.json").open(encoding="utf-8") as file:
            if file.readline() != "[\n":  # empty, or written by an earlier version on a single line
                file.seek(0)
                return Catalogue(tuple(map(Item.from_dict, json.load(file))))
            lines = (line.rstrip(",\n") for line in file)
            return Catalogue(tuple(Item.from_dict(json.loads(line)) for line in lines if line != "]"))
