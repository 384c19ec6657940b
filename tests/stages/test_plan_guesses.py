"""What a plan guesses where the data leaves a choice: targets, classes of few rows, personal data in cells."""

import json
import random

import rung
from support import write_csv

URGENCY = {"low": "question about", "mid": "slow printer", "high": "system down and broken"}


def tickets(folder, names=("text", "status", "priority")):
    rng = random.Random(1)
    levels = [rng.choice(list(URGENCY)) for _ in range(300)]
    rows = [
        (f"{URGENCY[level]} in room {i}", rng.choice(["open", "closed"]), level)
        for i, level in enumerate(levels)
    ]
    write_csv(folder / "rows.csv", names, rows)
    return folder / "rows.csv"


def test_the_target_that_the_texts_tell_is_chosen_and_the_other_is_named(tmp_path):
    found = rung.plan(tickets(tmp_path))
    assert found.guess.target == "priority"
    chosen, other = found.brief["targets"]
    assert (chosen["column"], other["column"]) == ("priority", "status")
    assert chosen["signal"] > 0.9 > 0.2 > other["signal"]


def test_a_name_counts_more_than_a_signal(tmp_path):
    assert rung.plan(tickets(tmp_path, ("text", "label", "priority"))).guess.target == "label"


def test_the_users_choice_is_not_compared(tmp_path):
    found = rung.plan(tickets(tmp_path), data={"target": "status"})
    assert found.guess.target == "status" and found.brief["targets"] == []


def test_four_hundred_classes_of_six_rows_are_classes(tmp_path):
    rows = [
        (f"request {i} about topic {i % 400} and some more words", f"class {i % 400}") for i in range(2400)
    ]
    write_csv(tmp_path / "rows.csv", ["text", "label"], rows)
    lights = {light["key"]: light for light in rung.plan(tmp_path / "rows.csv").brief["readiness"]}
    assert lights["rows_per_class"]["light"] == "stop" and lights["rows_per_class"]["values"]["fewest"] == 6


def test_personal_data_is_found_in_cells_and_not_written(tmp_path):
    rows = [
        (f"user{i}@example.com", f"please help user{i}@example.com with order {i}", "xy"[i % 2])
        for i in range(100)
    ]
    write_csv(tmp_path / "rows.csv", ["kontakt", "text", "label"], rows)
    found = rung.plan(tmp_path / "rows.csv")
    assert any(duty["kind"] == "personal" for duty in found.brief["duties"])
    assert "@example.com" not in json.dumps(found.as_dict())
    short = [(f"user{i}@example.com", f"please help with order {i}", "xy"[i % 2]) for i in range(100)]
    write_csv(tmp_path / "short.csv", ["kontakt", "text", "label"], short)
    (duty,) = (d for d in rung.plan(tmp_path / "short.csv").brief["duties"] if d["kind"] == "personal")
    assert duty["column"] == "kontakt"
