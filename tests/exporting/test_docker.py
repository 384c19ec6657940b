"""The container's folder: a sound Dockerfile, and a server that answers as rung's does and survives what is sent to it."""

import contextlib
import http.client
import json
import subprocess
import sys

import pytest

from rung.exporting import docker, wheel
from rung.workflows.export import export


@pytest.fixture(scope="module")
def exported(built, tmp_path_factory):
    return export(built.folder, "docker", out=tmp_path_factory.mktemp("docker") / "out")


def test_every_row_is_answered_over_http_as_by_the_server(exported):
    (check,) = exported.report["checks"]
    assert check["where"] == "HTTP" and check["equal"] == check["rows"] > 300
    assert check["largest_difference"] == 0.0
    assert "no image was built or run" in (exported.folder / "export.md").read_text(encoding="utf-8")


def test_the_dockerfile_is_sound_and_the_lint_can_fail(exported):
    text = (exported.folder / "Dockerfile").read_text(encoding="utf-8")
    assert docker.lint(text) == []
    assert "it runs as root" in docker.lint(text.replace("USER 10001:10001\n", ""))
    assert "it has no health check" in docker.lint(
        "\n".join(x for x in text.splitlines() if not x.startswith("HEALTH"))
    )
    assert "the base image has no tag" in docker.lint(
        text.replace("FROM python:", "FROM python @").replace("@", "")
    )
    assert "CMD is not in its exec form" in docker.lint(text.replace('CMD ["python", "-m"', "CMD python -m"))
    assert "'ADDD' is not expected" in docker.lint(text + "ADDD x y\n")


@pytest.fixture(scope="module")
def port(exported, tmp_path_factory):
    place = wheel.install(exported.folder, tmp_path_factory.mktemp("docker") / "installed")
    script = wheel.TEMPLATES / "server_check.py.txt"
    command = [sys.executable, "-I", str(script), str(place), "desk", ",".join(wheel.BLOCKED)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        yield int(server.stdout.readline().rpartition(":")[2])
        server.terminate()
        server.communicate(timeout=60)
        assert server.returncode == 0


def asked(port, method, path, body=None, headers=None):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())


@pytest.mark.parametrize(
    "body,status",
    [
        (b"{", 400), (b"[]", 400), (b"{}", 400), (b'{"inputs": "text"}', 400), (b'{"inputs": [' + b'"a",' * 1000 + b'"a"]}', 400),
        (b"[" * 100_000, 400), (b'{"inputs": []}', 200), (b'{"inputs": [null, 3, {"text": []}, "the team won"]}', 200),
    ],
)  # fmt: skip
def test_hostile_bodies(port, body, status):
    got, answer = asked(port, "POST", "/predict", body)
    assert got == status, answer
    if status == 200 and answer["answers"]:
        assert "error" in answer["answers"][0] and "label" in answer["answers"][-1]


def test_other_paths_lengths_and_health(port):
    assert asked(port, "GET", "/healthz") == (200, {"ok": True})
    assert asked(port, "GET", "/info")[1]["name"] == "desk"
    assert asked(port, "GET", "/../etc/passwd")[0] == 404
    assert asked(port, "POST", "/other", b"{}")[0] == 404
    assert asked(port, "POST", "/predict", None, {"Content-Length": str(1 << 40)})[0] == 413
    assert asked(port, "POST", "/predict", None, {"Content-Length": "-5"})[0] == 411
