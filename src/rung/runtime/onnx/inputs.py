"""What readers of rows for a user's ONNX model share: batches, types of numbers, the size of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from rung.core.errors import RungError
from rung.core.types import Columns

# Row numbers, and the feed of the session.
Batch = tuple[list[int], dict[str, Any]]
NUMBERS = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
}


class InputReader(Protocol):
    """How a model reads rows."""

    def batches(self, inputs: Columns, alone: bool) -> Iterator[Batch]:
        """Yield (row numbers, feed of the session); one row a batch when `alone`."""
        ...


def has_batch_size_one(inputs: Sequence[Any], where: str) -> bool:
    """Return whether the graph has a batch size of one; raises RungError for any other fixed batch size."""
    fixed = {item.shape[0] for item in inputs if item.shape and isinstance(item.shape[0], int)}
    if fixed - {1}:
        raise RungError(
            f"the graph reads exactly {max(fixed)} rows at a time",
            where,
            "Export it with a free first dimension: None, or `dynamic_axes`.",
        )
    return bool(fixed)


def listed(items: Sequence[Any]) -> str:
    """Return inputs or outputs of a session with their types and shapes, for a message."""
    return ", ".join(f"'{item.name}' {item.type} {item.shape}" for item in items)
