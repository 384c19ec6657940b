"""Propose a product for a file of data: task, columns, ladder, bar and regulations."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rung.building.build_time import build_time
from rung.building.ladder import fit_context, ladder, recognise
from rung.building.plan_summary import Wishes, brief, of_cases, of_media
from rung.building.proposal import Proposal
from rung.core import registry
from rung.core.activity import doing
from rung.core.certificate_lock import CertificateLock
from rung.core.errors import DataError
from rung.core.machine_speed import relative_seconds
from rung.core.model import DataFacts, Ladder
from rung.core.prices import load_prices
from rung.core.spec.cleaning import DEFAULT_KINDS
from rung.core.spec.data import DataSpec
from rung.core.spec.product import check_product, safe_name
from rung.core.spec.recommend import RecommendSpec
from rung.core.spec.source_names import is_address, is_hub, masked, short_name, stem
from rung.core.target_names import called_like_label
from rung.core.task import ColumnProfile, ColumnRoles, Guess, Task
from rung.data.prepare.column_formats import decide_formats
from rung.data.prepare.near_media import media_fields
from rung.data.profile.family_column import family_column
from rung.data.profile.label_columns import label_columns, with_label_sets
from rung.data.profile.made_rows import column_profiles, made_of, with_made_rows
from rung.data.profile.reading import readable_columns, reading_facts
from rung.data.profile.roles import Role, suggest_group, suggest_time
from rung.data.profile.summary import survey
from rung.data.profile.target_choice import TargetChoice, target_choices
from rung.data.readers import readers
from rung.data.readers.folder import FlatFolderTable, parts_of
from rung.data.sources.read import Source, open_source, read_rows
from rung.data.sources.rows import Reading
from rung.privacy.masking import redact
from rung.workflows.plan_labels import propose_labels

# Files of media to open; a build opens all of them.
_MEDIA_OPENED = 500
# Rows to read: enough to profile columns, in about a second.
_PLAN_ROWS = 20_000
# What columns of 0 and 1 beside texts are proposed as, and the target that they stand for: the default of `data.target`.
_SET_TASKS, _SETS = ("text_multilabel", "image_multilabel"), "label"
# How much clearer the signal of another target must be.
_CLEARER = 0.1


def plan(
    path: str | Path | Sequence[str],
    *,
    task: str | None = None,
    data: Mapping[str, Any] | None = None,
    wishes: Wishes | None = None,
) -> Proposal:
    """Return a proposal for a file of data: task, columns, ladder, bar, regulations. Nothing is trained.

    path: as `data.path`, relative to the current folder. task, data (keys of the spec's `data`): given
    instead of guessed. wishes: cost of an error, and what the product is about. Raises DataError when the
    data cannot be read or fits no task (Unlabelled, where it has texts and no labels), SpecError when the given values are invalid.
    """
    paths = [str(path)] if isinstance(path, str | Path) else [str(item) for item in path]
    paths, test, named = *(_parts(paths[0]) if len(paths) == 1 else (paths, None)), paths[0]
    given: dict[str, Any] = {**(data or {}), "path": paths[0] if len(paths) == 1 else paths}
    name = safe_name(stem(named, readers()))
    spec = {"name": name, "task": task or "unknown", "bar": {"metric": "accuracy", "at_least": 0.9}}
    # Placeholders until input and target are guessed.
    unknown = {"input": "?input", "target": "?target", **given}
    read = check_product({**spec, "data": unknown}, "plan").data
    source = open_source(paths, Reading.of(read, read.encoding))
    _require_labels(source)
    source, (columns, rows, left_out), labels = _looked_at(source, read, given, task)
    guesses = _recognised(source, columns, rows, task, given)
    by_name = {column.name: column for column in columns}
    guess, targets = _with_target(guesses[0], source, by_name, rows)
    source, rows = _made(source, guess, by_name, rows)
    sample = tuple(text for name in guess.inputs for text in by_name[name].examples)
    kind = registry.task(guess.task)
    labelled = bool(kind.schema(guess.inputs, ("a", "b")).labels)
    size = DataFacts(rows, _classes(by_name[guess.target], labelled), _chars(guess, by_name), sample)
    found = given | {"input": list(guess.inputs)} | _answered(guess, labels)
    product = check_product({**spec, "task": guess.task, "data": found, **guess.sections}, "plan")
    context = fit_context(product, os.cpu_count() or 1, Path.cwd())
    rungs = ladder(product, kind.floor, size, load_prices(), context)
    suggested = _suggested_roles(source, guess, by_name, given, labelled)
    media = [field.name for field in media_fields(kind.schema(guess.inputs, []).inputs)]
    formats = decide_formats(source, product, kind, CertificateLock(Path("certificate.lock")))
    every = max(rows // _MEDIA_OPENED, 1)
    seen = survey(source, guess.inputs, guess.target, kind, _PLAN_ROWS, every, formats)
    floor, examples = kind.floor_score(seen.labels), {c: column.examples for c, column in by_name.items()}
    counted = replace(seen, labels=_counted(kind, seen.labels))
    summary = brief(guess.task, floor, counted, examples, rungs, load_prices(), wishes or Wishes())
    summary |= {
        **_times(summary, rungs, size),
        "readiness": _readiness(summary["readiness"], kind, media),
        "media": media,
        "targets": [asdict(choice) for choice in targets],
        "label_columns": list(labels),
        "read": reading_facts(seen, kind, product, formats, source) | {"columns_left_out": left_out},
    }
    summary |= _own_test_rows(summary, test, read)
    # What a plan shows and stores of cells holds no personal data.
    shown = tuple(_redacted(by_name[column]) for column in (*guess.inputs, guess.target))
    guesses = list(map(_without_personal_data, [guess, *guesses[1:]]))
    return Proposal(
        short_name(paths) if len(paths) > 1 else masked(paths[0]),
        rows, rows < _PLAN_ROWS, tuple(guesses), rungs, name, given, suggested, kind.title, shown, summary, test,
    )  # fmt: skip


def _counted(kind: Task, labels: Mapping[str, int]) -> Mapping[str, int]:
    """Return how many rows have each label; {} where targets are texts, of which none could be counted."""
    return {} if kind.takes_writing else kind.label_counts(labels) or labels


def _looked_at(
    source: Source, read: DataSpec, given: Mapping[str, Any], task: str | None
) -> tuple[Source, tuple[list[ColumnProfile], int, dict[str, str]], tuple[str, ...]]:
    """Return the source, what `readable_columns` says of it, and the columns of 0 and 1 that stand in it as one target."""
    looked = readable_columns(source, read, given, _PLAN_ROWS)
    labels = label_columns(looked[0], _SETS) if task in {None, *_SET_TASKS} else ()
    inputs = tuple(column.name for column in looked[0] if column.name not in labels)
    roles = ColumnRoles(inputs, _SETS, labels=labels)
    joined = with_label_sets(source, registry.task(task or _SET_TASKS[0]), roles) if labels else None
    if joined is None:
        return source, looked, ()
    return joined, readable_columns(joined, read, given, _PLAN_ROWS), labels


def _made(source: Source, guess: Guess, columns: dict[str, ColumnProfile], rows: int) -> tuple[Source, int]:
    """Return the source and its number of rows; where a task makes rows of several, the made ones, whose columns are added."""
    roles = ColumnRoles(guess.inputs, guess.target)
    if not guess.sections or not made_of([*columns.values()], roles):
        return source, rows
    events = RecommendSpec.model_validate(guess.sections["recommend"])
    roles = replace(roles, group=events.user, events=events)
    made = with_made_rows(source, registry.task(guess.task), roles)
    profiles, rows = column_profiles(made, roles)
    columns.update({profile.name: profile for profile in profiles})
    return made, rows


def _answered(guess: Guess, labels: tuple[str, ...]) -> dict[str, Any]:
    """Return the key of the spec's `data` that says what is predicted."""
    return {"label_columns": list(labels)} if labels else {"target": guess.target}


def _recognised(
    source: Source, columns: Sequence[ColumnProfile], rows: int, task: str | None, given: Mapping[str, Any]
) -> list[Guess]:
    """Return what the data may be, the likeliest first; raises Unlabelled for texts that nobody labelled."""
    try:
        return recognise(columns, rows, source.name, task)
    except DataError as error:
        unlabelled = None if task or given.get("target") else propose_labels(source, columns, error)
        raise (unlabelled or error) from None


def _own_test_rows(summary: Mapping[str, Any], test: str | None, read: DataSpec) -> dict[str, Any]:
    """Return the part of a plan that changes where the user has a test part of rows: how many will certify."""
    if not test:
        return {}
    own = sum(1 for _ in read_rows(open_source(test, Reading.of(read, read.encoding))))
    return {"certificate": summary["certificate"] | {"rows": own}}


def _parts(path: str) -> tuple[list[str], str | None]:
    """Return the paths of the rows that train, and of the user's own test part, of a folder of parts; else the path itself.

    The validation part trains too: candidates are compared on training rows held out in turn.
    """
    folder = Path(path)
    parts = parts_of(folder) if not (is_address(path) or is_hub(path)) and folder.is_dir() else None
    if not parts:
        return [path], None
    trains = [*parts.named("train"), *parts.named("validation")]
    tests = parts.named("test")
    return [str(folder / name) for name in trains], str(folder / tests[0]) if tests else None


def _require_labels(source: Source) -> None:
    """Raise DataError for a folder whose files lie in no sub-folders: their names say nothing to learn."""
    if any(isinstance(table, FlatFolderTable) for table in source.tables):
        raise DataError(
            "the files carry no labels",
            source.name,
            "Put them into one sub-folder per class; or name the labels in product.yaml, "
            "`data: {path: ..., input: image, target: label}` and `labelling: {labels: {...}}`, and run `rung label product.yaml`.",
        )


def _chars(guess: Guess, columns: Mapping[str, ColumnProfile]) -> float:
    """Return the characters of a row's inputs, on average."""
    return sum(columns[name].mean_chars for name in guess.inputs)


def _classes(target: ColumnProfile, labelled: bool) -> int:
    """Return how many labels a target has, whether a row has one of them or several; 1 where it has none."""
    return target.distinct if labelled else target.parts or 1


def _times(summary: Mapping[str, Any], rungs: Ladder, size: DataFacts) -> dict[str, Any]:
    """Return the seconds of a build on this machine, in all and of each rung."""
    level = summary["bar"]["at_least"]
    reach = {r["rung"]: bool(r["expected"]) and r["expected"][1] >= level for r in summary["ladder"]}
    takes = build_time(rungs.rungs, size, reach, relative_seconds())
    each = [r | {"seconds": round(takes.rungs[r["rung"]])} for r in summary["ladder"]]
    return {"ladder": each, "time": takes.as_dict()}


def _without_personal_data(guess: Guess) -> Guess:
    """Return a guess whose reasons hold no personal data: what a plan shows and stores of cells is masked."""
    return replace(guess, reasons=tuple(redact(reason, DEFAULT_KINDS) for reason in guess.reasons))


def _redacted(column: ColumnProfile) -> ColumnProfile:
    return replace(column, examples=tuple(redact(text, DEFAULT_KINDS) for text in column.examples))


@doing("look")
def _with_target(
    guess: Guess, source: Source, columns: Mapping[str, ColumnProfile], rows: int
) -> tuple[Guess, list[TargetChoice]]:
    """Return the guess with the best target, and every column that could be it, best first.

    A column that is called like a target comes before one that is not; among equals, the one with the clearer signal.
    """
    if any(column.role == "target" for column in columns.values()):
        return guess, []
    kind, found = registry.task(guess.task), {guess.target: guess}
    for name, column in columns.items():
        if (
            column.role
            or name == guess.target
            or not 2 <= column.distinct <= column.filled / 5
            or column.mean_chars > 60
            or column.dates >= 0.95
        ):
            continue
        if column.numeric >= 0.9 and column.distinct > 20:
            continue
        chosen = [replace(c, role="target") if c.name == name else c for c in columns.values()]
        other = kind.guess(chosen, rows)
        if other is not None and other.inputs:
            found[name] = other
    if len(found) < 2:
        return guess, []
    inputs = {name: one.inputs for name, one in found.items()}
    # The first guess, then what is called like a target, then what stands last, where targets usually do.
    last = next((name for name in reversed(list(columns)) if name in found), guess.target)
    likely = sorted(found, key=lambda name: (name != guess.target, not called_like_label(name), name != last))
    choices = target_choices(source, likely, inputs, columns)
    signal = {choice.column: max(choice.signal or 0.0, 0.0) for choice in choices}
    # A signal decides only where it is clearly larger than that of the first guess.
    lead = {
        name: signal[name] if signal[name] > signal[guess.target] + _CLEARER else signal[guess.target]
        for name in signal
    }
    order = sorted(signal, key=lambda name: (-found[name].confidence, -lead[name], name != guess.target))
    best = found[order[0]]
    by_column = {choice.column: choice for choice in choices}
    return best, [by_column[name] for name in order]


def _suggested_roles(
    source: Source,
    guess: Guess,
    columns: Mapping[str, ColumnProfile],
    given: Mapping[str, Any],
    labelled: bool,
) -> dict[str, Role]:
    """Return the columns proposed for group and time where the user names none."""
    if guess.sections:  # They say which columns play which part.
        return {}
    free = [column for name, column in columns.items() if name not in {*guess.inputs, guess.target}]
    roles = {"group": suggest_group(free), "time": suggest_time(free)}
    if not given.get("group"):
        roles["group"] = family_column(source, guess, columns, labelled) or roles["group"]
    return {key: role for key, role in roles.items() if role and not given.get(key)}


def _readiness(
    lights: Sequence[Mapping[str, Any]], task: Task, media: Sequence[str]
) -> Sequence[Mapping[str, Any]]:
    """Return the lights in the words of what the rows hold: texts, media or cases."""
    if media:
        return of_media(lights)
    return lights if task.repeats_are_copies else of_cases(lights)
