"""An MLflow server on loopback that keeps what the real client sends: the few calls that tracking makes."""

import json
import threading
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CALLS = "/api/2.0/mlflow/"
FILES = "/api/2.0/mlflow-artifacts/artifacts/"


class Kept:
    """runs: id -> tags, params, metrics, status; files: path -> bytes; logins: the Authorization of each request."""

    def __init__(self):
        self.experiments, self.runs, self.files, self.logins = {}, {}, {}, []
        self.away = False


class _Handler(BaseHTTPRequestHandler):
    def _answer(self, body, status=200):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _missing(self, what):
        self._answer({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"no such {what}"}, 404)

    def _handle(self):
        kept = self.server.kept
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kept.logins.append(self.headers.get("Authorization"))
        if kept.away:
            return self._answer({"error_code": "INTERNAL_ERROR", "message": "the disk is full"}, 400)
        path, _, query = self.path.partition("?")
        if path.startswith(FILES):
            kept.files[path.removeprefix(FILES)] = body
            return self._answer({})
        call = path.removeprefix(CALLS)
        asked = json.loads(body) if body else dict(part.split("=", 1) for part in query.split("&") if part)
        return getattr(self, "_" + call.replace("/", "_").replace("-", "_"))(kept, asked)

    do_GET = do_POST = do_PUT = do_PATCH = _handle  # noqa: N815 - the names http.server asks for

    def _experiments_get_by_name(self, kept, asked):
        found = kept.experiments.get(asked["experiment_name"])
        return self._answer({"experiment": found}) if found else self._missing("experiment")

    def _experiments_create(self, kept, asked):
        number = str(len(kept.experiments) + 1)
        kept.experiments[asked["name"]] = {
            "experiment_id": number, "name": asked["name"], "lifecycle_stage": "active",
            "artifact_location": f"mlflow-artifacts:/{number}",
        }  # fmt: skip
        self._answer({"experiment_id": number})

    def _runs_create(self, kept, asked):
        number = uuid.uuid4().hex
        tags = {tag["key"]: tag["value"] for tag in asked.get("tags", [])}
        kept.runs[number] = {
            "name": asked["run_name"], "tags": tags, "params": {}, "metrics": {}, "status": "RUNNING",
        }  # fmt: skip
        self._answer({"run": self._run(number)})

    def _runs_get(self, kept, asked):
        return (
            self._answer({"run": self._run(asked["run_id"])})
            if asked["run_id"] in kept.runs
            else self._missing("run")
        )

    def _runs_update(self, kept, asked):
        kept.runs[asked["run_id"]]["status"] = asked["status"]
        self._answer({"run_info": self._run(asked["run_id"])["info"]})

    def _runs_log_batch(self, kept, asked):
        run = kept.runs[asked["run_id"]]
        run["params"] |= {item["key"]: item["value"] for item in asked.get("params", [])}
        run["tags"] |= {item["key"]: item["value"] for item in asked.get("tags", [])}
        for item in asked.get("metrics", []):
            run["metrics"].setdefault(item["key"], {})[int(item.get("step", 0))] = item["value"]
        self._answer({})

    def _run(self, number):
        info = {
            "run_id": number, "run_uuid": number, "experiment_id": "1", "status": self.server.kept.runs[number]["status"],
            "artifact_uri": f"mlflow-artifacts:/1/{number}/artifacts", "lifecycle_stage": "active", "start_time": 1,
        }  # fmt: skip
        return {"info": info, "data": {}}

    def log_message(self, *args):
        pass


@contextmanager
def mlflow_service():
    """Yield (address without scheme, what was kept)."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.kept = Kept()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", server.kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
