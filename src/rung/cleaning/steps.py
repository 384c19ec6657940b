"""The cleaning steps, one module each in this package, and how a spec selects them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol, cast

import rung.cleaning as package
from rung.core.errors import Problem, RungError, SpecError, did_you_mean
from rung.core.params import make_params
from rung.core.spec.cleaning import StepSpec

# The default steps, in order: each leaves alone what may be meaningful.
DEFAULT_STEPS = ("unicode", "width", "html", "whitespace")


class StepModule(Protocol):
    """Interface of a step module. Params: a frozen dataclass. apply: deterministic and idempotent."""

    Params: type

    def apply(self, text: str, params: Any) -> str:
        """Return the cleaned text."""


@dataclass(frozen=True)
class Step:
    """A step with its parameters."""

    name: str
    params: Any

    def apply(self, text: str) -> str:
        """Return the cleaned text."""
        return step_modules()[self.name].apply(text, self.params)

    def as_dict(self) -> dict[str, Any]:
        """Return the step as in a spec or a manifest."""
        return {"step": self.name, "params": asdict(self.params)}


@cache
def step_modules() -> dict[str, StepModule]:
    """Return each step's module by its name."""
    found = {}
    for info in iter_modules(package.__path__):
        module = import_module(f"{package.__name__}.{info.name}")
        if hasattr(module, "Params") and hasattr(module, "apply"):
            found[info.name] = cast(StepModule, module)
    return found


def make_step(name: str, params: Mapping[str, Any]) -> Step:
    """Return a step; raises RungError for an unknown name or parameter."""
    known = step_modules()
    if name not in known:
        raise RungError(f"there is no step '{name}'", fix=did_you_mean(name, known))
    return Step(name, make_params(known[name].Params, params))


def resolve_steps(specs: Sequence[StepSpec] | None) -> tuple[Step, ...]:
    """Return the steps of a spec's `clean`; the default ones for None. Raises SpecError with all problems."""
    if specs is None:
        return tuple(make_step(name, {}) for name in DEFAULT_STEPS)
    found: list[Step] = []
    problems: list[Problem] = []
    for place, spec in enumerate(specs):
        try:
            found.append(make_step(spec.step, spec.params))
        except RungError as error:
            problems.append(Problem(0, f"clean.{place}", f"{error.problem}.", error.fix))
        if spec.step in [other.step for other in specs[:place]]:
            problems.append(
                Problem(0, f"clean.{place}", f"the step '{spec.step}' is listed twice.", "Keep one.")
            )
    if problems:
        raise SpecError(problems, "product.yaml")
    return tuple(found)
