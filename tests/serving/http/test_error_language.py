"""Errors come in the language that the caller asks for; every sentence that the code raises has a translation."""

import ast
import json
from pathlib import Path

import pytest

from rung.core.messages.sentences import in_language
from support import ROOT

RAISED = {"HttpError": 1, "InputError": 0, "ModelNotFound": 0}
# A name and a reason that a kind puts together.
WITHOUT_WORDS = "'gap' gap"
FOLDERS = ("serving", "modalities")
FILES = ("core/kind.py", "core/column_names.py", "core/blobs.py")


def sentence(node):
    """Return a text of the code with a word in each gap; None for what is put together elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "gap" for part in node.values)
    return None


def raised_sentences():
    source = ROOT / "src" / "rung"
    paths = [path for folder in FOLDERS for path in (source / folder).rglob("*.py")]
    for path in [*paths, *(source / name for name in FILES)]:
        if path.name.startswith("shadow"):
            continue
        tree = ast.parse(Path(path).read_text(encoding="utf-8"))
        fixes = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("fix", "_FIX")
        ]
        calls = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in RAISED
        ]
        parts = [part for call in calls for part in (call.args[RAISED[call.func.id] :][:1] + call.args[-2:])]
        if calls:
            yield from (
                (path.name, text)
                for text in map(sentence, [*parts, *fixes])
                if text and " " in text and not text.startswith("row ") and text != WITHOUT_WORDS
            )


def test_every_sentence_has_a_translation():
    found = sorted(set(raised_sentences()))
    assert len(found) > 60
    assert [(name, text) for name, text in found if in_language(text, "zh") == text] == []


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("there is no model 'a'", "没有模型“a”"),
        ("'n' must be a number, not '{x}'", "“n”必须是数字，不能是 '{x}'"),
        ("the inputs 'a', 'b' are missing", "缺少输入 'a', 'b'"),
        ("Field required; Extra inputs are not permitted", "缺少必需的字段；有多余的字段"),
        (
            "'image' cannot be used: this is an HTML page, not an image that can be read",
            "“image”无法使用：这不是可以读取的图像，而是：HTML 网页",
        ),
        (
            "'image' cannot be used: the JPEG image is damaged: image file is truncated (5 bytes not processed)",
            "“image”无法使用：JPEG 图像已损坏：文件不完整（还有 5 字节未处理）",
        ),
        ("what a plugin says", "what a plugin says"),
        ("there is no model 'a'" * 50, "there is no model 'a'" * 50),
    ],
)
def test_sentences(english, chinese):
    assert in_language(english, "zh") == chinese
    assert in_language(english, "en") == english


def test_over_http(opened):
    with opened(keys=False) as found:
        _hold_over_http(found.client)


def _hold_over_http(client):
    chinese = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}
    missing = client.post("/v1/models/none/predict", json={"inputs": ["a"]}, headers=chinese)
    assert missing.status_code == 404 and missing.json()["problem"] == "没有模型“none”"
    assert client.get("/v1/nothing", headers=chinese).json() == {
        "problem": "没有这个路径", "where": "path", "fix": "GET /v1/models 列出所有模型；/docs 列出所有接口。",
    }  # fmt: skip
    assert client.get("/v1/nothing").json()["problem"] == "there is no such path"
    name = client.get("/v1/models").json()["models"][0]["name"]
    for body in ({"inputs": [{}]}, {"inputs": [5, ""]}, {"wrong": 1}, {"inputs": ["a"] * 5000}):
        reply = client.post(f"/v1/models/{name}/predict", json=body, headers=chinese)
        said = reply.json()
        texts = (
            [said["problem"], said["fix"]]
            if "problem" in said
            else [row["error"] for row in said["predictions"] if "error" in row]
        )
        assert texts and all(any(char >= "\u4e00" for char in text) for text in texts), (body, said)
    assert json.loads(client.post(f"/v1/models/{name}/predict", content=b"{", headers=chinese).content)[
        "problem"
    ].startswith("JSON 无效")


def test_a_problem_and_its_fix_are_two_sentences():
    fix = "More rows, or a larger model, may; the cheaper rung stays."
    said = in_language(
        f"on prompts held out it does not beat nearest_example: chrf 0.0370 against 0.0586. {fix}", "zh"
    )
    assert (
        said
        == "在留出的提示上没有胜过 nearest_example：chrf 0.0370 对 0.0586。更多数据或更大的模型也许可以；保留更便宜的模型。"
    )
