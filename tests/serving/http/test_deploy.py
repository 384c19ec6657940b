"""deploy/ fits the command line of this version: every command it runs is parsed by it; not root, on a read-only file system."""

import json
import re
import shlex

import click
import yaml

from rung.cli import root
from rung.serving.http.access import ENDPOINTS, PUBLIC
from support import ROOT

DEPLOY = ROOT / "deploy"
FILES = ("Containerfile", "compose.yaml", "kubernetes.md", "rung.service")


def parsed(words):
    """Give words after `rung` to the command line as far as it checks them; return the command and its parameters."""
    command, context = root, click.Context(root, info_name="rung")
    rest = list(words)
    while isinstance(command, click.Group):
        name, command, rest = command.resolve_command(context, rest)
        assert command is not None, words
        context = click.Context(command, info_name=name, parent=context)
    command.parse_args(context, rest)
    return command, context.params


def container():
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    return text, {
        name: json.loads(words) for name, words in re.findall(r"^(ENTRYPOINT|CMD) (\[.*\])$", text, re.M)
    }


def test_the_container_starts_what_there_is():
    text, words = container()
    assert words["ENTRYPOINT"] == ["rung"]
    _, params = parsed(words["CMD"])
    assert params["host"] == "0.0.0.0" and str(params["folder"]) == "/service"
    assert str(params["port"]) in re.search(r"^EXPOSE (\d+)$", text, re.M)[1]
    asked = re.search(r"http://127.0.0.1:(\d+)(/\w+)", text)
    assert asked[1] == str(params["port"])
    assert any(e.path == asked[2] and e.roles is PUBLIC for e in ENDPOINTS), "it is asked without a key"
    assert re.search(r"^USER 10001:10001$", text, re.M).start() < text.index("ENTRYPOINT")
    assert "chown 10001:10001 /service" in text and "[ops]" in text


def test_compose_runs_it_read_only_and_as_nobody():
    server = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["server"]
    assert (ROOT / server["build"]["dockerfile"]).is_file()
    assert server["read_only"] and server["user"] == "10001:10001" and server["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in server["security_opt"]
    mounted = {
        volume.rsplit("}")[-1].removeprefix(":").removeprefix("service:") for volume in server["volumes"]
    }
    _, words = container()
    _, params = parsed(words["CMD"])
    assert mounted == {"/bundle:ro", "/service"} and str(params["bundles"][0]) == "/bundle"
    assert all(port.startswith("127.0.0.1:") for port in server["ports"])


def test_systemd_starts_what_there_is():
    unit = (DEPLOY / "rung.service").read_text(encoding="utf-8")
    settings = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and line[0] not in "#[")
    program, *words = shlex.split(settings["ExecStart"])
    assert program.endswith("/rung")
    _, params = parsed(words)
    assert [str(bundle) for bundle in params["bundles"]] == ["product.yaml"]
    assert settings["User"] == "rung" and settings["ProtectSystem"] == "strict"
    assert settings["ReadWritePaths"] == f"{settings['WorkingDirectory']}/service"
    assert settings["NoNewPrivileges"] == "yes" and settings["CapabilityBoundingSet"] == ""
    assert int(settings["LimitNOFILE"]) > 1_024


def test_every_command_that_is_told_exists():
    """In comments and notes too: `rung keys create shop --role predict --folder /service`."""
    found = 0
    for name in FILES:
        text = (DEPLOY / name).read_text(encoding="utf-8")
        # Behind `docker compose run server` stands what follows `rung`.
        for line in re.findall(
            r"(?:\brung|run --rm server|-- rung) ((?:keys|serve)(?: (?!prints\b)[\w./:-]+)*)", text
        ):
            parsed(shlex.split(line))
            found += 1
    assert found >= 5


def test_a_server_may_take_as_long_to_end_as_it_needs():
    from rung.serving.http.server import _SHUTDOWN_SECONDS

    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["server"]
    unit = (DEPLOY / "rung.service").read_text(encoding="utf-8")
    notes = (DEPLOY / "kubernetes.md").read_text(encoding="utf-8")
    granted = [compose["stop_grace_period"].removesuffix("s"), re.search(r"TimeoutStopSec=(\d+)", unit)[1],
               re.search(r"terminationGracePeriodSeconds: (\d+)", notes)[1]]  # fmt: skip
    assert all(int(seconds) > _SHUTDOWN_SECONDS for seconds in granted)


def test_the_proxy_allows_what_the_server_does():
    from rung.core.spec.serve import ServeSpec

    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    assert f"client_max_body_size {ServeSpec().body_mb:g}m" in text
    assert float(re.search(r"proxy_read_timeout (\d+)s", text)[1]) > ServeSpec().seconds
    guarded = re.search(r"location ~ (\S+) ", text)[1].replace("\\", "")
    admins = [e.path for e in ENDPOINTS if e.roles == {"admin"} or e.path == "/metrics"]
    assert admins and all(re.match(guarded, path.format(name="desk")) for path in admins)
    assert not any(
        re.match(guarded, e.path.format(name="desk", version="v", id="0"))
        for e in ENDPOINTS
        if e.path not in admins
    )
