"""Tables beside the rows of a product: the items of a catalogue, read once and stored with the prepared data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rung.core.errors import DataError, RungError
from rung.core.kind import kind
from rung.core.scalars import as_boolean, is_missing, scalar_text
from rung.core.source_place import SourcePlace
from rung.core.spec.product import Product
from rung.core.spec.recommend import ItemsSpec
from rung.core.task import ColumnRoles
from rung.core.types import Dataset
from rung.data.prepare.impressions import count_impressions
from rung.data.sources.read import Source, open_source, read_rows
from rung.modalities.recommendation.catalogue import Item, picture_store, write_items
from rung.modalities.recommendation.events import item_id
from rung.modalities.tables.moments import parse_time

_MARKS = ("|", ";")
_NO = frozenset(
    {"no", "n", "out", "out of stock", "sold out", "unavailable", "否", "无", "缺货", "下架", "售罄"}
)
_MOST_CATEGORIES = 50
_MOST_TITLE, _MOST_TEXT = 300, 5_000
_CELLS = 1_000


def side_sources(product: Product, base: Path) -> dict[str, Source]:
    """Return the sources beside the rows, by name."""
    if product.recommend is None:
        return {}
    named = {
        "items": product.recommend.items,
        "users": product.recommend.users,
        "impressions": product.recommend.impressions,
    }
    return {name: open_source(spec.path, None, base) for name, spec in named.items() if spec is not None}


def side_media(product: Product, name: str) -> list[str]:
    """Return the columns of media of one of `side_sources`."""
    items = product.recommend.items if product.recommend is not None and name == "items" else None
    return [items.image] if items is not None and items.image is not None else []


def read_users(product: Product, base: Path) -> dict[str, dict[str, str]]:
    """Return what the table of users knows, by id: column -> text, empty cells left out; the first row of an id counts.

    {} for a product without one. Raises DataError where it lacks a column.
    """
    spec = product.recommend.users if product.recommend is not None else None
    if spec is None:
        return {}
    source = open_source(spec.path, None, base)
    for key, column in [("user", spec.user), *(("columns", name) for name in spec.columns)]:
        source.require(column, f"recommend.users.{key}")
    found: dict[str, dict[str, str]] = {}
    for row in read_rows(source, (spec.user,)):
        values = row.values or {}
        try:
            name = item_id(values.get(spec.user))
            known = {column: item_id(values.get(column))[:_MOST_TITLE] for column in spec.columns}
        except ValueError:
            continue
        if name:
            found.setdefault(name, {column: text for column, text in known.items() if text})
    return found


def with_users(roles: ColumnRoles, product: Product, base: Path) -> ColumnRoles:
    """Return the roles of columns with what is known of users."""
    return replace(roles, users=read_users(product, base))


def write_side_tables(product: Product, base: Path, folder: Path) -> dict[str, Any]:
    """Write the tables beside the rows into the folder of prepared data; return what the facts hold of them.

    `side_tables`: name -> file; `items`: how many there are, and how many rows were left out, by reason. {} where the product has
    none. Raises DataError where the table cannot be used.
    """
    found, spec = side_sources(product, base), product.recommend
    if not found or spec is None:
        return {}
    tables, facts = dict[str, str](), dict[str, Any]()
    if spec.items is not None:
        facts["items"] = _write_items(found["items"], spec.items, folder / "items.jsonl", base)
        tables["items"] = "items.jsonl"
    if spec.impressions is not None:
        shown = count_impressions(found["impressions"], spec.impressions)
        shown.save(folder / "impressions.json")
        facts["impressions"] = shown.facts()
        tables["impressions"] = "impressions.json"
    return {**({"side_tables": tables} if tables else {}), **facts}


def _write_items(source: Source, spec: ItemsSpec, path: Path, base: Path) -> dict[str, Any]:
    """Write the items; return how many there are, and how many rows and pictures were left out, by reason. Raises DataError without any."""
    columns = {"item": spec.item, "title": spec.title, "image": spec.image, "categories": spec.categories, "price": spec.price, "available": spec.available, "added": spec.added}  # fmt: skip
    for key, column in [*columns.items(), *(("text", name) for name in spec.text)]:
        if column is not None:
            source.require(column, f"recommend.items.{key}")
    left_out, pictures, store = Counter[str](), Counter[str](), picture_store(path, base)
    place = source.place(store, base)
    items = {item.id: item for item in _items(source, spec, place, left_out, pictures)}
    if not items:
        raise DataError("it holds no item", source.name, "Check `recommend.items.item`.")
    write_items(path, items.values())
    if spec.image is None:
        return {"items": len(items), "left_out": dict(left_out)}
    store.folder.mkdir(exist_ok=True)
    store.save()
    shown = sum(item.image is not None for item in items.values())
    return {"items": len(items), "left_out": dict(left_out), "pictures": shown, "no_picture": dict(pictures)}


def side_tables(data: Dataset) -> dict[str, Path]:
    """Return the files of the tables beside the rows of prepared data, by name."""
    return {name: data.folder.resolve() / file for name, file in data.facts.get("side_tables", {}).items()}


def _items(
    source: Source, spec: ItemsSpec, place: SourcePlace, left_out: Counter[str], no_picture: Counter[str]
) -> Iterator[Item]:
    """Yield each item of the table once; the first row of an id counts. An item whose picture cannot be used is one without."""
    mark = spec.separator or _mark(source, spec.categories)
    seen: set[str] = set()
    for row in read_rows(source, (spec.item,)):
        try:
            found = _item(row.values, spec, mark) if row.values is not None else None
        except (ValueError, RungError):
            found = None
        reason = "unreadable" if found is None else "repeated" if found.id in seen else ""
        if reason or found is None:
            left_out[reason] += 1
            continue
        seen.add(found.id)
        if spec.image is not None:
            try:
                image = kind("image").parse((row.values or {}).get(spec.image), place.at(row.folder))
            except ValueError as error:
                no_picture[str(error).partition(":")[0]] += 1
            else:
                no_picture["empty_cell"] += image is None
                found = replace(found, image=image)
        yield found


def _item(values: dict[str, Any], spec: ItemsSpec, mark: str) -> Item | None:
    name = item_id(values.get(spec.item))
    if not name:
        return None
    cell = values.get(spec.categories) if spec.categories else None
    categories = _split(cell, mark)
    text = " ".join(scalar_text(values.get(column)) for column in spec.text).strip()
    title = _text(values, spec.title)[:_MOST_TITLE]
    available = _yes(values.get(spec.available)) if spec.available else True
    added = _moment(values, spec.added)
    return Item(name, title, categories, _price(values, spec.price), available, text[:_MOST_TEXT], added)


def _split(cell: Any, mark: str) -> tuple[str, ...]:
    if isinstance(cell, list):
        parts = [scalar_text(part) for part in cell]
    elif cell is None or is_missing(cell):
        parts = []
    else:
        text = scalar_text(cell)
        parts = text.split(mark) if mark else [text]
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))[:_MOST_CATEGORIES]


def _text(values: dict[str, Any], column: str | None) -> str:
    cell = values.get(column) if column else None
    return "" if cell is None else scalar_text(cell)


def _price(values: dict[str, Any], column: str | None) -> float | None:
    cell = values.get(column) if column else None
    try:
        found = float(scalar_text(cell)) if cell is not None and not is_missing(cell, "number") else None
    except ValueError:
        return None
    return found if found is not None and abs(found) < 1e15 else None


def _moment(values: dict[str, Any], column: str | None) -> float | None:
    """Return when an item came, in seconds since 1970; a number of four digits is a year. None where that is not known."""
    cell = values.get(column) if column else None
    if cell is None or is_missing(cell, "time"):
        return None
    text = scalar_text(cell).removesuffix(".0")
    if len(text) == 4 and text.isdigit():
        return parse_time(f"{text}-01-01")
    return parse_time(cell)


def _yes(cell: Any) -> bool:
    """Return whether a cell says that an item can be had; an empty one says so."""
    text = scalar_text(cell).casefold()
    known = as_boolean(text)
    return known if known is not None else text not in _NO


def _mark(source: Source, column: str | None) -> str:
    """Return the mark between categories that cells have; "" where a whole cell is one category."""
    if column is None:
        return ""
    counts = dict.fromkeys(_MARKS, 0)
    for number, row in enumerate(read_rows(source, ())):
        cell = (row.values or {}).get(column)
        for mark in _MARKS:
            counts[mark] += isinstance(cell, str) and mark in cell
        if number >= _CELLS:
            break
    best = max(_MARKS, key=lambda mark: counts[mark])
    return best if counts[best] else ""
