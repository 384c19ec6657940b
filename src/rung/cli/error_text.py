"""An error as the terminal shows it, in the language of the reader where its sentences are known there."""

from __future__ import annotations

import re

from rung.core.errors import Problem, RungError, SpecError
from rung.core.messages import join_sentences, say
from rung.core.messages.sentences import in_language

_ROW = re.compile(r", row ([\d,]+)$")


def error_text(error: RungError, lang: str) -> str:
    """Return place, problem and fix; sentences that are not known in the language stay in English."""
    if lang == "en":
        return str(error)
    colon = say("error.colon", lang)
    if isinstance(error, SpecError):
        found = [f"  {_problem_text(problem, lang)}" for problem in error.problems]
        problem = "\n".join([say("error.problems", lang, n=len(found)), *found])
    else:
        problem = in_language(error.problem, lang)
    where = _ROW.sub(lambda match: say("error.row", lang, row=match[1]), error.where)
    head = f"{where}{colon}{problem}" if where else problem
    return f"{head}\n{in_language(error.fix, lang)}" if error.fix else head


def _problem_text(problem: Problem, lang: str) -> str:
    place = say("error.line", lang, line=str(problem.line)) if problem.line else ""
    said = join_sentences(lang, in_language(problem.problem, lang), in_language(problem.fix, lang))
    return f"{place}{problem.key}{say('error.colon', lang)}{said}"
