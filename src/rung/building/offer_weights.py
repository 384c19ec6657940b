"""Offer the weights that rungs of a ladder lack, before it is climbed without them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rung.core.errors import MissingWeights, RungError
from rung.core.model import Ladder
from rung.runtime.weights.store import fetch, list_weights

# Asked with what is missing; returns whether it is to be fetched.
Ask = Callable[[Sequence["WeightsOffer"]], bool]


@dataclass(frozen=True)
class WeightsOffer:
    """Weights that are not here. rungs: those that need them. size_mb: on disk. licence: of the weights."""

    name: str
    size_mb: float
    licence: str
    rungs: tuple[str, ...]


def missing_weights(left_out: Mapping[str, RungError]) -> list[WeightsOffer]:
    """Return the catalogue's weights that would put left-out rungs on the ladder."""
    needed: dict[str, list[str]] = {}
    for rung, error in left_out.items():
        if isinstance(error, MissingWeights):
            needed.setdefault(error.weights, []).append(rung)
    known = {status.name: status for status in list_weights()}
    return [
        WeightsOffer(name, round(known[name].size_mb, 1), known[name].licence, tuple(rungs))
        for name, rungs in needed.items()
        if name in known
    ]


def with_weights(plan: Callable[[], Ladder], ask: Ask, event: Callable[..., None]) -> Ladder:
    """Return the ladder, planned again once the weights that it lacks were fetched, if `ask` says so.

    A family may lack several weights and names them one after the other; each is asked for once. A download that
    fails is said, and the ladder stays as it is.
    """
    planned = plan()
    refused: set[str] = set()
    while missing := [offer for offer in missing_weights(planned.left_out) if offer.name not in refused]:
        shown: list[dict[str, Any]] = [asdict(offer) for offer in missing]
        event("weights", missing=shown)
        if not ask(missing):
            break
        for offer in missing:
            refused.add(offer.name)
            try:
                fetch(offer.name)
                event("fetched", weights=offer.name, size_mb=offer.size_mb)
            except RungError as error:
                event("fetch_failed", weights=offer.name, problem=error.problem)
        planned = plan()
    return planned
