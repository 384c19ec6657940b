"""Personal data in the rows is a finding; its evidence holds none."""

import csv
import io
import json
import random

import pytest

from rung.core.spec.product import load_product
from rung.data.checks import run_checks
from rung.data.profile.view import View


@pytest.fixture
def look(tmp_path, prepared):
    """Return a function from rows to what the checks of a build find, by check; all rows train."""

    def found(rows):
        text = io.StringIO()
        csv.writer(text).writerows([("text", "label"), *rows])
        (tmp_path / "certificate.lock").unlink(missing_ok=True)
        made = prepared(text.getvalue(), certify={"fraction": 0.0})
        spec = {
            "task": "text_classification",
            "data": {"path": "data.csv"},
            "bar": {"metric": "accuracy", "at_least": 0.9},
        }
        (tmp_path / "product.yaml").write_text(json.dumps(spec))
        product, base = load_product(tmp_path / "product.yaml")
        return {finding.check: finding for finding in run_checks(View(product, base, made.dataset))}

    return found


@pytest.mark.parametrize("words", [["parcel", "came", "late", "nobody", "told", "me", "why"], list("快递昨天到了但是包装破了我想退货请问怎么办理")])  # fmt: skip
def test_personal_data(look, words):
    draw = random.Random(0)
    rows = [(" ".join(draw.choices(words, k=14)), label) for label in ("post", "bill") * 60]
    assert "personal" not in look(rows)
    planted = [
        (f"{text} call 13800138{i:03d}" if i < 3 else text, label) for i, (text, label) in enumerate(rows)
    ]
    planted[5] = (planted[5][0] + " 邮箱zhang@qq.com", planted[5][1])
    found = look(planted)["personal"]
    assert found.rows == 4 and found.values == {"kinds": "email 1, phone 3", "mask": "email, phone"}
    assert all("138" not in item.excerpt and "@" not in item.excerpt for item in found.evidence)
