"""Two servers behind one journal on PostgreSQL: kills lose nothing, both follow a promotion, a limit holds for both together."""

import http.client
import json
import os
import signal
import time

import pytest
from sqlalchemy import text

from postgresql_cluster import Cluster
from rung.journal import postgres
from rung.journal.encryption import MASTER_KEY_VARIABLE, new_master_key
from rung.serving import promotion
from rung.serving.http.api_keys import KeyStore
from server_process import URL, Client, free_port, start
from support import write_spec
from waiting import LONG, wait_until


@pytest.fixture
def two(built, news_csv, tmp_path, monkeypatch):
    """Two service folders, the environment of their servers, and the product that they serve."""
    pytest.importorskip("pg8000", reason="pg8000 is missing: pip install 'rung[postgres]'")
    cluster = Cluster(durable=True, listens=True)
    cluster.start()
    monkeypatch.setenv(postgres.VARIABLE, cluster.url)
    monkeypatch.setenv(MASTER_KEY_VARIABLE, new_master_key())
    spec = write_spec(tmp_path, news_csv)
    (tmp_path / "runs" / "desk-001").parent.mkdir()
    (tmp_path / "runs" / "desk-001").symlink_to(built.folder, target_is_directory=True)
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    yield folders, spec, cluster
    cluster.stop()
    cluster.remove()


def killed(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


def answer(port, key):
    """Return (status, version) of one prediction."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
    try:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", URL, json.dumps({"inputs": {"text": "a goal"}}), headers)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read()).get("version")
    finally:
        connection.close()


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_nothing_acknowledged_is_lost_in_kills(two, times):
    folders, spec, cluster = two
    _, key = KeyStore(folders[0]).create("shop", "predict")
    predicted, said, sent, clients = set(), set(), 0, []
    ports = [free_port(), free_port()]
    servers = [start(spec, folder, port) for folder, port in zip(folders, ports, strict=True)]
    try:
        for n in range(times):
            clients = [Client(port, key) for port in ports for _ in range(2)]
            for client in clients:
                client.start()
            wait_until(lambda now=clients: all(len(c.feedback) >= 5 for c in now), "load on both")
            time.sleep(0.013 * (n % 7))
            # One after the other, in turn; the database itself every fifth time.
            which = n % 2
            if n % 5 == 4:
                cluster.stop("immediate")
                cluster.start()
            killed(servers[which])
            servers[which] = start(spec, folders[which], ports[which])
            killed(servers[1 - which])
            servers[1 - which] = start(spec, folders[1 - which], ports[1 - which])
            for client in clients:
                client.join(LONG)
                predicted.update(client.predictions)
                said.update(client.feedback)
                sent += client.sent
                # While the database was away nothing was acknowledged, and that was said.
                assert all(status == 503 for status, _ in client.wrong)
    finally:
        for server in servers:
            killed(server)
    engine = postgres.open_shared(postgres.shared_url())
    with engine.connect() as connection:
        there = {row[0] for row in connection.execute(text("select id from predictions"))}
        kept = {row[0] for row in connection.execute(text("select id from feedback"))}
    engine.dispose()
    assert min(len(predicted), len(said)) >= 20 * times
    assert predicted <= there and said <= kept
    assert len(there) <= sent + 4 * times


def test_both_follow_a_promotion_and_share_a_limit(two, other, record_property):
    folders, spec, _ = two
    _, key = KeyStore(folders[0]).create("shop", "predict")
    _, few = KeyStore(folders[1]).create("few", "predict", per_minute=120)
    ports = [free_port(), free_port()]
    servers = [start(spec, folder, port) for folder, port in zip(folders, ports, strict=True)]
    try:
        first = {answer(port, key)[1] for port in ports}
        promotion.promote(folders[1], "desk", other.bundle, None, "ann", "better")
        promoted = time.monotonic()
        wait_until(lambda: not first & {answer(port, key)[1] for port in ports}, "both follow", pause=0.05)
        record_property("followed_seconds", time.monotonic() - promoted)
        begun = time.monotonic()
        statuses = [answer(ports[i % 2], few)[0] for i in range(60)]
        most = 12 + 2 * (time.monotonic() - begun) + 1
        assert 8 <= statuses.count(200) <= most
        assert set(statuses) == {200, 429}
        KeyStore(folders[0]).revoke("few")
        wait_until(lambda: {answer(port, few)[0] for port in ports} == {401}, "revoked on both")
    finally:
        for server in servers:
            killed(server)


def test_a_server_says_what_is_wrong_with_its_database(built, tmp_path):
    from support import run_cli

    env = {**os.environ, postgres.VARIABLE: "postgresql://u:secret@127.0.0.1:1/d"}
    done = run_cli("serve", built.bundle, "--folder", tmp_path, "--port", str(free_port()), env=env)
    assert done.returncode == 2 and "cannot be reached" in done.stderr
    assert "secret" not in done.stderr and "Traceback" not in done.stderr
