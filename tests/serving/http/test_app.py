"""The HTTP surface: shapes, limits, errors as JSON."""

import json

import pytest
from fastapi.testclient import TestClient

import rung
from rung.core.errors import InputError
from rung.core.types import Field, Schema
from rung.serving.http import app as served
from rung.serving.http.app import create_app
from rung.serving.http.schemas import parse_body, request_model


@pytest.fixture(scope="module")
def client(built):
    return TestClient(create_app([rung.load(built.bundle)]))


URL = "/v1/models/desk/predict"


def test_one_row_or_many(client):
    one = client.post(URL, json={"inputs": {"text": "The striker scored"}}).json()
    many = client.post(
        URL, json={"inputs": [{"text": "The striker scored"}, {"text": " "}], "scores": True}
    ).json()
    assert one["predictions"][0]["label"] == many["predictions"][0]["label"] == "sports"
    assert "score:sports" in many["predictions"][0] and "error" in many["predictions"][1]
    assert one["version"] and one["certified"] is True


@pytest.mark.parametrize(
    "body",
    [{}, {"inputs": []}, {"inputs": [{}]}, {"inputs": [{"txt": "a"}]}, {"inputs": "a"}, {"inputs": [{"text": 3}]},
     {"inputs": [{"text": None}]}, {"inputs": [{"text": ["a"]}]}, {"inputs": [{"text": "a"}], "surprise": 1}, [], 3, None],
)  # fmt: skip
def test_wrong_bodies_get_problem_where_fix(client, body):
    reply = client.post(URL, json=body)
    if body == {"inputs": []}:
        assert reply.status_code == 200 and reply.json()["predictions"] == []
        return
    assert reply.status_code == 422 and set(reply.json()) == {"problem", "where", "fix"}


def test_not_json_deep_json_and_lone_surrogates(client):
    for content in (b"", b"{", b"\xff\xfe", b"[" * 50_000, b'{"inputs": ' + b"[" * 50_000):
        reply = client.post(URL, content=content, headers={"Content-Type": "application/json"})
        assert 400 <= reply.status_code < 500 and set(reply.json()) == {"problem", "where", "fix"}
    reply = client.post(
        URL, content=b'{"inputs": [{"text": "\\ud800 goal"}]}', headers={"Content-Type": "application/json"}
    )
    assert reply.status_code in (200, 422)


def test_too_large_a_body_and_too_many_rows(client):
    big = json.dumps({"inputs": [{"text": "a" * (served.MAX_BODY_BYTES + 1)}]})
    reply = client.post(URL, content=big, headers={"Content-Type": "application/json"})
    assert reply.status_code == 413 and "larger than" in reply.json()["problem"]

    def chunks():
        for _ in range(20):
            yield b"a" * (1 << 20)

    assert client.post(URL, content=chunks()).status_code == 413
    many = client.post(URL, json={"inputs": [{"text": "a"}] * (served.MAX_ROWS + 1)})
    assert many.status_code == 422 and "too many" in many.json()["problem"]


def test_explaining_is_bounded(client):
    many = client.post(
        URL, json={"inputs": [{"text": "a"}] * (served.MAX_EXPLAINED_ROWS + 1), "explain": True}
    )
    long = client.post(URL, json={"inputs": {"text": "word " * 20_000}, "explain": True})
    for reply in (many, long):
        assert reply.status_code == 422 and "too much to explain" in reply.json()["problem"]


def test_unknown_model_and_route(client):
    reply = client.get("/v1/models/dusk")
    assert reply.status_code == 404 and "Did you mean 'desk'" in reply.json()["fix"]
    missing = client.post("/v1/models/dusk/predict", json={})
    assert missing.status_code == 404 and set(missing.json()) == {"problem", "where", "fix"}


def test_description_page_and_docs(client):
    described = client.get("/v1/models/desk").json()
    assert described["certified"] and described["schema"]["inputs"][0]["name"] == "text"
    page = client.get("/")
    assert page.status_code == 200 and "default-src 'none'" in page.headers["content-security-policy"]
    schema = client.get("/openapi.json").json()
    assert schema["paths"][URL]["post"]["requestBody"]
    docs = client.get("/docs").text
    assert URL in docs and "curl" in docs and "list of {text: text}" in docs
    for page in (docs, client.get("/").text):
        page = page.replace("http://www.w3.org/2000/svg", "")  # the name of a namespace, which nothing loads
        assert "http://" not in page and "https://" not in page, "pages load nothing from elsewhere"


def test_the_description_is_for_its_reader(client):
    """The claim comes in the reader's language, a training row only to who may see one."""
    zh = client.get("/v1/models/desk", headers={"Accept-Language": "zh-CN"}).json()
    assert zh["claim"].startswith("置信水平 95%") and zh["max_rows"] == 1_000
    assert (
        set(zh["example"]) == {"text"} and client.post(URL, json={"inputs": zh["example"]}).status_code == 200
    )
    docs = client.get("/docs", headers={"Accept-Language": "zh-CN", "Host": "127.0.0.1:8123"}).text
    assert '<html lang="zh-CN">' in docs and "curl 127.0.0.1:8123/v1/models/desk/predict" in docs
    assert "响应" in docs and "Predict with" not in docs and "the correct answer" not in docs
    odd = client.get("/docs", headers={"Host": "a'b"})
    assert odd.status_code == 403 or "curl localhost:8000" in odd.text


def test_a_column_name_that_is_no_python_name(built):
    from rung.core.types import Field, Schema
    from rung.serving.http.app import row_model

    schema = Schema((Field("正文 (body)", "text", "input"), Field("class", "text", "input")), ())
    row = row_model("m", schema).model_validate({"正文 (body)": "a", "class": "b"})
    assert row.model_dump(by_alias=True) == {"正文 (body)": "a", "class": "b"}


def test_two_bundles_of_one_name_are_refused(built):
    with pytest.raises(rung.RungError, match="two bundles are version .* of 'desk'"):
        create_app([rung.load(built.bundle), rung.load(built.bundle)])


def test_missing_inputs_are_named_together_and_unused_ones_may_be_missing():
    """A column that the model leaves out, such as an id, is not asked for."""
    fields = tuple(Field(name, "number", "input") for name in ("a", "b", "id"))
    schema = Schema(fields, (Field("label", "category", "output", ("x", "y")),))
    model = request_model("m", schema, 10, {"id"})
    assert parse_body(model, b'{"inputs": [{"a": 1, "b": 2}]}').inputs[0].model_dump(by_alias=True) == {
        "a": 1, "b": 2, "id": None,
    }  # fmt: skip
    for body, where in (
        (b'{"inputs": [{}]}', "row 0"),
        (b'{"inputs": [{"a": 1, "b": 2}, {}]}', "row 1"),
        (b'{"inputs": {}}', "inputs"),
    ):
        with pytest.raises(InputError) as caught:
            parse_body(model, body)
        assert (caught.value.problem, caught.value.where) == ("the inputs 'a', 'b' are missing", where)
    with pytest.raises(InputError, match="should be a valid"):
        parse_body(model, b'{"inputs": [{"a": []}]}')
