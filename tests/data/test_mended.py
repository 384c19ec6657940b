"""Rows are mended before they are checked, hashed and split; what each step did is reported; sides never change."""

import json

import pytest

from preparing import Prepared
from rung.core.certificate_lock import CertificateLock
from rung.core.errors import RungError, SpecError
from rung.core.spec.product import parse_product
from rung.data.prepare.prepare import prepare
from rung.tasks.text_classification import TextClassification

SPEC = "task: text_classification\ndata: {path: data.csv}\nbar: {metric: accuracy, at_least: 0.9}\n"
ROWS = [(f"ticket {i} about {'ships' if i % 2 else 'trees'}", "sea" if i % 2 else "land") for i in range(80)]


def run(base, rows, spec="", name="prepared"):
    table = "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows)
    (base / "data.csv").write_text(table, encoding="utf-8")
    folder = base / name
    folder.mkdir()
    lock = CertificateLock(base / "certificate.lock")
    return Prepared(prepare(parse_product(SPEC + spec), base, TextClassification(), lock, folder), folder)


def steps(found):
    return {line["step"]: line for line in found.facts["clean"]}


def test_each_step_says_what_it_did(tmp_path):
    rows = [
        *ROWS,
        ("<p>a  ship&nbsp;sinks</p>", "sea"),
        ("ＡＢＣ树木１２３", "land"),
        ("\u200bzero\u200b width", "land"),
        ("<br>", "sea"),
    ]
    found = run(tmp_path, rows, "certify: {fraction: 0}\n")
    assert list(steps(found)) == ["unicode", "width", "html", "whitespace"]
    assert {name: line["changed"] for name, line in steps(found).items()} == {
        "unicode": 1, "width": 1, "html": 2, "whitespace": 2,
    }  # fmt: skip
    assert all(line["rows"] == line["left"] == 84 for line in steps(found).values())
    (one,) = steps(found)["unicode"]["examples"]
    assert one == {"file": "data.csv", "row": 83, "before": "\u200bzero\u200b width", "after": "zero width"}
    assert found.train.inputs["text"][-3:] == ["a ship sinks", "ABC树木123", "zero width"]
    # Nothing was left of the last row: it is refused as a request like it would be.
    assert [(q["row"], q["reason"]) for q in found.quarantine] == [(84, "empty_input")]


def test_examples_are_of_training_rows_and_hold_no_personal_data(tmp_path):
    rows = [(f"  {text} call 13800138000 or mail a{i}@b.com", label) for i, (text, label) in enumerate(ROWS)]
    found = run(tmp_path, rows, "privacy: {mask: [phone]}\n")
    trained = set(found.train.rows)
    lines = steps(found)
    assert lines["mask"]["changed"] == 80 and lines["mask"]["kinds"] == {"phone": 80}
    for line in lines.values():
        assert all(example["row"] in trained for example in line["examples"])
    assert len(lines["mask"]["examples"]) == 3
    shown = json.dumps(found.facts["clean"], ensure_ascii=False)
    assert "1380013" not in shown and "@b.com" not in shown
    assert "call ••••••••••• or" in lines["mask"]["examples"][0]["before"]
    assert "call <PHONE_1> or" in lines["mask"]["examples"][0]["after"]
    written = b"".join(path.read_bytes() for path in found.folder.iterdir())
    assert b"13800138000" not in written
    assert all(
        "<PHONE_1>" in text for text in found.train.inputs["text"] + found.certification.inputs["text"]
    )


def test_rows_are_dropped_by_policy(tmp_path):
    rows = [*ROWS, ("我的身份证号是11010519491231002X", "sea"), ("call 13800138000", "land")]
    found = run(tmp_path, rows, "privacy: {drop: [cn_id, phone]}\n")
    assert steps(found)["drop"] == {
        "step": "drop", "rows": 82, "left": 80, "changed": 0, "kinds": {"cn_id": 1, "phone": 1}, "examples": [],
    }  # fmt: skip
    assert found.facts["quarantined"] == {"personal_data": 2}
    assert [(q["row"], q["detail"]) for q in found.quarantine] == [
        (81, "it holds personal data (cn_id), which this product refuses"),
        (82, "it holds personal data (phone), which this product refuses"),
    ]


def test_other_steps_of_mending_never_move_a_row_to_the_other_side(tmp_path):
    """The unit is the text as it came: what trained once must not certify after a change of `clean`."""
    rows = [(f"<p>{text}</p>  １", label) for text, label in ROWS]
    sides = []
    for i, spec in enumerate(
        ["clean: []\n", "", "clean: [html]\nprivacy: {mask: all}\n", "clean: [simplified]\n"]
    ):
        found = run(tmp_path, rows, spec, f"prepared-{i}")
        sides.append((set(found.train.rows), set(found.certification.rows)))
    assert sides[0][1] and all(side == sides[0] for side in sides)


def test_texts_that_mending_makes_one_are_duplicates(tmp_path):
    rows = [*ROWS, ("<b>a wide</b> sea", "sea"), ("a wide sea", "sea"), ("a&nbsp;wide　sea", "land")]
    found = run(tmp_path, rows, "certify: {fraction: 0}\n")
    assert [(q["row"], q["reason"]) for q in found.quarantine] == [
        (n, "contradictory_labels") for n in (81, 82, 83)
    ]


def test_the_same_text_in_two_spellings_never_stands_on_both_sides(tmp_path):
    rows = [row for text, label in ROWS for row in ((text, label), (f"<p>{text}</p>", label))]
    found = run(tmp_path, rows)
    train, certification = set(found.train.inputs["text"]), set(found.certification.inputs["text"])
    assert certification and not train & certification
    assert found.facts["quarantined"]["also_in_certification"] > 0


def test_several_inputs_share_their_marks(tmp_path):
    table = "subject,body,label\n" + "".join(
        f"call 1380013{8000 + i},I said 1380013{8000 + i} not 13900139000,{'a' if i % 2 else 'b'}\n"
        for i in range(40)
    )
    (tmp_path / "data.csv").write_text(table)
    spec = (
        SPEC.replace("{path: data.csv}", "{path: data.csv, input: [subject, body]}")
        + "privacy: {mask: phone}\ncertify: {fraction: 0}\n"
    )
    folder = tmp_path / "prepared"
    folder.mkdir()
    with pytest.raises(RungError, match="no row is left to train on"):
        prepare(
            parse_product(spec),
            tmp_path,
            TextClassification(),
            CertificateLock(tmp_path / "certificate.lock"),
            folder,
        )
    quarantine = [json.loads(line) for line in (folder / "quarantine.jsonl").read_text().splitlines()]
    # All 40 rows became "call <PHONE_1>", "I said <PHONE_1> not <PHONE_2>": one text under two labels.
    assert len(quarantine) == 40 and {q["reason"] for q in quarantine} == {"contradictory_labels"}


@pytest.mark.parametrize(
    "spec,words",
    [
        ("privacy: {mask: [fone]}\n", "line 4, privacy.mask.0: must be 'secret', 'email', 'cn_id', 'card', 'ip', 'phone', 'plate' or 'person', not 'fone'."),
        ("privacy: {mask: [phone], drop: phone}\n", "line 4, privacy: 'phone' cannot be masked and dropped: keep it in one list."),
        ("privacy: {hide: all}\n", "line 4, privacy.hide: is not a valid key."),
    ],
)  # fmt: skip
def test_mistakes_in_privacy(spec, words):
    with pytest.raises(SpecError) as caught:
        parse_product(SPEC + spec)
    assert words in str(caught.value)


def test_ways_to_write_steps():
    product = parse_product(
        SPEC + "clean: [unicode, {width: {marks: true}}, {step: html, params: {tags: false}}]\n"
    )
    assert [(s.step, s.params) for s in product.clean] == [
        ("unicode", {}), ("width", {"marks": True}), ("html", {"tags": False}),
    ]  # fmt: skip
    assert parse_product(SPEC).clean is None and parse_product(SPEC + "clean: []\n").clean == ()
    assert parse_product(SPEC + "privacy: {mask: all}\n").privacy.mask == (
        "secret", "email", "cn_id", "card", "ip", "phone", "plate",
    )  # fmt: skip
    again = parse_product(json.dumps(product.model_dump(mode="json", exclude_none=True)))
    assert again == product
