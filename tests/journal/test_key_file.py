"""The master key of a user: made once, for this user alone, and read where the environment has none."""

import stat

import click
import pytest

from rung.cli.serve import _offer_key
from rung.core.errors import RungError
from rung.journal.encryption import key_file, master_key, new_master_key, write_key_file


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.delenv("RUNG_MASTER_KEY", raising=False)
    monkeypatch.setenv("RUNG_MASTER_KEY_FILE", str(tmp_path / "config" / "master.key"))
    return tmp_path


def test_it_is_made_once_for_its_user_alone():
    assert master_key() is None
    path = write_key_file()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    first = master_key()
    assert first is not None and len(first) == 32
    assert write_key_file() == path and master_key() == first


def test_the_environment_comes_first(monkeypatch):
    write_key_file()
    monkeypatch.setenv("RUNG_MASTER_KEY", new_master_key())
    in_environment = master_key()
    monkeypatch.delenv("RUNG_MASTER_KEY")
    assert master_key() != in_environment


def test_a_key_that_others_may_read_is_refused():
    write_key_file().chmod(0o644)
    with pytest.raises(RungError, match="others may read") as refused:
        master_key()
    assert "chmod 600" in refused.value.fix


def test_a_damaged_key_is_named():
    write_key_file().write_text("abc")
    with pytest.raises(RungError, match="32 bytes") as refused:
        master_key()
    assert refused.value.where == str(key_file())


@pytest.mark.parametrize(
    "own,wanted,made",
    [("", True, True), ("", False, False), ("", None, False), ("serve: {inputs: hash}", True, False)],
)
def test_a_product_that_says_nothing_of_inputs_gets_one(home, own, wanted, made):
    spec = home / "product.yaml"
    spec.write_text(
        f"name: desk\ntask: text_classification\ndata: {{path: rows.csv}}\nbar: {{metric: accuracy, at_least: 0.9}}\n{own}\n"
    )
    with click.Context(click.Command("serve")):
        _offer_key([spec], wanted)
    assert key_file().is_file() == made
