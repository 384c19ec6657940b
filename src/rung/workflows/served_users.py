"""Tell whose a served row is, where a product's unit is the user: the journal knows people by keyed hashes, the data by their ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.core.scalars import is_missing
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.data.prepare.hashing import hash64
from rung.data.sources.read import open_source, read_rows
from rung.data.sources.rows import Reading
from rung.modalities.recommendation.events import item_id

if TYPE_CHECKING:
    from rung.journal.reader import LoggedPrediction
    from rung.journal.records import RecordEncoder


@dataclass(frozen=True)
class ServedUsers:
    """groups: prediction -> what its user is called in the build. fresh: predictions of users who are in no data of the product.

    nameless: predictions that name no subject; each is a user of its own, and none of them may certify: a person who asks a thousand times
    would count as a thousand.
    """

    groups: Mapping[str, str]
    fresh: frozenset[str]
    nameless: int


def served_users(
    rows: Mapping[str, LoggedPrediction],
    product: Product,
    base: Path,
    encoder: RecordEncoder,
    certifies: float,
) -> ServedUsers:
    """Return the users of served rows. certifies: share of the hashes of units whose users certify in the product's data.

    A subject who is a user of the data by the same name is one person: their rows never certify anew, and those of a user who certifies in the
    data carry that user's name, so that the build leaves them out of training. All others are users of their own.
    """
    subjects = {id: encoder.person(row.subject, row.at) for id, row in rows.items()}
    wanted = frozenset(filter(None, subjects.values()))
    known = _users_of_data(product, base, encoder.subject_id, wanted) if wanted else {}
    groups, fresh = {}, set()
    for id, subject in subjects.items():
        user = known.get(subject or "")
        if user is not None and hash64(f"group:{user}") < certifies * 2.0**64:
            groups[id] = user
        else:
            groups[id] = f"served:{subject or id}"
        if subject is not None and user is None:
            fresh.add(id)
    return ServedUsers(groups, frozenset(fresh), sum(subject is None for subject in subjects.values()))


def _users_of_data(
    product: Product, base: Path, subject_id: Callable[[str], str], wanted: frozenset[str]
) -> dict[str, str]:
    """Return the subject of the journal -> the user of the data, for those that are both."""
    column = product.data.group or ""
    seen: set[str] = set()
    data = product.data
    for row in read_rows(open_source(data.paths, Reading.of(data, data.encoding), base), (column,)):
        cell: Any = (row.values or {}).get(column)
        if cell is not None and not is_missing(cell):
            seen.add(item_id(cell))
    return {subject: user for user in seen if (subject := subject_id(user)) in wanted}


def counts_users(task: Task, product: Product) -> bool:
    """Return whether served rows of a product are counted by their users."""
    return task.unit == "user" and bool(product.data.group)


def with_user(
    id: str, inputs: Mapping[str, Any], product: Product, users: ServedUsers | None
) -> Mapping[str, Any]:
    """Return the inputs of a served row with its user in the column of groups, where users are counted."""
    return inputs if users is None else {**inputs, product.data.group or "": users.groups[id]}
