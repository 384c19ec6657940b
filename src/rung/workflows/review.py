"""What a product served, as people review it: its journal read, the audit's rounds formed, the desk opened; on one page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rung.annotation.featurizer import Featurizer
from rung.annotation.review_session import (
    MAX_ROWS,
    ReviewCandidate,
    ReviewSession,
    ReviewStrategy,
    novelty,
    review_pool,
)
from rung.core import registry
from rung.core.certificate_lock import CertificateLock
from rung.core.errors import InputError, MissingExtra, RungError
from rung.core.files import read_json
from rung.core.manifest import read_manifest
from rung.core.spec.labelling import KEYS, LabellingSpec
from rung.core.spec.product import Product, load_product
from rung.core.task import Task
from rung.data.labels.audit_sample import first_audit
from rung.data.labels.consensus import Verdict, verdicts
from rung.data.prepare.cast import with_inputs
from rung.data.prepare.identify import Known, identify
from rung.data.prepare.parquet import read_sample
from rung.data.prepare.prepare import dataset_from
from rung.improvement.audit_rounds import AuditRound, form_rounds, is_audited, read_rounds, unused_rounds
from rung.serving.http.access import REVIEW
from rung.serving.http.api_keys import KeyStore
from rung.serving.promotion import current_champion

if TYPE_CHECKING:
    from rung.annotation.journal_store import JournalAnnotationStore
    from rung.journal.reader import LoggedPrediction
    from rung.journal.writer import Journal


@dataclass(frozen=True)
class ServedProduct:
    """A product's served rows. rows, known: by prediction, of those that can still be read. rounds:
    those of the audit; waiting: predictions that wait for the next one to fill. gone: rows nobody can read."""

    product: Product
    path: Path
    base: Path
    task: Task
    journal: Journal
    answers: JournalAnnotationStore
    champion: Path | None
    predictions: Mapping[str, LoggedPrediction]
    identified: Mapping[str, Known]
    rounds: tuple[AuditRound, ...]
    pending: tuple[str, ...]
    audit_texts: frozenset[str]
    round_size: int
    n_unreadable: int

    @property
    def folder(self) -> Path:
        return self.base / self.product.serve.folder

    @property
    def lock(self) -> CertificateLock:
        return CertificateLock(self.base / "certificate.lock")

    def is_audited(self, prediction: str) -> bool:
        """Return whether a prediction's text belongs to the audit."""
        return self.identified[prediction].text in self.audit_texts

    def open_rounds(self) -> list[AuditRound]:
        """Return the rounds that have not certified anything yet."""
        return unused_rounds(self.rounds, self.lock)

    def verdicts(self) -> dict[str, Verdict]:
        """Return text -> what reviewers say of it."""
        return verdicts(self.answers.entries())

    def decided(self, found: Mapping[str, Verdict]) -> set[str]:
        """Return the predictions of rounds that are decided, or that nobody can decide any more."""
        done = set()
        for one in self.rounds:
            for prediction in one.predictions:
                if (
                    prediction not in self.identified
                    or (verdict := found.get(self.identified[prediction].text)) is not None
                    and verdict.answer is not None
                ):
                    done.add(prediction)
        return done


@contextmanager
def open_served_product(product: str | Path) -> Iterator[ServedProduct]:
    """Yield what a product served, its journal open for reviews. Forms the audit rounds that are full by now.

    Raises RungError where there is no journal, or its inputs cannot be read.
    """
    try:
        from rung.annotation.journal_store import JournalAnnotationStore, require_readable
        from rung.journal.reader import read_inputs, read_predictions
        from rung.journal.writer import Journal
    except ImportError:
        raise MissingExtra("the journal", "ops", "SQLAlchemy") from None
    path = Path(product)
    spec, base = load_product(path)
    task = registry.task(spec.task)
    spec = with_inputs(spec, base, task)
    folder, lock = base / spec.serve.folder, CertificateLock(base / "certificate.lock")
    journal = Journal(folder, spec.serve.inputs, spec.serve.keep_days)
    try:
        rounds = read_rounds(folder, spec.name)
        since = max((one.predictions[-1] for one in rounds), default="")
        fields = task.schema(spec.data.input, []).inputs
        served = read_predictions(journal, spec.name, fields, since, MAX_ROWS)
        rows = {row.id: row for row in served.rows}
        drawn = [prediction for one in rounds for prediction in one.predictions]
        missing = [prediction for prediction in drawn if prediction not in rows]
        rows |= read_inputs(journal, missing, fields)
        require_readable(len(rows), served.without_input, spec.name)
        known = identify(((id, row.input) for id, row in rows.items()), spec, task)
        rows = {id: rows[id] for id in sorted(rows) if id in known}
        size = round_size(spec)
        share = spec.improve.audit_share
        arrived = _audit_arrivals(
            rows, known, _seen_units(lock), lambda unit: is_audited(journal.encoder.salt, unit, share)
        )
        formed, waiting = form_rounds(folder, spec.name, arrived, size)
        texts = {id: item.text for id, item in known.items()}
        # Also what was drawn when the share was larger: drawn once, a row never trains.
        drawn_units = {unit for one in formed for unit in one.units}
        audited = frozenset(
            item.text
            for item in known.values()
            if item.unit in drawn_units or is_audited(journal.encoder.salt, item.unit, share)
        )
        champion = current_champion(path, folder, base, spec.name)
        yield ServedProduct(
            spec, path, base, task, journal, JournalAnnotationStore(journal, spec.name, texts, audited, _predicts_numbers(champion)),
            champion, rows, known, tuple(formed), tuple(waiting), audited, size,
            served.without_input,
        )  # fmt: skip
    finally:
        journal.close()


@contextmanager
def open_review(product: str | Path) -> Iterator[tuple[ServedProduct, ReviewSession]]:
    """Yield what a product served, and the desk at which people review it: labels, or numbers.

    Raises RungError for a product whose answers are neither, or which nobody serves.
    """
    with open_served_product(product) as served:
        labels = review_labels(served)
        candidates = _review_candidates(served)
        reader = Featurizer("words", None)
        chosen = [one for one in candidates if one.audit_position is None]
        far = novelty([one.joined() for one in chosen], _training_texts(served), reader)
        pool = replace(
            review_pool(candidates, labels, served.round_size), of_numbers=_predicts_numbers(served.champion)
        )
        new = dict(zip((one.text for one in chosen), far.tolist(), strict=True))
        tutor = ReviewStrategy(pool, {one.text: one for one in candidates}, new)
        own, spec = served.product.labelling, served.product.improve
        # Not checked: a product that answers with numbers has no labels.
        guide = LabellingSpec.model_construct(
            labels=labels,
            guidelines=own.guidelines if own else "",
            overlap=spec.overlap,
            audit_share=spec.audit_share,
        )
        yield (
            served,
            ReviewSession(pool, served.answers, guide, tutor, served.product.name, served.round_size),
        )


def reviewer_identity(served: ServedProduct) -> Callable[[str], str] | None:
    """Return what gives the name of whoever presents a key; None while the service has no keys and everyone may review."""
    keys = KeyStore(served.folder)
    if not keys.in_use():
        return None

    def name(presented: str) -> str:
        key = keys.find(presented.strip())
        if key is None or key.role not in REVIEW:
            fix = "Use a key of the role review or admin: rung keys create NAME --role review."
            raise InputError("this key may not review", "key", fix)
        return key.name

    return name


def review_labels(served: ServedProduct) -> dict[str, str]:
    """Return the labels reviewers may give: those the model knows, and those the spec adds."""
    own = served.product.labelling
    known = read_manifest(require_champion(served)).schema.labels
    names = dict.fromkeys([*(own.labels if own else ()), *known, *served.product.improve.labels])
    if _predicts_numbers(served.champion):
        return {}
    if not known and not own:
        fix = "Send what would have been right to POST /v1/feedback; `rung improve` learns from it."
        raise RungError(
            "its answers are neither labels nor numbers, so there is no page to review them on",
            served.product.name,
            fix,
        )
    if len(names) > len(KEYS):
        fix = "Send what would have been right to POST /v1/feedback, with a key of the role review."
        raise RungError(
            f"{len(names)} labels are more than the page has keys for ({len(KEYS)})", served.product.name, fix
        )
    return {name: own.labels.get(name, "") if own else "" for name in names}


def _review_candidates(served: ServedProduct) -> list[ReviewCandidate]:
    """Return what may be reviewed: open rounds and what waits for the next, and of the rest the latest."""
    from rung.journal.reader import read_feedback

    turns = [id for one in served.open_rounds() for id in one.predictions] + list(served.pending)
    turn = {served.identified[id].text: place for place, id in enumerate(turns) if id in served.identified}
    said: dict[str, set[str]] = {}
    for one in read_feedback(served.journal, served.product.name):
        known, row = served.identified.get(one.prediction), served.predictions.get(one.prediction)
        if known and row and one.source in {"user", "system"} and one.answer != row.answer:
            said.setdefault(known.text, set()).add(str(one.answer))
    side = certification_share(served)
    found: dict[str, ReviewCandidate] = {}
    for id in reversed(list(served.predictions)):
        row, text = served.predictions[id], served.identified[id].text
        if text in found or (text in served.audit_texts and text not in turn):
            continue
        if text not in turn and int(served.identified[id].unit, 16) < side * 2.0**64:
            continue  # What is said of it could not be learned: see `data.joined`.
        if text not in turn and len(found) - len(turn) >= MAX_ROWS:
            continue
        found[text] = ReviewCandidate(
            id, text, row.input, row.answer, row.probability, len(said.get(text, ())), turn.get(text)
        )
    return list(found.values())


def _predicts_numbers(champion: Path | None) -> bool:
    """Return whether a bundle answers with numbers."""
    if champion is None or not (champion / "manifest.json").is_file():
        return False
    return read_manifest(champion).schema.outputs[0].kind == "number"


def require_champion(served: ServedProduct) -> Path:
    """Return the bundle that serves; raises RungError where none does yet."""
    if served.champion is None:
        fix = "Build and serve it first: rung build, then rung serve."
        raise RungError("nothing serves yet", served.product.name, fix)
    return served.champion


def certification_share(served: ServedProduct) -> float:
    """Return the share of the line of hashes on which a text of the product's data would certify; 0 where no share does."""
    data = served.product.data
    rule = served.lock.rule(f"{data.identity} -> {data.target}") or {}
    return float(rule.get("fraction", 0.0)) if rule.get("by") == "hash" else 0.0


def _training_texts(served: ServedProduct) -> list[str]:
    """Return a sample of the champion's training rows as texts; [] where its run is not here."""
    if served.champion is None or not (served.champion.parent / "data" / "done.json").is_file():
        return []
    folder = served.champion.parent / "data"
    rows = read_sample(dataset_from(folder, read_json(folder / "done.json")), "train", 2_000)
    return ["\n".join(str(cell) for cell in row.values() if cell is not None) for row in rows.records()]


def round_size(product: Product) -> int:
    """Return the rows of an audit round: what the spec says, else what its bar needs."""
    bar = product.bar[0]
    return product.improve.audit_rows or first_audit(bar.level, bar.higher_is_better, bar.confidence)


def _seen_units(lock: CertificateLock) -> set[str]:
    """Return the units that some build has trained on or some look has seen: no fresh rows."""
    return {f"{unit:016x}" for unit in [*lock.trained().tolist(), *lock.looked().tolist()]}


def _audit_arrivals(
    rows: Mapping[str, LoggedPrediction],
    known: Mapping[str, Known],
    seen: set[str],
    audited: Callable[[str], bool],
) -> list[tuple[str, str, float]]:
    """Return (prediction, unit, time) of the audit's rows in the order they first came."""
    found: dict[str, tuple[str, str, float]] = {}
    for id, row in rows.items():
        unit = known[id].unit
        if unit not in found and unit not in seen and audited(unit):
            found[unit] = (id, unit, row.at)
    return list(found.values())
