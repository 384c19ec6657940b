"""Open a review session over served rows: read the journal, form audit rounds, choose candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from rung.core.kind import kind
from rung.core.manifest import read_manifest
from rung.core.spec.labelling import KEYS, LabellingSpec
from rung.core.spec.product import Product, load_product
from rung.core.task import Task
from rung.core.types import Field
from rung.data.labels.audit_sample import first_audit
from rung.data.labels.consensus import Verdict, verdicts
from rung.data.labels.pool import AnswerKind
from rung.data.prepare.cast import with_inputs
from rung.data.prepare.identify import Known, identify
from rung.data.prepare.parquet import read_sample
from rung.data.prepare.prepare import dataset_from
from rung.improvement.audit_rounds import AuditRound, form_rounds, is_audited, read_rounds, unused_rounds
from rung.serving.http.access import REVIEW
from rung.serving.http.api_keys import KeyStore
from rung.serving.promotion import current_champion
from rung.workflows.observed_truth import observed_verdicts
from rung.workflows.served_users import ServedUsers, counts_users, served_users, with_user

if TYPE_CHECKING:
    from rung.annotation.journal_store import JournalAnnotationStore
    from rung.journal.reader import LoggedPrediction
    from rung.journal.writer import Journal


@dataclass(frozen=True)
class ServedProduct:
    """The served rows of a product.

    predictions, identified: by prediction id, for the rows whose input can be read. rounds: of the audit.
    pending: ids of predictions that wait for the next round to fill. audit_texts: text hashes of the audit.
    n_unreadable: number of rows whose input cannot be read. users: whose rows they are, where the product counts users.
    """

    product: Product
    path: Path
    base: Path
    task: Task
    journal: Journal
    store: JournalAnnotationStore
    champion: Path | None
    predictions: Mapping[str, LoggedPrediction]
    identified: Mapping[str, Known]
    rounds: tuple[AuditRound, ...]
    pending: tuple[str, ...]
    audit_texts: frozenset[str]
    round_size: int
    n_unreadable: int
    users: ServedUsers | None = None

    @property
    def folder(self) -> Path:
        return self.base / self.product.serve.folder

    @property
    def lock(self) -> CertificateLock:
        return CertificateLock(self.base / "certificate.lock")

    @cached_property
    def target(self) -> Field:
        """Return the field of the champion's answers."""
        return read_manifest(require_champion(self)).schema.outputs[0]

    def read_answer(self, answer: Any) -> Any:
        """Return an answer given as feedback as the task learns it; None for one that it cannot read."""
        if self.target.kind == "labels":
            return self.task.read_target(answer, self.target)
        known = kind(self.target.kind)
        is_single = known.is_text or known.is_number or known.repeats
        return None if isinstance(answer, list) and is_single else self.task.parse_target(answer)

    def is_audited(self, prediction: str) -> bool:
        """Return whether a prediction belongs to the audit."""
        return self.identified[prediction].text in self.audit_texts

    def open_rounds(self) -> list[AuditRound]:
        """Return the rounds that no certificate has used yet."""
        return unused_rounds(self.rounds, self.lock)

    def verdicts(self) -> dict[str, Verdict]:
        """Return text hash -> the labels of its reviewers, or what is known to have come, where that is the truth."""
        if self.task.observes_truth:
            return observed_verdicts(self.journal, self.product.name, self.identified)
        return verdicts(self.store.entries())

    def decided(self, found: Mapping[str, Verdict]) -> set[str]:
        """Return the predictions of rounds that are decided, or whose input can no longer be read."""
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
    """Yield the served rows of a product with its journal open. Forms the audit rounds that are full.

    Raises RungError where there is no journal, or its inputs cannot be read.
    """
    try:
        from rung.annotation.journal_store import JournalAnnotationStore, require_readable
        from rung.journal.reader import JournalReader
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
        reader = JournalReader.from_journal(journal, task.schema(spec.data.input, []).inputs)
        readable, n_unreadable = reader.reviewable(spec.name, since, MAX_ROWS)
        rows = {row.id: row for row in readable}
        drawn = [prediction for one in rounds for prediction in one.predictions]
        rows |= reader.by_id([prediction for prediction in drawn if prediction not in rows])
        require_readable(len(rows), n_unreadable, spec.name)
        users = None
        if counts_users(task, spec):
            users = served_users(rows, spec, base, journal.encoder, certification_share(spec, lock))
        asked = ((id, with_user(id, row.input or {}, spec, users)) for id, row in rows.items())
        known = identify(asked, spec, task, lock)
        rows = {id: rows[id] for id in sorted(rows) if id in known}
        size = round_size(spec)
        share = spec.improve.audit_share
        arriving = rows if users is None else {id: row for id, row in rows.items() if id in users.fresh}
        arrived = _audit_arrivals(
            arriving, known, _seen_units(lock), lambda unit: is_audited(journal.encoder.salt, unit, share)
        )
        formed, pending = form_rounds(folder, spec.name, arrived, size)
        texts = {id: item.text for id, item in known.items()}
        # Includes rows drawn when the audit share was larger: a row that was drawn once never trains.
        resampling_units = {unit for one in formed for unit in one.units}
        audited = frozenset(
            item.text
            for item in known.values()
            if item.unit in resampling_units or is_audited(journal.encoder.salt, item.unit, share)
        )
        champion = current_champion(path, folder, base, spec.name)
        store = JournalAnnotationStore(journal, spec.name, texts, audited, _answer_kind(champion))
        yield ServedProduct(
            spec, path, base, task, journal, store, champion, rows, known, tuple(formed), tuple(pending), audited, size,
            n_unreadable, users,
        )  # fmt: skip
    finally:
        journal.close()


@contextmanager
def open_review(product: str | Path) -> Iterator[tuple[ServedProduct, ReviewSession]]:
    """Yield the served rows of a product and the session in which people review them.

    Raises RungError for a product which is not served.
    """
    with open_served_product(product) as served:
        if served.task.observes_truth:
            fix = "Send what came, with a key of the role review: POST /v1/feedback, `answer`. See docs: how to recommend."
            raise RungError("no reviewer can tell what users will do", served.product.name, fix)
        labels = review_labels(served)
        candidates = _review_candidates(served)
        chosen = [one for one in candidates if one.audit_position is None]
        texts = [one.joined() for one in chosen]
        distances = novelty(texts, _training_texts(served), Featurizer("words", None))
        pool = replace(
            review_pool(candidates, labels, served.round_size), answer_kind=_answer_kind(served.champion)
        )
        novelty_by_text = dict(zip((one.text for one in chosen), distances.tolist(), strict=True))
        strategy = ReviewStrategy(pool, {one.text: one for one in candidates}, novelty_by_text)
        own, spec = served.product.labelling, served.product.improve
        # Not validated: a product with numeric answers has no labels.
        labelling = LabellingSpec.model_construct(
            labels=labels,
            guidelines=own.guidelines if own else "",
            overlap=spec.overlap,
            audit_share=spec.audit_share,
        )
        session = ReviewSession(
            pool, served.store, labelling, strategy, served.product.name, served.round_size
        )
        yield served, session


def reviewer_identity(served: ServedProduct) -> Callable[[str], str] | None:
    """Return a function from an API key to its name.

    None while the service has no keys and everyone may review.
    """
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
    """Return label -> description of the labels that reviewers may give: the model's, and those added by the
    spec.
    """
    own = served.product.labelling
    known = read_manifest(require_champion(served)).schema.labels
    names = dict.fromkeys([*(own.labels if own else ()), *known, *served.product.improve.labels])
    if _answer_kind(served.champion) != "label":
        return {}
    if len(names) > len(KEYS):
        fix = "Send the correct answers to POST /v1/feedback, with a key of the role review."
        raise RungError(
            f"{len(names)} labels are more than the page has keys for ({len(KEYS)})", served.product.name, fix
        )
    return {name: own.labels.get(name, "") if own else "" for name in names}


def _review_candidates(served: ServedProduct) -> list[ReviewCandidate]:
    """Return the rows to review: those of open rounds, those pending for the next round, and the latest
    others.
    """
    from rung.journal.reader import JournalReader

    in_audit = [id for one in served.open_rounds() for id in one.predictions] + list(served.pending)
    position = {
        served.identified[id].text: place for place, id in enumerate(in_audit) if id in served.identified
    }
    contradictions: dict[str, set[str]] = {}
    for item in JournalReader.from_journal(served.journal).feedback(served.product.name):
        known, row = served.identified.get(item.prediction), served.predictions.get(item.prediction)
        if known and row and item.source in {"user", "system"} and item.answer != row.answer:
            contradictions.setdefault(known.text, set()).add(str(item.answer))
    share = certification_share(served.product, served.lock)
    found: dict[str, ReviewCandidate] = {}
    for id in reversed(list(served.predictions)):
        row, text = served.predictions[id], served.identified[id].text
        if text in found or (text in served.audit_texts and text not in position):
            continue
        if text not in position and int(served.identified[id].unit, 16) < share * 2.0**64:
            continue  # Its feedback could not train: see `data.prepare.feedback_rows`.
        if text not in position and len(found) - len(position) >= MAX_ROWS:
            continue
        found[text] = ReviewCandidate(
            id, text, row.input or {}, row.answer, row.probability, len(contradictions.get(text, ())),
            position.get(text),
        )  # fmt: skip
    return list(found.values())


def _answer_kind(champion: Path | None) -> AnswerKind:
    """Return what a reviewer gives as the true answer: a label, a number, or a text that `Task.parse_target` reads."""
    if champion is None or not (champion / "manifest.json").is_file():
        return "label"
    schema = read_manifest(champion).schema
    if schema.outputs[0].kind == "number":
        return "number"
    return "label" if schema.labels or schema.outputs[0].kind == "label" else "text"


def require_champion(served: ServedProduct) -> Path:
    """Return the bundle that serves; raises RungError where none does yet."""
    if served.champion is None:
        fix = "Build and serve it first: rung build, then rung serve."
        raise RungError("nothing serves yet", served.product.name, fix)
    return served.champion


def certification_share(product: Product, lock: CertificateLock) -> float:
    """Return the share of the hash range whose rows certify in the product's data.

    0 where rows are not split by hash.
    """
    data = product.data
    rule = lock.rule(f"{data.identity} -> {data.target}") or {}
    return float(rule.get("fraction", 0.0)) if rule.get("by") == "hash" else 0.0


def _training_texts(served: ServedProduct) -> list[str]:
    """Return a sample of the champion's training rows as texts; [] where its run folder is missing."""
    if served.champion is None or not (served.champion.parent / "data" / "done.json").is_file():
        return []
    folder = served.champion.parent / "data"
    rows = read_sample(dataset_from(folder, read_json(folder / "done.json")), "train", 2_000)
    return ["\n".join(str(cell) for cell in row.values() if cell is not None) for row in rows.records()]


def round_size(product: Product) -> int:
    """Return the size of an audit round: that of the spec, else as many rows as the bar needs."""
    bar = product.bar[0]
    return product.improve.audit_rows or first_audit(bar.level, bar.higher_is_better, bar.confidence)


def _seen_units(lock: CertificateLock) -> set[str]:
    """Return the units that a build trained on or a look used: they are not fresh."""
    return {f"{unit:016x}" for unit in [*lock.trained().tolist(), *lock.looked().tolist()]}


def _audit_arrivals(
    rows: Mapping[str, LoggedPrediction],
    known: Mapping[str, Known],
    seen: set[str],
    audited: Callable[[str], bool],
) -> list[tuple[str, str, float]]:
    """Return (prediction, unit, time) of the audit's rows, in the order of their first arrival."""
    found: dict[str, tuple[str, str, float]] = {}
    for id, row in rows.items():
        unit = known[id].unit
        if unit not in found and unit not in seen and audited(unit):
            found[unit] = (id, unit, row.at)
    return list(found.values())
