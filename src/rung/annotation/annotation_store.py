"""What a labelling session asks of the place where answers are kept."""

from __future__ import annotations

from typing import Protocol

from rung.data.labels.store import Entry


class AnnotationStore(Protocol):
    """Stores answers: `LabelStore` in a file, or `JournalAnnotationStore`."""

    def add(self, *entries: Entry) -> list[int]:
        """Write entries, all or none, and return their numbers once they are committed."""

    def entries(self, after: int = 0) -> list[Entry]:
        """Return all entries with a number above `after`, in order."""
