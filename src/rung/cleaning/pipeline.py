"""The chain that a row's texts go through: mending steps, then personal data masked, or the row refused.

It reads no label and no other row, so training rows, certification rows and requests go through the same code. The
chain of a chain's output is that output: a bundle answers a raw text and its mended form alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rung.cleaning.steps import Step, make_step, resolve_steps
from rung.core.errors import BundleError, RungError
from rung.core.messages import listed
from rung.core.spec.cleaning import KINDS, PrivacySpec, StepSpec
from rung.privacy import find_personal_data, require_packages
from rung.privacy.masking import RowMasker

# Called with a step's name and the text before and after it, where the two differ.
StepObserver = Callable[[str, str, str], None]
# One step can give another more to do (an entity that stands for a wide letter): twice in real text.
_MAX_ROUNDS = 6


@dataclass(frozen=True)
class CleanedRow:
    """A row after the chain. personal: what was found of the kinds that are masked or refused; refused: why, or ""."""

    values: dict[str, Any]
    personal: Counter[str] = field(default_factory=Counter)
    refused: str = ""


@dataclass(frozen=True)
class CleaningPipeline:
    """Mending steps in order; then kinds of personal data that are masked, and those that refuse a row."""

    steps: tuple[Step, ...] = ()
    mask: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()

    @staticmethod
    def from_spec(clean: Sequence[StepSpec] | None, privacy: PrivacySpec) -> CleaningPipeline:
        """Return the chain of a spec. Raises SpecError, or MissingExtra when a kind needs what is not installed."""
        require_packages({*privacy.mask, *privacy.drop})
        return CleaningPipeline(resolve_steps(clean), tuple(privacy.mask), tuple(privacy.drop))

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> CleaningPipeline:
        """Return the chain of a manifest; {} is an older bundle's: nothing is mended. Raises BundleError."""
        try:
            steps = tuple(make_step(item["step"], item["params"]) for item in raw.get("steps", ()))
            mask, drop = (tuple(map(str, raw.get(key, ()))) for key in ("mask", "drop"))
        except (RungError, TypeError, KeyError, AttributeError) as error:
            raise BundleError(
                f"its text is mended in a way this rung does not know: {error}",
                "manifest.json",
                "pip install -U rung",
            ) from None
        unknown = [kind for kind in (*mask, *drop) if kind not in KINDS]
        if unknown:
            raise BundleError(
                f"it masks a kind this rung does not know: '{unknown[0]}'",
                "manifest.json",
                "pip install -U rung",
            )
        require_packages({*mask, *drop})
        return CleaningPipeline(steps, mask, drop)

    def as_dict(self) -> dict[str, Any]:
        """Return the chain for a manifest; {} when it does nothing."""
        if not (self.steps or self.mask or self.drop):
            return {}
        return {
            "steps": [step.as_dict() for step in self.steps],
            "mask": list(self.mask),
            "drop": list(self.drop),
        }

    def apply(
        self, values: Mapping[str, Any], texts: Sequence[str], watch: StepObserver | None = None
    ) -> CleanedRow:
        """Return a row's values with the chain applied to the texts among them; never raises for what they hold."""
        mended = dict(values)
        names = [name for name in texts if isinstance(values.get(name), str)]
        for name in names:
            mended[name] = self.clean_text(mended[name], watch)
        if not (self.mask or self.drop):
            return CleanedRow(mended)
        if refused := self._refused(mended, names):
            return refused
        marks = RowMasker(mended[name] for name in names)
        for name in names:
            before = mended[name]
            mended[name] = self._masked(before, marks)
            if watch and mended[name] != before:
                watch("mask", before, mended[name])
        # Where a mark now stands, what is beside it may read as something else.
        return self._refused(mended, names) or CleanedRow(mended, marks.found)

    def _refused(self, mended: dict[str, Any], names: Sequence[str]) -> CleanedRow | None:
        """Return the refusal of a row that holds what is to be dropped; None when it holds nothing of it."""
        found = (
            Counter(span.kind for name in names for span in find_personal_data(mended[name], self.drop))
            if self.drop
            else None
        )
        if not found:
            return None
        kinds = listed([kind for kind in KINDS if kind in found], "en")
        return CleanedRow(mended, found, f"it holds personal data ({kinds}), which this product refuses")

    def clean_text(self, text: str, watch: StepObserver | None = None) -> str:
        """Return a text after all mending steps, as often as they find something to do."""
        for turn in range(2 * _MAX_ROUNDS):
            before = text
            for step in self.steps:
                old = text
                text = step.apply(old)
                if watch and text != old:
                    watch(step.name, old, text)
            if text == before:
                return text
            if turn == _MAX_ROUNDS:
                # Written to never end: without these nothing is left to unfold.
                text = text.replace("&", " ").replace("<", " ")
        return text

    def _masked(self, text: str, marks: RowMasker) -> str:
        return marks.mask(text, self.mask) if self.mask else text
