"""The OpenAPI document says what models answer, and models answer what it says."""

import pytest

from small_models import Answering, Streaming, small

validator_for = pytest.importorskip("jsonschema_rs", reason="pip install 'rung[dev]'").validator_for


def schema_of(document, path, status="200"):
    """Return a validator of a response, with the document's components."""
    (content,) = document["paths"][path]["post"]["responses"][status]["content"].values()
    return validator_for({**content["schema"], "components": document["components"]})


@pytest.mark.parametrize("keys", [True, False])
def test_answers_are_as_documented(opened, keys):
    with opened(keys=keys) as server:
        headers = server.headers.get("admin")
        document = server.client.get("/openapi.json", headers=headers).json()
        for options in ({}, {"scores": True}, {"explain": True}):
            for action in ("predict", "explain"):
                path = f"/v1/models/desk/{action}"
                rows = [{"text": "The striker scored twice"}, {"text": " "}]
                reply = server.client.post(path, json={"inputs": rows, **options}, headers=headers)
                schema_of(document, path).validate(reply.json())
                good, bad = reply.json()["predictions"]
                assert "error" in bad and good["id"]
                wrong = {**reply.json(), "predictions": [{**good, "label": "no such label"}]}
                assert not schema_of(document, path).is_valid(wrong)
                assert not schema_of(document, path).is_valid({**wrong, "predictions": [{"id": good["id"]}]})
        refused = server.client.post("/v1/models/desk/predict", json={"inputs": 3}, headers=headers)
        schema_of(document, "/v1/models/desk/predict", "422").validate(refused.json())
        answer = document["components"]["schemas"]["desk-answer"]
        assert list(answer["properties"])[:2] == ["label", "probability"]
        validator_for(answer).validate(answer["examples"][0])


def test_models_are_described_with_their_form(opened, tmp_path):
    model = small(
        tmp_path, Answering(str), photo="file", note="text", size="number", when="time", tags="list"
    )
    talking = small(tmp_path, Streaming(lambda row: iter(())), name="talking", prompt="text")
    with opened(keys=False, predictors=[model, talking]) as server:
        document = server.client.get("/openapi.json").json()
        described = server.client.get("/v1/models").json()
        component = {"$ref": "#/components/schemas/Model", "components": document["components"]}
        for one in described["models"]:
            validator_for(component).validate(one)
        assert server.client.get("/v1/models/small").json() == described["models"][0]
        shown = {
            item["name"]: (item["kind"], item["widget"]["type"]) for item in described["models"][0]["inputs"]
        }
        assert shown == {
            "photo": ("file", "file"), "note": ("text", "textarea"), "size": ("number", "number"),
            "when": ("time", "date"), "tags": ("list", "json"),
        }  # fmt: skip
        assert [one["streams"] for one in described["models"]] == [False, True]
        form = document["paths"]["/v1/models/small/predict"]["post"]["requestBody"]["content"][
            "multipart/form-data"
        ]
        assert form["schema"]["properties"]["photo"]["anyOf"][0]["format"] == "binary"
        assert (
            "text/event-stream"
            in document["paths"]["/v1/models/talking/stream"]["post"]["responses"]["200"]["content"]
        )
        docs = server.client.get("/docs").text
        assert (
            "-F &#x27;photo=@FILE&#x27; -F &#x27;note=...&#x27;" in docs and "has <code>error</code>" in docs
        )
