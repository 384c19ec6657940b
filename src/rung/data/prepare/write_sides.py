"""Write the tables of the sides from the staged rows, and list what is on no side."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.kind import kind
from rung.core.types import Schema
from rung.data.prepare.cast import is_typed, parse_column
from rung.data.prepare.keys import CERTIFICATION, HELD, TRAIN, Keys
from rung.data.prepare.parquet import TableWriter, row_groups
from rung.data.prepare.quarantine import Quarantine
from rung.data.prepare.row_places import RowPlaces
from rung.data.prepare.split import SplitSides

# Below the prepared folder, while it is made: the parts of the staged table.
STAGED = "staged"
TABLES = {TRAIN: "train", CERTIFICATION: "certification", HELD: "held"}


def write_sides(
    folder: Path,
    schemas: tuple[Schema, Schema],
    sides: SplitSides,
    keys: Keys,
    targets: list[str],
    copies: npt.NDArray[np.int64],
    listed: tuple[Quarantine, RowPlaces | None],
) -> int:
    """Write the two tables from the staged one, in the order of the source; return how many labels were corrected.

    schemas: as staged, as described. listed: where rows that are left out are listed, and how rows are numbered through all
    files; None: file by file.
    """
    (before, schema), (quarantine, numbered) = schemas, listed
    inputs = [f"input:{name}" for name in schema.input_names]
    fields = [f for f in schema.inputs if is_typed(f, before)]
    numbers = {f"input:{f.name}" for f in fields if kind(f.kind).is_number}
    spans = [] if keys.start is None else ["start"]
    columns = ["file", "row", "unit", "text", "time", *spans, "copies", "target", *inputs]
    begin = corrected = 0
    with ExitStack() as stack:
        wanted = [side for side in TABLES if side != HELD or (sides.side == HELD).any()]
        tables = {
            side: stack.enter_context(TableWriter(folder / f"{TABLES[side]}.parquet", columns, numbers))
            for side in wanted
        }
        for group in row_groups(folder / STAGED):
            side = sides.side[begin : begin + len(group)]
            for which, table in tables.items():
                places = np.flatnonzero(side == which)
                if len(places):
                    kept = group.take(places)
                    units = [f"{unit:016x}" for unit in keys.unit[begin + places].tolist()]
                    ours: dict[str, Any] = {
                        "unit": units,
                        "text": [f"{text:016x}" for text in keys.text_hash[begin + places].tolist()],
                        "time": keys.when[begin + places],
                        "copies": copies[begin + places],
                    }
                    if keys.start is not None:
                        ours["start"] = keys.start[begin + places]
                    if which == TRAIN:
                        ours["target"] = [targets[number] for number in keys.target[begin + places].tolist()]
                        own = kept["target"].to_pylist()
                        corrected += sum(a != b for a, b in zip(ours["target"], own, strict=True))
                    ours |= {f"input:{f.name}": parse_column(f, kept[f"input:{f.name}"])[0] for f in fields}
                    if numbered is not None:
                        ours["row"] = numbered.numbers(kept["file"], kept["row"])
                        ours["file"] = [""] * len(kept)
                    table.add_columns(
                        {name: kept[name] for name in ("file", "row", "target", *inputs)} | ours
                    )
            left_out = np.flatnonzero(side < 0)
            where = group.select(["file", "row"]).take(left_out).to_pylist()
            for place, row in zip((begin + left_out).tolist(), where, strict=True):
                quarantine.add(row["file"], row["row"], sides.reason(place), int(keys.text_hash[place]))
            begin += len(group)
    return corrected
