"""The model behind LitServe: `serve_litserve.py BUNDLE PORT [PROCESSES]`; it comes with one."""

import sys
from typing import Any

import litserve

import rung


class Posts(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = rung.load(sys.argv[1])

    def decode_request(self, request):  # type: ignore[no-untyped-def]  # LitServe reads its annotation
        return str(request["inputs"]["text"])

    def predict(self, text: str) -> Any:
        return self.model.predict([text])[0]

    def encode_response(self, answer: Any) -> dict[str, Any]:
        return {"label": str(answer.value), "probability": answer.score}


if __name__ == "__main__":
    server = litserve.LitServer(
        Posts(), accelerator="cpu", workers_per_device=int(next(iter(sys.argv[3:]), 1))
    )
    server.run(port=int(sys.argv[2]), log_level="error", access_log=False, generate_client_file=False)
