"""Documents: a file of pages by reference. What it holds is read by the models of document tasks."""

from __future__ import annotations

from rung.core.kind import MediaKind


class DocumentKind(MediaKind):
    """A file of pages."""

    name = "document"
    suffixes = frozenset({".pdf"})
    accepts = "application/pdf"


class FileKind(MediaKind):
    """A file of any content, for tasks that read it themselves."""

    name = "file"
