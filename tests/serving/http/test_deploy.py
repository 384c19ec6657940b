"""deploy/ fits the command line of this version: every command it runs is parsed by it; not root, on a read-only file system."""

import json
import re
import shlex
from importlib import resources

import click
import pytest
import yaml

from rung.cli import root
from rung.journal.encryption import MASTER_KEY_VARIABLE
from rung.journal.postgres import VARIABLE
from rung.serving.http.access import ENDPOINTS, PUBLIC
from support import ROOT

DEPLOY = ROOT / "deploy"
FILES = (
    "Containerfile",
    "compose.yaml",
    "compose-replicas.yaml",
    "kubernetes.yaml",
    "kubernetes.md",
    "rung.service",
)


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
    assert "chown 10001:10001 /service" in text and "[postgres]" in text


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


@pytest.mark.parametrize("name", ["compose.yaml", "compose-replicas.yaml"])
def test_compose_files_are_as_the_specification_wants(name):
    pytest.importorskip("check_jsonschema")
    from jsonschema.validators import validator_for

    place = resources.files("check_jsonschema.builtin_schemas.vendor") / "compose-spec.json"
    schema = json.loads(place.read_text(encoding="utf-8"))
    written = yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))
    check = validator_for(schema)(schema)
    assert [error.message for error in check.iter_errors(written)] == []
    written["services"]["server"]["replicas_"] = 2
    assert list(check.iter_errors(written)), "the schema is one that refuses"


@pytest.mark.parametrize("version", ["1.25", "1.33"])
def test_manifests_are_as_kubernetes_wants(version):
    validate = pytest.importorskip("kubernetes_validate")
    objects = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")))
    for one in objects:
        validate.validate(one, version, strict=True)
    assert [one["kind"] for one in objects][:2] == ["Secret", "Deployment"]
    objects[1]["spec"]["replica"] = 2
    with pytest.raises(validate.ValidationError):
        validate.validate(objects[1], version, strict=True)


def test_replicas_run_as_nobody_and_share_what_must_be_shared():
    secret, deployment, *_ = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8"))
    assert set(secret["stringData"]) == {MASTER_KEY_VARIABLE, VARIABLE}
    pod = deployment["spec"]["template"]["spec"]
    (server,) = pod["containers"]
    _, params = parsed(server["args"])
    assert str(params["folder"]) == "/service" and params["host"] == "0.0.0.0"
    mounted = {volume["mountPath"]: volume["name"] for volume in server["volumeMounts"]}
    assert mounted["/service"] == "service" and mounted[str(params["bundles"][0])] == "bundle"
    assert pod["securityContext"]["runAsNonRoot"] and server["securityContext"]["readOnlyRootFilesystem"]
    paths = {server[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    assert paths == {e.path for e in ENDPOINTS if e.roles is PUBLIC and e.path.endswith("z")}
    compose = yaml.safe_load((DEPLOY / "compose-replicas.yaml").read_text(encoding="utf-8"))["services"]
    assert set(compose["server"]["environment"]) == {MASTER_KEY_VARIABLE, VARIABLE}
    assert compose["server"]["read_only"] and compose["server"]["cap_drop"] == ["ALL"]
