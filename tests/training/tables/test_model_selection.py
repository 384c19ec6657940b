"""What a search of tables settles from answers out of fold: honest calibration, and the quickest of equals."""

import numpy as np
import pytest

from rung.core.model import FitContext
from rung.modalities.tables.features import Cells
from rung.runtime.linear.head import Calibration
from rung.training.linear.calibration import calibrate
from rung.training.tables.lightgbm_trees import TreeFolds
from rung.training.tables.model_selection import CandidateResult, ModelCandidate, _drop_slower, select_models
from rung.training.tables.objective import TrainingTargets


def tried(name, loss, **settings):
    return CandidateResult(ModelCandidate("trees", name), np.zeros((1, 2)), loss, settings)


def separating(rows):
    """Return cells and a goal whose two labels a gap in the first number tells apart."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(rows, 2))
    codes = (numbers[:, 0] > 0).astype(np.int64)
    numbers[:, 0] += 3.0 * codes
    return Cells(numbers, np.zeros((rows, 0), np.int32), ()), TrainingTargets(np.eye(2)[codes], codes)


def test_of_candidates_as_good_as_the_best_the_quickest_to_answer_is_kept():
    slow = tried("slow", 0.2800, rounds=300, num_leaves=63)
    quick = tried("quick", 0.2803, rounds=100, num_leaves=31)
    worse = tried("worse", 0.2900, rounds=10, num_leaves=4)
    assert _drop_slower([slow, quick, worse], 0.0) == [quick, worse]
    linear = CandidateResult(
        ModelCandidate("linear", "linear"), np.zeros((1, 2)), 0.2804, {"c": 0.1, "bends": 3}
    )
    assert _drop_slower([slow, quick, linear], 0.0) == [linear]


def test_a_share_of_next_to_nothing_is_no_reason_for_a_slower_answer():
    """Labels that separate: losses of 1e-6 and 2e-5 on 30,000 rows differ by half a nat over all of them."""
    exact = tried("exact", 1e-6, rounds=500, num_leaves=31)
    linear = CandidateResult(
        ModelCandidate("linear", "linear"), np.zeros((1, 2)), 2e-5, {"c": 0.1, "bends": 0}
    )
    assert _drop_slower([linear, exact], 1 / 30_000) == [linear]
    assert _drop_slower([linear, exact], 0.0) == [linear, exact]


def test_trees_of_labels_that_separate_end_where_rounds_say_nothing_more():
    pytest.importorskip("lightgbm")
    cells, goal = separating(4_000)
    folds = [(np.arange(3_000), np.arange(3_000, 4_000))]
    rounds = [
        TreeFolds(cells, goal, folds, FitContext(), least).out_of_fold_scores({"learning_rate": 0.2})[1][
            "rounds"
        ]
        for least in (0.0, 0.3 / 1_000)
    ]
    assert rounds[1] < 0.7 * rounds[0]


def test_rows_that_are_all_right_do_not_ask_for_boundless_certainty():
    codes = np.arange(100) % 2
    scores = np.where(np.eye(2)[codes] > 0, 3.0, -3.0)
    plain, careful = calibrate(scores, codes, 0), calibrate(scores, codes, 0, conservative=True)
    assert plain.scale > 4 * careful.scale
    said = careful.apply(scores)[np.arange(100), codes]
    # Platt's targets: a hundred right answers of a hundred are worth about 51 of 52.
    assert said == pytest.approx(51 / 52, abs=2e-3)


def test_curves_are_taken_where_they_gain_and_not_for_noise():
    rng = np.random.default_rng(0)
    honest = rng.uniform(0.02, 0.98, 4_000)
    codes = (rng.random(4_000) < honest).astype(int)
    logit = np.log(honest / (1 - honest))
    straight = np.column_stack([-logit / 2, logit / 2])
    assert calibrate(straight, codes, 0, conservative=True).kind == "temperature"
    bent = np.column_stack([-(logit**3) / 2, logit**3 / 2])
    found = calibrate(bent, codes, 0, conservative=True)
    assert found.kind == "isotonic"
    loss = -np.log(found.apply(bent)[np.arange(4_000), codes]).mean()
    assert loss < -np.log(Calibration().apply(bent)[np.arange(4_000), codes].clip(1e-12)).mean()


def test_a_large_table_whose_labels_separate_gets_few_rounds():
    pytest.importorskip("lightgbm")
    cells, goal = separating(24_000)
    folds = [(np.arange(18_000), np.arange(18_000, 24_000))]
    trees = [ModelCandidate("trees", "trees", {"learning_rate": 0.2})]
    rounds = [
        select_models(cells, goal, folds, trees, FitContext(effort=effort), True)
        .members[0][0]
        .settings["rounds"]
        for effort in (2, 3)
    ]
    assert rounds[0] < 0.7 * rounds[1]
