"""Corrections are an overlay: told by text, laid over training rows alone, taken back by the old label."""

import csv
import random

import pytest

import rung
from rung.core.errors import DataError
from rung.core.spec.product import load_product
from rung.data.labels.corrections import COLUMNS, read_corrections
from rung.data.prepare.fingerprint import fingerprint_data
from rung.pages.findings import finding_text
from rung.workflows.check import check, correct, write_findings
from support import run_cli, write_csv, write_spec


@pytest.fixture
def noisy(news_rows, tmp_path):
    """The small news with every twentieth label wrong: (spec, texts of wrong rows -> right label)."""
    draw = random.Random(0)
    names = sorted({label for _, label in news_rows})
    wrong, rows = {}, []
    for i, (text, label) in enumerate(dict(news_rows).items()):
        if i % 20 == 7:
            wrong[text] = label
            label = draw.choice([name for name in names if name != label])
        rows.append((text, label))
    path = write_csv(tmp_path / "noisy.csv", ["text", "label"], rows)
    return write_spec(tmp_path, path), wrong, rows


def answered(path, answers):
    """Fill the column `correct` of a labels.csv from text -> label; returns how many."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["correct"] = next((label for text, label in answers.items() if text[:60] == row["text"][:60]), "")
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return sum(bool(row["correct"]) for row in rows)


def test_from_the_list_to_a_corrected_build(noisy, tmp_path):
    spec, wrong, rows = noisy
    checked = check(spec, labels=True)
    (found,) = [finding for finding in checked.findings if finding.check == "wrong_labels"]
    # Planted labels come first: of the first 15 at least 12.
    texts = {i + 1: text for i, (text, _) in enumerate(rows)}
    assert sum(texts[item["row"]] in wrong for item in found.table[:15]) >= 12
    low, high = (float(found.values[key].rstrip("%")) for key in ("low", "high"))
    assert low <= 5.0 <= high
    write_findings(checked, tmp_path / "findings")
    listed = tmp_path / "findings" / "labels.csv"
    count = answered(listed, wrong)
    done = correct(spec, listed)
    assert done.rows == done.new == count >= 12 and not done.named and done.file.name == "corrections.csv"
    spec.write_text(
        spec.read_text().replace("target: label}", "target: label, corrections: corrections.csv}")
    )
    built = rung.build(spec, run=tmp_path / "run")
    assert built.report["data"]["corrected"] == count
    assert correct(spec, listed).named and correct(spec, listed).new == 0


def wrong_labels(spec):
    (found,) = [f for f in check(spec, labels=True).findings if f.check == "wrong_labels"]
    return found


def test_without_weights_the_finding_says_what_was_left_out(noisy):
    found = wrong_labels(noisy[0])
    assert found.values["models"] == {"tfidf_linear": ""}
    missing = {"blend": "minilm", "frozen_encoder": "minilm", "static_embedding": "wordllama"}
    assert found.values["left_out"] == missing
    english, chinese = (finding_text(found.as_dict(), lang)["what"] for lang in ("en", "zh"))
    assert "Estimated by tfidf_linear. Not used, because" in english and "由 tfidf_linear 估计。" in chinese
    for command in ("`rung weights fetch minilm`", "`rung weights fetch wordllama`"):
        assert command in english and command in chinese


def test_with_weights_the_finding_names_them(noisy, wordllama):
    found = wrong_labels(noisy[0])
    assert found.values["models"].items() <= {"tfidf_linear": "", "static_embedding": "wordllama"}.items()
    assert found.values["left_out"] == {"blend": "minilm", "frozen_encoder": "minilm"}
    if "static_embedding" in found.values["models"]:
        assert "static_embedding (weights wordllama)" in finding_text(found.as_dict(), "en")["what"]


def test_certification_rows_keep_their_label(prepared, tmp_path, table, rows):
    from rung.data.prepare.hashing import hash64
    from rung.modalities.text.ngrams import normalize_text

    before = prepared(table)
    flip = {"sea": "land", "land": "sea"}
    lines = [
        ["data.csv", i, f"{hash64(normalize_text(t)):016x}", y, flip[y]] for i, (t, y) in enumerate(rows, 1)
    ]
    write_csv(tmp_path / "corrections.csv", COLUMNS, lines)
    after = prepared(None, corrections="corrections.csv")
    assert after.certification.targets == before.certification.targets
    assert after.certification.rows == before.certification.rows
    assert after.train.targets == [flip[y] for y in before.train.targets]
    assert after.facts["corrected"] == len(after.train) and before.facts["corrected"] == 0
    # A label that changed at the source since is not overwritten; a text that moved is known again.
    moved = "text,label\n" + "".join(
        f"{t},{'sea' if i < 3 else y}\n" for i, (t, y) in reversed(list(enumerate(rows)))
    )
    changed = prepared(moved, corrections="corrections.csv")
    assert (after.facts["corrections_unused"], changed.facts["corrections_unused"]) == (0, 2)
    learned = dict(zip(changed.train.inputs["text"], changed.train.targets, strict=True))
    for i, (text, label) in enumerate(rows):
        if text in learned:
            assert learned[text] == ("sea" if i < 3 and label != "sea" else flip[label])


def test_an_answer_can_be_changed_and_taken_back(noisy, tmp_path):
    spec, _, _ = noisy
    row = {"file": "noisy.csv", "row": "1", "hash": "00000000000000aa", "label": "business"}

    def give(label, answer):
        path = write_csv(
            tmp_path / "labels.csv", [*row, "correct"], [[*(row | {"label": label}).values(), answer]]
        )
        correct(spec, path)
        return read_corrections(tmp_path / "corrections.csv")

    assert [(c.label, c.correct) for c in give("business", "tech")] == [("business", "tech")]
    # Looked at again the row shows its corrected label; the source still has the one before.
    assert [(c.label, c.correct) for c in give("tech", "sports")] == [("business", "sports")]
    assert give("sports", "business") == []


def test_a_build_belongs_to_its_corrections(tmp_path, table):
    (tmp_path / "data.csv").write_text(table)
    write_csv(tmp_path / "c.csv", COLUMNS, [["data.csv", 1, "0a", "land", "sea"]])
    spec = "task: text_classification\ndata: {path: data.csv, corrections: c.csv}\nbar: {metric: accuracy, at_least: 0.9}\n"
    (tmp_path / "product.yaml").write_text(spec)
    product, base = load_product(tmp_path / "product.yaml")
    first = fingerprint_data(product, base)
    write_csv(tmp_path / "c.csv", COLUMNS, [["data.csv", 1, "0a", "land", "air"]])
    assert fingerprint_data(product, base) != first


def test_files_of_another_shape_are_refused(noisy, tmp_path):
    spec, _, _ = noisy
    other = write_csv(tmp_path / "x.csv", ["a", "b"], [["1", "2"]])
    with pytest.raises(DataError, match="x.csv: there is no column 'file'"):
        correct(spec, other)
    empty = write_csv(tmp_path / "labels.csv", COLUMNS, [["f", 1, "0a", "land", ""]])
    with pytest.raises(DataError, match="no row has an entry in the column 'correct'"):
        correct(spec, empty)
    spec.write_text(spec.read_text().replace("target: label}", "target: label, corrections: none.csv}"))
    with pytest.raises(DataError, match="none.csv: it cannot be read: no such file"):
        rung.build(spec, run=tmp_path / "run")
    write_csv(tmp_path / "none.csv", COLUMNS, [["f", 1, "zz", "land", "sea"]])
    with pytest.raises(DataError, match="row 1: 'zz' is not the hash of a text"):
        rung.build(spec, run=tmp_path / "run")


def test_checking_alone_leaves_the_lock_as_it_is(noisy, tmp_path):
    spec, _, _ = noisy
    done = run_cli("data", "check", spec, "--json", cwd=tmp_path)
    assert done.returncode == 0 and '"findings"' in done.stdout
    assert not (tmp_path / "certificate.lock").exists()
    shown = run_cli("data", "check", spec, "--labels", "--lang", "zh", "--out", "out", cwd=tmp_path)
    assert "疑似错误标签" in shown.stdout and (tmp_path / "out" / "labels.csv").is_file()
    assert (tmp_path / "certificate.lock").exists()
