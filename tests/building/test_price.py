"""What an answer costs: processor, GPU and the charges of services, planned and measured."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from rung.building.costs import costs
from rung.building.ladder import ladder
from rung.core import registry
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.prices import load_prices
from rung.core.spec.product import Product
from rung.core.types import Prediction
from rung.pages.costs import break_even_requests
from rung.serving.subprocess_predict import SubprocessResult
from rung.workflows.trial import measured as measured_of


def test_seconds_of_processor_and_gpu_are_priced(tmp_path):
    prices = load_prices()
    assert prices.usd(3600.0, 1800.0) == pytest.approx(prices.usd_per_cpu_hour + prices.usd_per_gpu_hour / 2)
    assert "GPU-hour" in prices.notes["gpu"]["en"] and "2026" in prices.notes["gpu"]["en"]
    raw = yaml.safe_load(Path(registry.__file__).with_name("prices.yaml").read_text(encoding="utf-8"))
    raw.pop("gpu")
    raw["machine"]["usd_per_cpu_hour"] = 0.5
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(raw))
    own = load_prices(tmp_path / "own.yaml")
    assert (own.usd_per_cpu_hour, own.usd_per_gpu_hour) == (0.5, prices.usd_per_gpu_hour)


@pytest.mark.parametrize(
    "more,usd", [({"gpu_seconds_per_1k": 3600.0}, 1.0), ({"service_usd_per_1k": 2.0}, 2.0)]
)
def test_the_ladder_orders_by_the_whole_price(monkeypatch, more, usd):
    family = registry.model("network")
    monkeypatch.setattr(family, "cost", lambda *given: Cost(1.0, 0.0, 40, 0.1, **more))
    raw = {
        "task": "text_classification",
        "data": {"path": "x.csv"},
        "bar": {"metric": "accuracy", "at_least": 0.9},
    }
    product = Product.model_validate({**raw, "ladder": ["network", "tfidf_linear"]})
    rungs = ladder(product, "majority", DataFacts(1000, 4, 200.0), load_prices(), FitContext()).rungs
    assert [rung.name for rung in rungs] == ["majority", "tfidf_linear", "network"]
    assert rungs[-1].usd_per_1k == pytest.approx(usd)


def test_a_trial_splits_what_was_measured():
    prices = load_prices()
    measured = {
        "latency_ms": {"p50": 36.0, "p95": 40.0}, "throughput_per_s": 20.0, "peak_memory_mb": 100.0,
        "cpu_seconds_per_1k": 7.2,
    }  # fmt: skip
    rung = SimpleNamespace(planned=Cost(1.0, 1.0, 40, 0.1, gpu_seconds_per_1k=10.0), usd_per_1k=1.0)
    answers = [Prediction("a", cost=0.001), Prediction("b", cost=0.003)]
    found = measured_of(SimpleNamespace(prices=prices), rung, SubprocessResult([], measured), answers)
    assert found["price"] == pytest.approx({"cpu": 0.0001, "gpu": 0.01, "service": 2.0})
    assert found["usd_per_1k"] == pytest.approx(2.0101)


def test_what_a_service_charges_is_no_machine_that_is_always_on():
    trial = {"usd_per_1k": 2.0001, "wh_per_1k": 0.01, "price": {"cpu": 0.0001, "gpu": 0.0, "service": 2.0}}
    facts = costs(load_prices(), ["a text"], trial)
    assert facts["extra_usd_per_1k"] == 2.0
    assert break_even_requests(facts, 1.5) is None, "a dearer service is never cheaper than a cheaper one"
    core = facts["usd_per_core_month"]
    assert break_even_requests(facts, 3.0) == pytest.approx(core / 30 * 1000, abs=1)
