"""What goes wrong around a server: damaged bundles put in the place of good ones, a full disk, a certificate."""

import http.client
import json
import resource
import shutil
import sqlite3
import ssl
import subprocess
import sys

import pytest

import rung
from rung.core.errors import RungError
from rung.core.manifest import seal
from rung.serving.model_registry import ModelRegistry
from server_process import ASK, URL, free_port, repacked, start
from waiting import LONG


def rewritten(place, **changed):
    """Change a manifest as someone would who knows how to seal it."""
    raw = {**json.loads((place / "manifest.json").read_text()), **changed}
    (place / "manifest.json").write_text(json.dumps({**raw, "seal": seal(raw)}))


def cut(place):
    (place / "manifest.json").write_bytes((place / "manifest.json").read_bytes()[:100])


def emptied(place):
    (place / "manifest.json").write_bytes(b"")


def without_weights(place):
    next((place / "model").rglob("*.safetensors")).unlink()


def with_more(place):
    (place / "model" / "more.bin").write_bytes(b"1")


def one_bit(place):
    path = next((place / "model").rglob("*.safetensors"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def another_model(place):
    rewritten(place, name="other")


def uncertified(place):
    rewritten(place, certified=False)


def gone(place):
    shutil.rmtree(place)


@pytest.mark.parametrize(
    "spoil", [cut, emptied, without_weights, with_more, one_bit, another_model, uncertified, gone]
)
def test_a_spoilt_bundle_never_takes_the_place_of_a_good_one(built, tmp_path, spoil):
    place = repacked(built.bundle, tmp_path / "place", "v1")
    models = ModelRegistry([rung.load(place)])
    spoil(place)
    with pytest.raises(RungError) as error:
        models.reload("desk")
    assert error.value.problem and error.value.as_dict().keys() == {"problem", "where", "fix"}
    assert models.get("desk").manifest.version == "v1"
    assert models.get("desk").predictor.predict(["The striker scored twice"])[0].value == "sports"
    repacked(built.bundle, place, "v2")
    if spoil is with_more:
        (place / "model" / "more.bin").unlink()
    assert models.reload("desk").manifest.version == "v2", "and a good one does, afterwards"


def test_a_full_disk_is_503_and_nothing_is_acknowledged(opened):
    with opened(keys=False, inputs="plain") as server:
        acknowledged, codes = [], []
        body = {"inputs": {"text": "The striker scored twice " * 200}}
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        # Files may not grow beyond this: the nearest to a full disk that needs no disk of its own.
        resource.setrlimit(resource.RLIMIT_FSIZE, (200 << 10, hard))
        try:
            for _ in range(100):
                reply = server.client.post(URL, json=body)
                codes.append(reply.status_code)
                if reply.status_code == 200:
                    acknowledged.append(reply.json()["predictions"][0]["id"])
                else:
                    assert reply.status_code == 503 and "full" in reply.json()["problem"]
                    assert reply.headers["retry-after"] and "id" not in reply.json()
                    break
            assert codes[0] == 200 and codes[-1] == 503
            # Nothing more fits, however small.
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 10, hard))
            assert server.client.get("/healthz").status_code == 200
            assert server.client.get("/readyz").status_code == 503
            said = {"prediction": acknowledged[0], "answer": "tech"}
            assert server.client.post("/v1/feedback", json=said).status_code == 503
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert server.client.get("/readyz").status_code == 200, "it mends itself"
        assert server.client.post(URL, json=ASK).status_code == 200
        raw = sqlite3.connect(server.journal.path)
        there = {row[0] for row in raw.execute("select id from predictions")}
        raw.close()
        assert set(acknowledged) <= there and len(there) == len(acknowledged) + 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for this machine, signed by itself, and its key."""
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "key.pem").write_bytes(pem)
    return folder / "cert.pem", folder / "key.pem"


def test_tls_by_flag(built, certificate, tmp_path):
    cert, key = certificate
    port = free_port()
    trusts = ssl.create_default_context(cafile=str(cert))
    more = ("--tls-cert", str(cert), "--tls-key", str(key))
    server = start(built.bundle, tmp_path, port, more=more, tls=trusts)
    try:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=LONG, context=trusts)
        connection.request("POST", URL, json.dumps(ASK), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        assert reply.status == 200 and json.loads(reply.read())["predictions"][0]["label"] == "sports"
        connection.close()
        stranger = http.client.HTTPSConnection("127.0.0.1", port, timeout=LONG)
        with pytest.raises(ssl.SSLCertVerificationError):
            stranger.request("GET", "/healthz")
        stranger.close()
        plain = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
        with pytest.raises((OSError, http.client.HTTPException)):
            plain.request("GET", "/healthz")
            plain.getresponse()
        plain.close()
    finally:
        server.terminate()
        server.wait(LONG)


def test_tls_that_cannot_be_is_said_at_once(built, certificate, tmp_path):
    cert, key = certificate
    (tmp_path / "wrong.pem").write_text("no certificate")

    def said(*flags):
        command = [
            sys.executable,
            "-m",
            "rung.cli",
            "serve",
            str(built.bundle),
            "--port",
            str(free_port()),
            *map(str, flags),
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONG)  # fmt: skip

    alone, missing = said("--tls-cert", cert), said("--tls-cert", cert, "--tls-key", tmp_path / "none.pem")
    assert alone.returncode == 2 and "Give both" in alone.stderr
    assert missing.returncode == 2 and "there is no such file" in missing.stderr
    wrong = said("--tls-cert", tmp_path / "wrong.pem", "--tls-key", key)
    assert wrong.returncode == 2 and "PEM" in wrong.stderr and "Traceback" not in wrong.stderr
