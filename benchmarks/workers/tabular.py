"""Other libraries on a table: `python -m workers.tabular FOLDER`, with job.json naming which."""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def main(folder: Path) -> None:
    """Fit on train.csv, answer test.csv, write result.json: probabilities or numbers, seconds, rows a second, size."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    train, test = (pd.read_csv(folder / f"{name}.csv", na_values=["?"]) for name in ("train", "test"))
    target, positive = job["target"], job["positive"]
    model = folder / "model"
    model.mkdir()
    y = train.pop(target)
    if positive:
        y = (y.astype(str) == positive).astype(int)
    test = test.drop(columns=[target])
    warm(job["peer"])
    begun = time.perf_counter()
    answer = PEERS[job["peer"]](train, y, bool(positive), job, model)
    fit = time.perf_counter() - begun
    answer(test.head(10))
    begun = time.perf_counter()
    found = np.asarray(answer(test), dtype=float)
    speed = len(test) / (time.perf_counter() - begun)
    size = sum(f.stat().st_size for f in model.rglob("*") if f.is_file()) / 1e6
    result = {"answers": found.tolist(), "fit_seconds": fit, "rows_per_s": speed, "size_mb": size}
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


def warm(peer: str) -> None:
    """Import what a peer's fit would import: its seconds are of fitting."""
    for name in IMPORTS[peer]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def logistic(x: pd.DataFrame, y: Any, labels: bool, job: dict[str, Any], model: Path) -> Any:
    """One-hot, standardised, C = 1; ridge for numbers."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = list(x.select_dtypes("number"))
    words = [c for c in x if c not in numbers]
    design = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), words),
    )
    fitted = make_pipeline(design, LogisticRegression(max_iter=1000) if labels else Ridge()).fit(x, y)
    return lambda rows: fitted.predict_proba(rows)[:, 1] if labels else fitted.predict(rows)


def lightgbm(x: pd.DataFrame, y: Any, labels: bool, job: dict[str, Any], model: Path) -> Any:
    """Its defaults, categories as categories."""
    import lightgbm as lgb

    words = [c for c in x if x[c].dtype == object]
    kinds = {c: pd.CategoricalDtype(sorted(x[c].dropna().unique())) for c in words}
    family = lgb.LGBMClassifier if labels else lgb.LGBMRegressor
    # Other names are refused by its JSON.
    plain = {c: f"c{i}" for i, c in enumerate(x)}
    fitted = family(n_jobs=job["threads"], verbose=-1).fit(x.astype(kinds).rename(columns=plain), y)
    fitted.booster_.save_model(str(model / "model.txt"))

    def answer(rows: pd.DataFrame) -> Any:
        rows = rows.astype(kinds).rename(columns=plain)
        return fitted.predict_proba(rows)[:, 1] if labels else fitted.predict(rows)

    return answer


def catboost(x: pd.DataFrame, y: Any, labels: bool, job: dict[str, Any], model: Path) -> Any:
    """Its defaults, categories as categories."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    words = [c for c in x if x[c].dtype == object]

    def clean(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(**{c: rows[c].fillna("").astype(str) for c in words})

    family = CatBoostClassifier if labels else CatBoostRegressor
    fitted = family(thread_count=job["threads"], verbose=0, cat_features=words, allow_writing_files=False)
    fitted.fit(clean(x), y)
    fitted.save_model(str(model / "model.cbm"))
    return lambda rows: fitted.predict_proba(clean(rows))[:, 1] if labels else fitted.predict(clean(rows))


def flaml(x: pd.DataFrame, y: Any, labels: bool, job: dict[str, Any], model: Path) -> Any:
    """Its defaults within a time of ours."""
    from flaml import AutoML

    words = [c for c in x if x[c].dtype == object]
    kinds = {c: pd.CategoricalDtype(sorted(x[c].dropna().unique())) for c in words}
    fitted = AutoML()
    fitted.fit(
        x.astype(kinds), y, task="classification" if labels else "regression", time_budget=job["seconds"],
        metric="log_loss" if labels else "rmse", n_jobs=job["threads"], verbose=0, estimator_list=["lgbm", "rf", "extra_tree", "catboost"],
    )  # fmt: skip

    def answer(rows: pd.DataFrame) -> Any:
        rows = rows.astype(kinds)
        return fitted.predict_proba(rows)[:, 1] if labels else fitted.predict(rows)

    return answer


def autogluon(x: pd.DataFrame, y: Any, labels: bool, job: dict[str, Any], model: Path) -> Any:
    """A preset within a time; judged by log loss, which ROC-AUC follows."""
    from autogluon.tabular import TabularPredictor

    fitted = TabularPredictor(
        label="the target", path=str(model), verbosity=0, problem_type="binary" if labels else "regression",
        eval_metric="roc_auc" if labels else "root_mean_squared_error",
    ).fit(
        x.assign(**{"the target": y}), presets=job["preset"], hyperparameters=job.get("families"), time_limit=job["seconds"], num_cpus=job["threads"], num_gpus=0,
    )  # fmt: skip
    return lambda rows: (
        fitted.predict_proba(rows)[1].to_numpy() if labels else fitted.predict(rows).to_numpy()
    )


PEERS = {
    "logistic": logistic,
    "lightgbm": lightgbm,
    "catboost": catboost,
    "flaml": flaml,
    "autogluon": autogluon,
}

_SCIKIT = (
    "sklearn.compose",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "sklearn.preprocessing",
)
IMPORTS: dict[str, tuple[str, ...]] = {
    "logistic": _SCIKIT,
    "lightgbm": ("lightgbm", "lightgbm.sklearn"),
    "catboost": ("catboost",),
    "flaml": ("flaml", "flaml.automl", "lightgbm", "catboost", "sklearn.ensemble"),
    "autogluon": ("autogluon.tabular", "autogluon.tabular.models", "lightgbm", "catboost", "xgboost", "torch", *_SCIKIT),
}  # fmt: skip

if __name__ == "__main__":
    main(Path(sys.argv[1]))
