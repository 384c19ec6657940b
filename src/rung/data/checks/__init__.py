"""Discover and run the data checks; each module of this package is one check.

A module says what it reads and when it runs, and offers `check`. Tables, images and sound add theirs beside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Literal, Protocol, cast

from rung.core.activity import doing
from rung.core.errors import RungError, did_you_mean
from rung.core.spec.product import Product
from rung.data.profile.finding import Finding
from rung.data.profile.view import View

# When a check runs: in every build, when `rung data check` is called, or only when it is asked for labels,
# because it publishes how a model did on rows.
When = Literal["build", "check", "labels"]
_ORDER: tuple[When, ...] = ("build", "check", "labels")
_SEVERITY = {"stop": 0, "warn": 1, "info": 2}


class Check(Protocol):
    """What a module of this folder offers. KINDS: of fields, one of which the product must read; empty: any.

    TARGETS: whether it needs targets that are categories.
    """

    KINDS: frozenset[str]
    TARGETS: bool
    WHEN: When

    def check(self, view: View) -> Finding | None:
        """Return what is wrong, None when nothing is."""


@cache
def checks() -> dict[str, Check]:
    """Return every check of this folder by the name of its file."""
    return {
        info.name: cast(Check, import_module(f"{__name__}.{info.name}")) for info in iter_modules(__path__)
    }


def names(view: View, until: When = "build") -> list[str]:
    """Return the checks that apply to a product, those that run in a build first."""
    kinds = {field.kind for field in view.dataset.schema.inputs}
    found = []
    for name, module in checks().items():
        fits = not module.KINDS or bool(module.KINDS & kinds)
        labelled = not module.TARGETS or bool(view.dataset.schema.labels)
        if fits and labelled and _ORDER.index(module.WHEN) <= _ORDER.index(until):
            found.append(name)
    return sorted(found, key=lambda name: (_ORDER.index(checks()[name].WHEN), name))


def run_checks(view: View, until: When = "build") -> list[Finding]:
    """Return what the checks found, the gravest first."""
    return by_severity([finding for _, finding in each_check(view, until) if finding])


def by_severity(found: Sequence[Finding]) -> list[Finding]:
    """Return findings in the order people should read them."""
    return sorted(found, key=lambda finding: _SEVERITY[finding.level])


def each_check(view: View, until: When = "build") -> Iterator[tuple[str, Finding | None]]:
    """Yield each check's name and what it found, as they go."""
    for name in names(view, until):
        with doing("check", name=name):
            found = list(_findings(checks()[name], view))
        for finding in found:
            yield name, finding


def _findings(check: Check, view: View) -> Iterator[Finding | None]:
    """Yield what a check found; after each accepted finding of a column, also what it finds in the others."""
    finding = check.check(view)
    while finding is not None and finding.level == "stop" and finding.key in view.product.accept:
        column = finding.values.get("column")
        if column in view.skipped:  # The check looks at this column alone.
            return
        yield replace(finding, level="warn", accepted=True)
        if not column:
            return
        view = replace(view, skipped=view.skipped | {column})
        finding = check.check(view)
        if finding is None:
            return
    yield finding


def require_known_findings(product: Product, inputs: Sequence[str]) -> None:
    """Raise RungError for an entry of `accept` that names no check, or a column that the product does not use."""
    data = product.data
    columns = [name for name in (*inputs, data.target, data.group, data.time) if name]
    for entry in product.accept:
        name, colon, column = entry.partition(":")
        if name not in checks():
            raise RungError(f"there is no check '{name}'", "accept", did_you_mean(name, checks()))
        if colon and column not in columns:
            raise RungError(
                f"the product uses no column '{column}'", f"accept: {entry}", did_you_mean(column, columns)
            )
