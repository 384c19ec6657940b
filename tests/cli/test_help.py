"""Every command explains itself: examples in its help, JSON for programs, the shared options."""

import json

import click
import pytest

from rung.cli import COMMANDS, root
from support import run_cli


def all_commands():
    for name in COMMANDS:
        command = root.get_command(click.Context(root), name)
        yield name, command
        for inner, below in getattr(command, "commands", {}).items():
            yield f"{name} {inner}", below


@pytest.mark.parametrize(("name", "command"), list(all_commands()), ids=lambda value: str(value))
def test_help_has_examples_and_shared_options(name, command):
    shown = command.get_help(click.Context(command, info_name=f"rung {name}"))
    examples = shown.partition("Example")[2]
    assert f"rung {name}" in examples
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--lang", "--no-color"} <= options
    assert isinstance(command, click.Group) or "--json" in options


def test_the_json_of_keys(tmp_path):
    def keys(*args):
        done = run_cli("keys", *args, "--json", cwd=tmp_path)
        assert done.returncode == 0 and not done.stderr, done.stderr
        return json.loads(done.stdout)

    made = keys("create", "shop")
    assert made["name"] == "shop" and made["key"].startswith(f"rung_{made['id']}_")
    revoked = keys("revoke", "shop")
    assert revoked["id"] == made["id"] and revoked["revoked_at"] > 0
    assert set(keys("master")) == {"master_key"}


def test_the_json_of_a_predicted_file(built, tmp_path):
    (tmp_path / "rows.csv").write_text("text\nThe striker scored twice\n\n", encoding="utf-8")
    done = run_cli("predict", built.bundle, "-i", "rows.csv", "--json", cwd=tmp_path)
    first = json.loads(done.stdout.splitlines()[0])
    assert first["row"] == 1 and "label" in first
    done = run_cli("predict", built.bundle, "-i", "rows.csv", "-o", "out.csv", "--json", cwd=tmp_path)
    facts = json.loads(done.stdout)
    assert facts == {"file": "out.csv", "rows": len((tmp_path / "out.csv").read_text().splitlines()) - 1, "errors": facts["errors"]}  # fmt: skip


def test_the_json_of_a_server_that_cannot_start(tmp_path):
    done = run_cli("serve", "nowhere", "--json", cwd=tmp_path)
    assert done.returncode == 2 and set(json.loads(done.stdout)["error"]) == {"problem", "where", "fix"}
