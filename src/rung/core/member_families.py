"""Families that a rung is made of, as they are named in its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core import registry
from rung.core.errors import RungError
from rung.core.model import DataFacts, FitContext, Model
from rung.core.params import make_params
from rung.core.types import Schema


@dataclass(frozen=True)
class MemberFamily:
    """A family with its parameters, one part of a rung that has several."""

    name: str
    family: type[Model]
    params: Any


@dataclass(frozen=True)
class MemberRules:
    """What a rung says of its parts.

    whole, part: what rung and part are called in errors; example: how parts are written; most: number of parts;
    refused: families that cannot be one.
    """

    whole: str
    part: str
    example: str
    most: int
    refused: frozenset[str]

    def read(self, given: Sequence[Mapping[str, Any]]) -> list[MemberFamily]:
        """Return the parts, each `{model, params}`; raises RungError for too few, too many, equal or unknown ones."""
        names = [str(one.get("model", "")) for one in given]
        if not 2 <= len(names) <= self.most:
            raise RungError(
                f"{self.whole} has 2 to {self.most} {self.part}s, not {len(names)}",
                fix=f"Write {self.example}.",
            )
        if len(set(names)) != len(names):
            raise RungError(f"two {self.part}s are of the same family", fix="Name different families.")
        return list(self._families(given))

    def _families(self, given: Sequence[Mapping[str, Any]]) -> Iterator[MemberFamily]:
        for one in given:
            unknown = sorted(set(one) - {"model", "params"})
            if unknown:
                raise RungError(
                    f"'{unknown[0]}' is no part of a {self.part}",
                    fix=f"A {self.part} has `model` and `params`.",
                )
            name = str(one["model"])
            family = registry.model(name)
            if family.PLACE == "before" or name in self.refused:
                raise RungError(f"'{name}' cannot be a {self.part}", fix="Name a family that answers itself.")
            yield MemberFamily(name, family, make_params(family.Params, dict(one.get("params") or {})))

    def folders(self, names: Sequence[str]) -> dict[str, str]:
        """Return the folder of each part below the rung's own."""
        return {name: f"{self.part}-{number}" for number, name in enumerate(names)}

    def save(self, models: Sequence[Model], folder: Path) -> None:
        """Write each part into a folder of its own."""
        for number, model in enumerate(models):
            place = folder / f"{self.part}-{number}"
            place.mkdir()
            model.save(place)

    def load(self, names: Sequence[str], folder: Path, schema: Schema) -> list[tuple[str, Model]]:
        """Return name and model of each part that `save` wrote."""
        return [
            (name, registry.model(name).load(folder / f"{self.part}-{number}", schema))
            for number, name in enumerate(names)
        ]

    def unavailable(
        self, given: Sequence[Mapping[str, Any]], facts: DataFacts, context: FitContext
    ) -> RungError | None:
        """Return why one of the parts cannot be tried here; None when all can."""
        try:
            for member in self.read(given):
                reason = member.family.unavailable(facts, member.params, context)
                if reason is not None:
                    return reason
        except RungError as error:
            return error
        return None
