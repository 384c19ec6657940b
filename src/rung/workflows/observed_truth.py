"""Feedback of products whose truth is what users do later: the events that came, reported by the product's own systems.

A click on a list that was shown says what was liked among a few; what came later is what lists are measured by. So what certifies is what
came, sent as `answer` with a key of the role review, for every row of an audit round: [] where nothing came. Clicks, and answers of other
keys, train only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rung.data.labels.consensus import CANNOT, Verdict
from rung.data.prepare.identify import Known
from rung.improvement.feedback_filter import Vote

if TYPE_CHECKING:
    from rung.journal.reader import LoggedFeedback
    from rung.journal.writer import Journal

_TRUSTED = "review"


def observed_verdicts(journal: Journal, name: str, identified: Mapping[str, Known]) -> dict[str, Verdict]:
    """Return text hash -> what came, of the rows for which that is known: JSON of the events, `CANNOT` where none came.

    The latest report on a row stands.
    """
    found: dict[str, Verdict] = {}
    for one in _answers(journal, name):
        known = identified.get(one.prediction)
        if known is None or one.source != _TRUSTED:
            continue
        came = json.dumps(one.answer, ensure_ascii=False) if one.answer else CANNOT
        found[known.text] = Verdict(known.text, one.prediction, 0, {one.author: came})
    return found


def observed_votes(
    journal: Journal, name: str, texts: Mapping[str, str], read: Callable[[Any], Any]
) -> list[Vote]:
    """Return what each row may be learned with: what came, as its latest report says, else the items that were taken from its list.

    texts: prediction -> text hash. read: an answer as the task learns it; None for one that it cannot read. An empty answer is no vote.
    """
    from rung.journal.reader import JournalReader
    from rung.journal.taken_items import taken

    items: dict[str, dict[str, None]] = {}
    takers: dict[str, str] = {}
    votes: dict[str, Vote] = {}
    for one in JournalReader.from_journal(journal).feedback(name):
        text = texts.get(one.prediction)
        if text is None:
            continue
        took = taken(one.answer)
        if took is not None:
            items.setdefault(one.prediction, {}).update(dict.fromkeys(took))
            takers[one.prediction] = one.author
        elif isinstance(one.answer, list) and one.answer:
            votes[text] = Vote(one.prediction, text, one.author, one.source == _TRUSTED, read(one.answer))
    for prediction, took_items in items.items():
        text = texts[prediction]
        votes.setdefault(text, Vote(prediction, text, takers[prediction], False, read(list(took_items))))
    return list(votes.values())


def _answers(journal: Journal, name: str) -> list[LoggedFeedback]:
    """Return the full answers of feedback: lists, not clicks nor actions."""
    from rung.journal.reader import JournalReader

    return [one for one in JournalReader.from_journal(journal).feedback(name) if isinstance(one.answer, list)]
