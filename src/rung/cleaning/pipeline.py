"""The cleaning pipeline of a row: cleaning steps, then masking of personal data or refusal of the row.

It uses no label and no other row, so training rows, certification rows and requests go through the same code.
It is idempotent: a model gives the same answer to a raw text and to its cleaned form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rung.cleaning.steps import Step, make_step, resolve_steps
from rung.core.errors import UPDATE, BundleError, RungError
from rung.core.messages import join_list
from rung.core.spec.cleaning import KINDS, PrivacySpec, StepSpec
from rung.privacy import find_personal_data, require_packages
from rung.privacy.masking import RowMasker

# Called with a step's name and the text before and after it, where they differ.
StepObserver = Callable[[str, str, str], None]
# A step can create work for another (an entity for a full-width letter): at most twice in real text.
_MAX_ROUNDS = 6


@dataclass(frozen=True)
class CleanedRow:
    """A row after cleaning.

    personal: counts of personal data that was masked or refused, by kind; refused: why, or "".
    """

    values: dict[str, Any]
    personal: Counter[str] = field(default_factory=Counter)
    refused: str = ""


@dataclass(frozen=True)
class CleaningPipeline:
    """Cleaning steps in order; kinds of personal data to mask; kinds that refuse a row."""

    steps: tuple[Step, ...] = ()
    mask: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()

    @staticmethod
    def from_spec(clean: Sequence[StepSpec] | None, privacy: PrivacySpec) -> CleaningPipeline:
        """Return the pipeline of a spec. Raises SpecError, or MissingExtra when a kind needs packages that
        are not installed.
        """
        require_packages({*privacy.mask, *privacy.drop})
        return CleaningPipeline(resolve_steps(clean), tuple(privacy.mask), tuple(privacy.drop))

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> CleaningPipeline:
        """Return the pipeline of a manifest; {} (older bundles) cleans nothing. Raises BundleError."""
        try:
            steps = tuple(make_step(item["step"], item["params"]) for item in raw.get("steps", ()))
            mask, drop = (tuple(map(str, raw.get(key, ()))) for key in ("mask", "drop"))
        except (RungError, TypeError, KeyError, AttributeError) as error:
            raise BundleError(
                f"this version of rung does not know how its text is cleaned: {error}",
                "manifest.json",
                UPDATE,
            ) from None
        unknown = [kind for kind in (*mask, *drop) if kind not in KINDS]
        if unknown:
            raise BundleError(
                f"it masks a kind of personal data that this version of rung does not know: '{unknown[0]}'",
                "manifest.json",
                UPDATE,
            )
        require_packages({*mask, *drop})
        return CleaningPipeline(steps, mask, drop)

    def as_dict(self) -> dict[str, Any]:
        """Return the pipeline for a manifest; {} when it does nothing."""
        if not (self.steps or self.mask or self.drop):
            return {}
        return {
            "steps": [step.as_dict() for step in self.steps],
            "mask": list(self.mask),
            "drop": list(self.drop),
        }

    def apply(
        self, values: Mapping[str, Any], texts: Sequence[str], observer: StepObserver | None = None
    ) -> CleanedRow:
        """Return a row with its texts cleaned; never raises, whatever the texts contain."""
        cleaned = dict(values)
        names = [name for name in texts if isinstance(values.get(name), str)]
        for name in names:
            cleaned[name] = self.clean_text(cleaned[name], observer)
        if not (self.mask or self.drop):
            return CleanedRow(cleaned)
        if refused := self._refused(cleaned, names):
            return refused
        masker = RowMasker(cleaned[name] for name in names)
        for name in names:
            before = cleaned[name]
            cleaned[name] = self._masked(before, masker)
            if observer and cleaned[name] != before:
                observer("mask", before, cleaned[name])
        # Text beside a new placeholder may match another kind.
        return self._refused(cleaned, names) or CleanedRow(cleaned, masker.found)

    def _refused(self, cleaned: dict[str, Any], names: Sequence[str]) -> CleanedRow | None:
        """Return the refusal of a row with personal data of a refused kind; None without any."""
        found = (
            Counter(span.kind for name in names for span in find_personal_data(cleaned[name], self.drop))
            if self.drop
            else None
        )
        if not found:
            return None
        kinds = join_list([kind for kind in KINDS if kind in found], "en")
        return CleanedRow(cleaned, found, f"it holds personal data ({kinds}), which this product refuses")

    def clean_text(self, text: str, observer: StepObserver | None = None) -> str:
        """Return a text after all cleaning steps, repeated until nothing changes."""
        for turn in range(2 * _MAX_ROUNDS):
            before = text
            for step in self.steps:
                old = text
                text = step.apply(old)
                if observer and text != old:
                    observer(step.name, old, text)
            if text == before:
                return text
            if turn == _MAX_ROUNDS:
                # Constructed never to converge: without these characters nothing is left to decode.
                text = text.replace("&", " ").replace("<", " ")
        return text

    def _masked(self, text: str, masker: RowMasker) -> str:
        return masker.mask(text, self.mask) if self.mask else text
