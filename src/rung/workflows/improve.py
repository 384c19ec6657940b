"""One improvement of a served product: learn from feedback, build a challenger, compare, promote or keep.

journal ─> filter ─┐
                   ├─> build (certified on fresh audit rows) ─> paired tests: fresh, then reused ─> promote (or shadow), or keep
audit rounds ──────┘
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rung.core.activity import Heartbeat
from rung.core.files import read_json, write_json, write_text, writing
from rung.core.label_sets import set_labels
from rung.core.manifest import read_manifest
from rung.core.messages import LANGUAGES, join_sentences, listed, resolve_language, say, say_or
from rung.core.metrics.scored import ScoredRows, sampling_of
from rung.core.run import Listener
from rung.core.spec.improve import JoinedSpec
from rung.core.spec.product import Located, load_product
from rung.data.labels.consensus import CANNOT, Verdict
from rung.data.prepare.parquet import read_examples
from rung.data.prepare.prepare import dataset_from
from rung.improvement.audit_rounds import AuditRound, charge_optional_stopping, usable_rounds
from rung.improvement.compared_metric import compared_metric, mean_metric
from rung.improvement.feedback_filter import FilterResult, FilterRules, Vote, filter_feedback, itself
from rung.improvement.input_copies import (
    AUDIT_FILE,
    FEEDBACK_FILE,
    FOLDER_NAME,
    exclusive_access,
    remove_input_copies,
    remove_left_copies,
)
from rung.improvement.noninferiority_test import (
    FRESH,
    REUSED,
    Comparison,
    NoninferiorityResult,
    fresh_rows_for_equal,
    noninferiority_test,
    row_scores,
)
from rung.journal.media import InputCodec
from rung.pages.report import render
from rung.serving.promotion import KEPT, Change, ShadowTerms, append_change, begin_shadow, end_shadow, promote
from rung.serving.shadow_state import read_shadows
from rung.serving.subprocess_predict import predict_in_subprocess
from rung.workflows.build import Build, build
from rung.workflows.observed_truth import observed_votes
from rung.workflows.replay import replay_facts
from rung.workflows.review import ServedProduct, open_served_product, require_champion
from rung.workflows.served_users import with_user
from rung.workflows.shadow import SERVE, WAIT, ShadowStatus, apply_verdict, shadow_status

PROMOTED, KEPT_CHAMPION, WAITING, SHADOWED = "promoted", "kept", "waiting", "shadowed"


@dataclass(frozen=True)
class Improvement:
    """The result of an improvement.

    verdict: promoted, kept, shadowed (the challenger passed and serves in shadow first), or waiting (too
    little feedback or audit, or too few rows in shadow; nothing was built). reasons: (message key below
    `improve.`, its values). facts: counts of feedback and audit, for `--json`.
    """

    verdict: str
    reasons: tuple[tuple[str, Mapping[str, Any]], ...]
    facts: Mapping[str, Any]
    checks: tuple[NoninferiorityResult, ...] = ()
    build: Build | None = None
    change: Change | None = None


@dataclass(frozen=True)
class ImprovementInputs:
    """Feedback and audit rounds for an improvement.

    rounds: audit rounds that may certify now. done, wanted: decided and all rows of the oldest open round.
    """

    feedback: FilterResult
    rounds: tuple[AuditRound, ...]
    done: int
    wanted: int
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)

    def facts(self, served: ServedProduct) -> dict[str, Any]:
        """Return the counts as JSON."""
        return {
            "accepted": len(self.feedback.accepted),
            "aside": self.feedback.counts(),
            "audit": {"done": self.done, "wanted": self.wanted, "rounds": len(self.rounds)},
            "without_input": served.n_unreadable,
            **({"nameless": served.users.nameless} if served.users is not None else {}),
        }


def improve(
    product: str | Path,
    *,
    who: str = "rung improve",
    dry: bool = False,
    on_event: Listener | None = None,
    lang: str | None = None,
    track: Sequence[str] = (),
) -> Improvement:
    """Try once to replace the serving model by one that learned from feedback; return the result.

    product: path of a product.yaml that is, or was, served with a journal. who: for the history. dry: only
    report the feedback and audit rows. Raises RungError where nothing serves, or the journal is missing or
    cannot be read.
    """
    with open_served_product(product) as served, exclusive_access(served.folder):
        status = shadow_status(served)
        if status is not None:
            return _continue_shadow(served, status, who, dry, resolve_language(lang))
        inputs = improvement_inputs(served)
        facts = inputs.facts(served)
        missing = _missing_inputs(served, inputs)
        if missing or dry:
            return Improvement(WAITING, tuple(missing or [("ready", {"n": facts["accepted"]})]), facts)
        folder = _new_folder(served)
        try:
            done = _build_challenger(served, inputs, folder, on_event, lang, track)
            facts |= replay_facts(served, done.bundle)
            with Heartbeat(lambda now: on_event("working", now) if on_event else None):
                result = _evaluate_challenger(served, done, facts)
            write_json(folder / "verdict.json", improvement_to_dict(result))
        finally:
            remove_input_copies(folder)
        written = read_json(done.folder / "report.json")
        write_text(done.folder / "report.html", render(written, resolve_language(lang)))
        return _apply_verdict(served, result, who, resolve_language(lang))


def _continue_shadow(
    served: ServedProduct, status: ShadowStatus, who: str, dry: bool, lang: str
) -> Improvement:
    """Decide on the challenger in shadow. No other challenger is built before it is promoted or rejected."""
    facts = {**improvement_inputs(served).facts(served), "shadow": status.facts()}
    if dry or status.verdict == WAIT:
        return Improvement(WAITING, status.reasons, facts)
    verdict = PROMOTED if status.verdict == SERVE else KEPT_CHAMPION
    found = Improvement(verdict, status.reasons, facts)
    why = describe(found, lang)
    if verdict == PROMOTED:
        why = join_sentences(lang, status.shadow.why, why)
    return replace(found, change=apply_verdict(served, status, who, why))


def withdraw_shadow(product: str | Path, who: str, lang: str) -> Change | None:
    """Remove the challenger from shadow; return the entry of the history, None where there is no challenger."""
    spec, base = load_product(Path(product))
    folder = base / spec.serve.folder
    shadow = read_shadows(folder).get(spec.name)
    if shadow is None:
        return None
    with exclusive_access(folder):
        return end_shadow(folder, spec.name, shadow, who, say("improve.shadow_ended", lang))


def improvement_inputs(served: ServedProduct) -> ImprovementInputs:
    """Return the feedback and audit rounds for an improvement. Raises RungError where nothing serves yet."""
    found = served.verdicts()
    schema = read_manifest(require_champion(served)).schema
    known, own = schema.classes, served.product.labelling
    spec, parts = served.product.improve, set_labels if schema.label_set else itself
    allowed = {*known, *spec.labels, *(own.labels if own else ())}
    rules = FilterRules(allowed if known else None, known, spec.sure, spec.author_share, parts)
    predictions = {
        served.identified[id].text: (row.answer, row.probability or 0.0)
        for id, row in served.predictions.items()
    }
    feedback = filter_feedback(collect_votes(served, found), predictions, served.audit_texts, rules)
    decided = served.decided(found)
    rounds = usable_rounds(served.rounds, decided, served.lock)
    open_ = [one for one in served.open_rounds() if not decided.issuperset(one.predictions)]
    if open_:
        done, size = len(decided & set(open_[0].predictions)), len(open_[0].predictions)
    else:
        # The next round is not full yet, but its rows may be reviewed already.
        verdicts = (found.get(served.identified[id].text) for id in served.pending)
        done = sum(verdict is not None and verdict.answer is not None for verdict in verdicts)
        size = served.round_size
    return ImprovementInputs(feedback, tuple(rounds), done, size, found)


def collect_votes(served: ServedProduct, found: Mapping[str, Verdict]) -> list[Vote]:
    """Return the latest answer of each author on each text outside the audit."""
    if served.task.observes_truth:
        rows = {id: known.text for id, known in served.identified.items()}
        return observed_votes(served.journal, served.product.name, rows, served.read_answer)
    from rung.annotation.journal_store import REVIEW
    from rung.journal.reader import JournalReader
    from rung.journal.schema import ACTION_KEY

    votes: dict[tuple[str, str], Vote] = {}
    for one in JournalReader.from_journal(served.journal).feedback(served.product.name):
        known = served.identified.get(one.prediction)
        is_action = isinstance(one.answer, dict) and ACTION_KEY in one.answer
        if known is None or is_action:
            continue
        label = None if isinstance(one.answer, dict) else served.read_answer(one.answer)
        is_user = one.source in {"user", "system"}
        # Answers of reviewers are read from their verdicts; those that none came of are put aside by the filter.
        unused = label is None or (one.source == REVIEW and known.text in served.audit_texts)
        if is_user or unused:
            votes[known.text, one.author] = Vote(one.prediction, known.text, one.author, not is_user, label)
    for text, verdict in found.items():
        if text in served.audit_texts:
            continue
        answers = {"settled": verdict.settled} if verdict.settled is not None else verdict.said
        for author, answer in answers.items():
            label = CANNOT if answer == CANNOT else served.read_answer(answer)
            votes[text, f"{author} (review)"] = Vote(verdict.file, text, author, True, label)
    return list(votes.values())


def _missing_inputs(served: ServedProduct, inputs: ImprovementInputs) -> list[tuple[str, dict[str, Any]]]:
    """Return the reasons to wait: too little feedback, no usable audit round, or too few rows in them to show anything."""
    product = served.product
    found: list[tuple[str, dict[str, Any]]] = []
    accepted, least = len(inputs.feedback.accepted), product.improve.min_feedback
    if accepted < least:
        found.append(("few", {"n": accepted, "least": least}))
    if not inputs.rounds:
        found.append(("no_audit", {"done": inputs.done, "wanted": inputs.wanted}))
        return found
    spec, rows = product.improve, sum(len(one.predictions) for one in inputs.rounds)
    # Each test spends of the product's error budget: by default none is taken that an equal challenger could not pass.
    needed = fresh_rows_for_equal(product.name, spec.margin, spec.confidence, served.lock)
    needed = min(needed, spec.audit_rows or needed)
    if rows < needed:
        found.append(("few_audit", {"rows": rows, "needed": needed, "margin": spec.margin}))
    return found


def _new_folder(served: ServedProduct) -> Path:
    """Make the folder of this improvement, and remove what a killed one may have left in its own."""
    home = served.folder / FOLDER_NAME
    remove_left_copies(home)
    number = max((int(p.name) for p in home.glob("*") if p.name.isdigit()), default=0) + 1
    folder = home / f"{number:03d}"
    with writing(home):
        folder.mkdir(parents=True, mode=0o700)
    return folder


def _build_challenger(
    served: ServedProduct,
    inputs: ImprovementInputs,
    folder: Path,
    on_event: Listener | None,
    lang: str | None,
    track: Sequence[str],
) -> Build:
    """Build the challenger in a folder of the service folder, where builds never serve by themselves."""
    labels = {item.prediction: item.label for item in inputs.feedback.accepted}
    _write_rows(folder / FEEDBACK_FILE, served, labels)
    audited = {}
    for one in inputs.rounds:
        for id in one.predictions:
            known = served.identified.get(id)
            answer = inputs.verdicts[known.text].answer if known and known.text in inputs.verdicts else None
            if answer not in (None, CANNOT):
                audited[id] = answer
    _write_rows(folder / AUDIT_FILE, served, audited)
    lines = [
        {"prediction": i.prediction, "text": i.text, "label": i.label, "authors": i.authors, "aside": reason}
        for reason, items in [("", inputs.feedback.accepted), *inputs.feedback.rejected.items()]
        for i in items
    ]
    write_text(
        folder / "provenance.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    )
    charge_optional_stopping(inputs.rounds, served.lock, served.product.confidence)
    names = (os.path.relpath(folder / name, served.base) for name in (FEEDBACK_FILE, AUDIT_FILE))
    # Rows of the journal name no group: each is one of its own.
    accepted = ["empty_groups"] if served.product.data.group else []
    joined = served.product.model_copy(
        update={
            "accept": (*served.product.accept, *accepted),
            "joined": JoinedSpec(feedback=next(names), audit=next(names)),
        }
    )
    run = folder / "run"
    return build(Located(joined, served.base), run=run, on_event=on_event, lang=lang, track=track)


def _write_rows(path: Path, served: ServedProduct, labels: Mapping[str, Any]) -> None:
    """Write rows as a build reads them: media with their content."""
    data = served.product.data
    codec = InputCodec(served.task.schema(data.input, []).inputs)
    with path.open("w", encoding="utf-8") as file:
        path.chmod(0o600)
        for id, label in labels.items():
            if id in served.predictions:
                inputs = codec.encode(served.predictions[id].input or {}, keep_media=True).values
                row = {**with_user(id, inputs, served.product, served.users), data.target: label}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _statuses_in_words(statuses: Mapping[str, str], lang: str) -> str:
    colon = "：" if lang == "zh" else ": "
    named = {
        rung: say_or(f"status.{status.replace(' ', '_')}", lang, status) for rung, status in statuses.items()
    }
    return listed((f"{rung}{colon}{status}" for rung, status in named.items()), lang)


def _evaluate_challenger(served: ServedProduct, done: Build, facts: Mapping[str, Any]) -> Improvement:
    """Return whether the challenger may replace the champion.

    The certificate and the limits were checked by the build; the paired tests are made here.
    """
    if not done.cleared:
        statuses = {trial["rung"]: trial["status"] for trial in done.report["trials"]}
        why = {lang: _statuses_in_words(statuses, lang) for lang in LANGUAGES}
        return Improvement(KEPT_CHAMPION, (("not_certified", {"why": why}),), facts, (), done)
    champion = require_champion(served)
    data = dataset_from(
        done.folder / "data", json.loads((done.folder / "data" / "done.json").read_text("utf-8"))
    )
    old, new = read_manifest(champion), read_manifest(done.bundle)
    metric = compared_metric(served.product, served.task, new.schema)
    spec = served.product.improve
    is_binary = mean_metric(served.task, metric, new.schema).is_binary
    comparison = Comparison(
        served.product.name, metric, old.version, new.version, spec.margin, spec.confidence, is_binary
    )
    checks: list[NoninferiorityResult] = []
    for kind, table in ((FRESH, "certification"), (REUSED, "held")):
        rows = read_examples(data, table)
        if not len(rows) and kind == REUSED:
            values = {"margin": spec.margin, "fresh": checks[0].rows, "metric": metric}
            return Improvement(PROMOTED, (("no_worse_fresh", values),), facts, tuple(checks), done)
        scores = []
        for bundle, schema in ((champion, old.schema), (done.bundle, new.schema)):
            answered = ScoredRows.of(rows, predict_in_subprocess(bundle, rows.records()).answers)
            scores.append(row_scores(mean_metric(served.task, metric, schema), answered))
        sampling = sampling_of(data.facts["split"])
        if kind == REUSED and served.product.data.group and served.product.data.time:
            # Old certification rows of groups over time: see `building.certify`.
            sampling = "fixed"
        checks.append(
            noninferiority_test(kind, comparison, rows.units, (scores[0], scores[1]), served.lock, sampling)
        )
        if not checks[-1].passed:
            last = checks[-1]
            values = {"margin": spec.margin, "rows": last.rows, "needed": last.rows_needed, "metric": metric}
            return Improvement(KEPT_CHAMPION, ((f"worse_{kind}", values),), facts, tuple(checks), done)
    values = {"margin": spec.margin, "fresh": checks[0].rows, "reused": checks[1].rows, "metric": metric}
    return Improvement(PROMOTED, (("no_worse", values),), facts, tuple(checks), done)


def _apply_verdict(served: ServedProduct, result: Improvement, who: str, lang: str) -> Improvement:
    """Promote the challenger, or record in the history why the champion stays."""
    assert result.build is not None  # noqa: S101 - only a challenger is judged
    why = describe(result, lang)
    name, bundle = served.product.name, result.build.bundle
    if result.verdict == PROMOTED and served.product.improve.shadow is not None:
        terms = ShadowTerms(served.product.improve.shadow, who, why)
        change = begin_shadow(served.folder, name, bundle, require_champion(served), terms)
        return replace(result, verdict=SHADOWED, change=change)
    if result.verdict == PROMOTED:
        change = promote(served.folder, name, bundle, served.champion, who, why)
    else:
        version = read_manifest(bundle).version if (bundle / "manifest.json").is_file() else ""
        facts = {"bundle": str(bundle), "version": version, "previous": str(served.champion)}
        change = append_change(served.folder, name, KEPT, who, why, **facts)
    return Improvement(result.verdict, result.reasons, result.facts, result.checks, result.build, change)


def describe(found: Improvement, lang: str) -> str:
    """Return the reasons as sentences."""
    return join_sentences(lang, *(say(f"improve.{key}", lang, **values) for key, values in found.reasons))


def improvement_to_dict(found: Improvement) -> dict[str, Any]:
    """Return an improvement for JSON."""
    return {
        "verdict": found.verdict,
        "reasons": [{"key": key, **values} for key, values in found.reasons],
        **found.facts,
        "checks": [vars(one) for one in found.checks],
        "run": str(found.build.folder) if found.build else None,
        "bundle": str(found.build.bundle) if found.build else None,
        "certificate": found.build.report.get("certificate") if found.build and found.build.cleared else None,
    }
