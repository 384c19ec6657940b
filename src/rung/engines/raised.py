"""Errors of jobs as an engine raises them."""

from __future__ import annotations

from rung.core.errors import RungError

_FIX = "Fewer `budget.workers`, fewer rows, or a machine with more memory."


def raised(error: BaseException, of: str) -> BaseException:
    """Return the error that a job ended with: one for want of memory names what the job was for, any other is itself."""
    if not isinstance(error, MemoryError):
        return error
    wanted = f": {error}" if str(error) else ""
    return RungError(f"memory ran out in a worker{wanted}", of, _FIX)
