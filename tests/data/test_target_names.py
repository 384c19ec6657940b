"""What a plan takes for text, for the target and for a second opinion."""

import csv
import random

import pytest

from rung.core.target_names import called_like_label, called_like_target, name_words
from rung.workflows.plan import plan


def table(path, header, rows, encoding="utf-8", delimiter=","):
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(rows)
    return path


@pytest.mark.parametrize(
    "name", ["queue_name", "Labels", "gekündigt", "Abteilung", "ticketType", "情感", "是否流失"]
)
def test_called_like_a_label(name):
    assert called_like_label(name)


def test_names_of_measures_and_inputs():
    assert called_like_target("total price") and not called_like_target("account_length")
    assert not called_like_target("payment_type") and not called_like_label("classic")
    assert name_words("queueNames") == {"queue", "names", "name"}


def test_a_german_table_with_mail_addresses_is_a_table_and_its_last_column_the_target(tmp_path):
    """Addresses are no texts; yes and no to another question are no second opinion."""
    draw = random.Random(0)
    rows = []
    for i in range(400):
        minutes = draw.uniform(10, 4000)
        left = "ja" if minutes > 2500 else "nein"
        amount = f"{minutes:,.2f}".replace(",", "#").replace(".", ",").replace("#", ".")
        rows.append([f"K{i:05d}", f"kunde{i}@beispiel.de", draw.choice(["ja", "nein"]), amount, left])
    path = table(
        tmp_path / "kunden.csv",
        ["Kunden-Nr", "E-Mail", "Vertrag", "Umsatz EUR", "gekündigt"],
        rows,
        "cp1252",
        ";",
    )
    found = plan(str(path))
    assert found.guess.task == "tabular_classification" and found.guess.target == "gekündigt"
    assert {why["key"] for why in found.brief["bar"]["why"]} >= {"no_agreement"}
    assert found.brief["targets"][0]["column"] == "gekündigt" and found.brief["targets"][0]["signal"] > 0.5


def test_typographic_quotes_do_not_drown_the_words_of_a_text(tmp_path):
    words = {"sport": "match goal team striker", "food": "soup bread oven butter"}
    draw = random.Random(1)
    rows = [
        [" ".join(draw.choices(words[label].split(), k=12)) + f" – “thanks {i}”", draw.choice("ab"), label]
        for i, label in enumerate(["sport", "food"] * 60)
    ]
    found = plan(str(table(tmp_path / "t.csv", ["message", "agent", "queue"], rows)))
    signals = {each["column"]: each["signal"] for each in found.brief["targets"]}
    assert found.guess.target == "queue" and signals["queue"] > 0.9 > signals["agent"]


def test_rows_in_another_encoding_are_counted(tmp_path):
    path = table(
        tmp_path / "t.csv", ["text", "label"], [[f"größer text {i}", "ab"[i % 2]] for i in range(90)]
    )
    path.write_bytes(path.read_bytes() + "größer noch,a\n".encode("cp1252") * 10)
    found = plan(str(path))
    light = next(light for light in found.brief["readiness"] if light["key"].startswith("encoding"))
    assert light["key"] == "encoding_lost" and light["values"]["n"] == 10 and light["light"] == "stop"
