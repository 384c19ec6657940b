"""Promote, roll back, history; and under load: a rollback reaches a running server and drops no request."""

import json
import shutil
import threading

import pytest

import rung
from rung.core.errors import BundleError, RungError
from rung.serving import promotion
from rung.serving.bundle_source import find_bundle_source, read_champion
from rung.serving.http import server
from server_process import Client, free_port, start
from support import run_cli, write_spec
from waiting import LONG, wait_until


@pytest.fixture
def place(built, other, news_csv, tmp_path):
    """A product whose newest cleared run is `built`'s."""
    spec = write_spec(tmp_path, news_csv)
    shutil.copytree(built.folder, tmp_path / "runs" / "desk-001")
    return spec


def version(bundle):
    return rung.load(bundle).manifest.version


def test_promote_rollback_and_their_history(place, built, other):
    folder = place.parent / "service"
    first = place.parent / "runs" / "desk-001" / "bundle"
    assert promotion.current_champion(place, folder, place.parent, "desk") == first.resolve()
    promotion.promote(folder, "desk", other.bundle, first, "ann", "better")
    assert find_bundle_source(place).find() == other.bundle.resolve()
    promotion.promote(folder, "desk", built.bundle, None, "bo", "")
    promotion.rollback(folder, "desk", "cy", "complaints")
    assert read_champion(folder, "desk") == other.bundle.resolve()
    promotion.rollback(folder, "desk", "cy", "still")
    assert find_bundle_source(place).find() == first.resolve()
    with pytest.raises(RungError, match="'desk' has no earlier champion"):
        promotion.rollback(folder, "desk", "cy", "once more")
    found = promotion.history(folder, "desk")
    assert [(c.action, c.who, c.why) for c in found] == [
        ("promote", "ann", "better"), ("promote", "bo", ""), ("rollback", "cy", "complaints"), ("rollback", "cy", "still"),
    ]  # fmt: skip
    assert [c.version for c in found] == [version(other.bundle), version(built.bundle)] + [
        version(other.bundle),
        version(first),
    ]
    promotion.promote(folder, "desk", built.bundle, None, "bo", "again")
    promotion.rollback(folder, "desk", "cy", "")
    assert read_champion(folder, "desk") == first.resolve(), (
        "back to what served, not to what was promoted before"
    )


def test_what_may_not_serve_is_refused_and_leaves_no_line(place, built, other, tmp_path):
    folder = tmp_path / "service"
    with pytest.raises(BundleError, match="not to 'desks'"):
        promotion.promote(folder, "desks", built.bundle, None, "ann", "")
    trial = next((built.folder / "trials").glob("*/bundle"))
    with pytest.raises(BundleError, match="not certified"):
        promotion.promote(folder, "desk", trial, None, "ann", "")
    promotion.promote(folder, "desk", built.bundle, None, "ann", "")
    with pytest.raises(RungError, match="is the champion already"):
        promotion.promote(folder, "desk", built.bundle, None, "ann", "")
    copy = tmp_path / "copy"
    shutil.copytree(other.bundle, copy)
    promotion.promote(folder, "desk", copy, None, "ann", "")
    promotion.promote(folder, "desk", built.bundle, None, "ann", "")
    (copy / "schema.json" if (copy / "schema.json").is_file() else copy / "selftest.jsonl").write_text("{}")
    with pytest.raises(BundleError):
        promotion.rollback(folder, "desk", "ann", "")
    assert read_champion(folder, "desk") == built.bundle.resolve() and len(promotion.history(folder)) == 3


def test_a_damaged_history_is_named(tmp_path):
    (tmp_path / "history.jsonl").write_text('{"at": 1}\n')
    with pytest.raises(RungError, match="cannot be read") as caught:
        promotion.history(tmp_path)
    assert caught.value.where == "history.jsonl, line 1"


def test_by_command_line(place, other):
    base = place.parent
    done = run_cli("promote", other.folder, place, "--by", "Ann", "--why", "new desk", "--lang", "en")
    assert done.returncode == 0 and "is now the champion of desk" in done.stdout, done.stderr
    done = run_cli("rollback", cwd=base, env={"RUNG_LANG": "zh"})
    assert done.returncode == 0 and "desk 的现役模型现在是" in done.stdout
    done = run_cli("rollback", cwd=base)
    assert done.returncode == 2 and "'desk' has no earlier champion" in done.stderr
    done = run_cli("history", cwd=base, env={"RUNG_LANG": "en"})
    assert "promoted" in done.stdout and "by Ann: new desk" in done.stdout and "rolled back to" in done.stdout
    assert [c["action"] for c in json.loads(run_cli("history", "--json", cwd=base).stdout)] == [
        "promote",
        "rollback",
    ]
    assert run_cli("promote", "product.yaml", cwd=base).returncode == 2, (
        "the newest cleared run serves already"
    )


def test_rollback_under_load_drops_nothing(place, built, other):
    folder, old = place.parent / "service", version(built.bundle)
    port = free_port()
    folder.mkdir()
    server = start(place, folder, port)
    try:
        clients = [Versions(port) for _ in range(4)]
        for client in clients:
            client.start()
        wait_for(clients, old)
        for _ in range(3):
            promotion.promote(folder, "desk", other.bundle, built.bundle, "ann", "")
            wait_for(clients, version(other.bundle))
            promotion.rollback(folder, "desk", "ann", "test")
            wait_for(clients, old)
        for client in clients:
            client.stopping = True
        for client in clients:
            client.join(LONG)
        assert not [wrong for client in clients for wrong in client.wrong]
        assert all(client.broke is None for client in clients), "no connection was cut"
    finally:
        server.terminate()
        server.wait(LONG)


def wait_for(clients, wanted):
    wait_until(
        lambda: all(client.version == wanted for client in clients), lambda: [c.version for c in clients]
    )


class Versions(Client):
    """Asks without a pause and remembers which version answered last."""

    def __init__(self, port):
        super().__init__(port, "none")
        self.version, self.stopping, self.broke = "", False, None

    def run(self):
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        try:
            while not self.stopping:
                answer = self.post(connection, "/v1/models/desk/predict", {"inputs": {"text": "a goal"}})
                self.version = answer["version"]
                self.predictions.append(answer["predictions"][0]["id"])
        except Exception as error:
            self.broke = error
        finally:
            connection.close()


def test_two_changes_at_once_wait_for_each_other(built, other, tmp_path):
    folder = tmp_path / "service"
    promotion.promote(folder, "desk", built.bundle, None, "ann", "")
    results = []

    def change(bundle):
        try:
            results.append(promotion.promote(folder, "desk", bundle, None, "bo", "").bundle)
        except RungError as error:
            results.append(error.problem)

    threads = [threading.Thread(target=change, args=(b,)) for b in (other.bundle, other.bundle)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == sorted(
        [str(other.bundle.resolve()), "this bundle is the champion already"]
    )


@pytest.fixture
def served(monkeypatch):
    """The applications that `serve` would run, in this process."""
    made = []
    monkeypatch.setattr("uvicorn.run", lambda app, **_: made.append(app))
    for name in ("log_to_stderr", "_raise_file_limit"):
        monkeypatch.setattr(f"rung.serving.http.server.{name}", lambda: None)
    return made


def test_the_first_serve_writes_the_champion_down(place, built, other, served):
    """`place` is a product with one run; a later build serves only after it is promoted, restarts included."""
    folder, base = place.parent / "service", place.parent
    server.serve([place], port=0, journal=False)
    assert json.loads((folder / "champions.json").read_text()) == {"desk": "runs/desk-001/bundle"}
    shutil.copytree(base / "runs" / "desk-001", base / "runs" / "desk-009")
    shutil.rmtree(base / "runs" / "desk-009" / "bundle")
    shutil.copytree(other.bundle, base / "runs" / "desk-009" / "bundle")
    assert find_bundle_source(place).find() == base / "runs" / "desk-001" / "bundle"
    current = promotion.current_champion(place, folder, base, "desk")
    assert current == (base / "runs" / "desk-001" / "bundle").resolve()
    change = promotion.promote(
        folder, "desk", base / "runs" / "desk-009" / "bundle", current, "ann", "better"
    )
    assert change.previous == str(current)
    server.serve([place], port=0, journal=False)
    assert find_bundle_source(place).find() == (base / "runs" / "desk-009" / "bundle").resolve()
    promotion.rollback(folder, "desk", "ann", "")
    assert find_bundle_source(place).find() == current and len(served) == 2


def test_a_folder_that_cannot_be_written_serves_without(place, served, monkeypatch):
    def full(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("rung.serving.bundle_source.write_json", full)
    server.serve([place], port=0, journal=False)
    assert served and not (place.parent / "service" / "champions.json").exists()
