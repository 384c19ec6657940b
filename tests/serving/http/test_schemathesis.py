"""The OpenAPI document asked in 10,000 ways by schemathesis: no 500, nothing hangs, every answer is as documented.

schemathesis comes with `rung[dev]`; SCHEMATHESIS names another one. RUNG_FUZZ_CASES: how many.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rung.journal.encryption import MASTER_KEY_VARIABLE, new_master_key
from rung.serving.http.api_keys import KeyStore
from server_process import free_port, start
from waiting import LONG

CASES = int(os.environ.get("RUNG_FUZZ_CASES", "10000"))
# Operations that take something; the others are one case each.
VARIED = 9
# Not `unsupported_method`: without a key, what is not there is 401 and not 405.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def command():
    named = os.environ.get("SCHEMATHESIS") or shutil.which(
        "schemathesis", path=str(Path(sys.executable).parent)
    )
    return named or pytest.skip(
        "schemathesis is missing: pip install 'rung[dev]', or name one in SCHEMATHESIS"
    )


@pytest.mark.slow
def test_ten_thousand_ways_to_ask(built, tmp_path):
    schemathesis = command()
    _, key = KeyStore(tmp_path).create("fuzz", "admin")
    port = free_port()
    server = start(built.bundle, tmp_path, port, env={**os.environ, MASTER_KEY_VARIABLE: new_master_key()})
    try:
        done = subprocess.run(
            [schemathesis, "run", f"http://127.0.0.1:{port}/openapi.json", "-H", f"Authorization: Bearer {key}",
             "--max-examples", str(-(-CASES // VARIED)), "--request-timeout", "20", "--checks", CHECKS,
             "--phases", "coverage,fuzzing", "--seed", "1", "--generation-database", "none", "--no-color"],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=7_200,
        )  # fmt: skip
        told = done.stdout[-3_000:]
        assert done.returncode == 0, told
        asked = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
        assert asked, told
        sys.stdout.write(f"{asked[1]} cases, {asked[2]} passed\n")
        assert int(asked[1]) == int(asked[2]) >= CASES * 0.9
        assert server.poll() is None, "it lives to the end"
        assert '"failed"' not in (tmp_path / "log.jsonl").read_text(), "no mistake of the server's own"
    finally:
        server.terminate()
        server.wait(LONG)
