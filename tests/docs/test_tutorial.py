"""The tutorial's commands are followed one after the other, in English and Chinese, on a table of real news."""

import json
import re
import shlex

import pytest
import yaml
from fastapi.testclient import TestClient

import rung
from rung.serving.http.app import create_app
from support import ROOT, run_cli, start_cli, write_csv

BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.S)


@pytest.mark.parametrize("page", ["tutorial.md", "tutorial.zh.md"])
def test_the_tutorial_is_followed(page, news_rows, tmp_path):
    """What needs the repository itself (git clone, make demo, examples/news) is not repeated here: see test_every_block."""
    write_csv(tmp_path / "tickets.csv", ["text", "label"], news_rows)
    write_csv(tmp_path / "new.csv", ["text"], [[text] for text, _ in news_rows[:5]])
    # The encoders of a full cache would be climbed too: their builds are tested elsewhere.
    cache = {"RUNG_CACHE": str(tmp_path / "cache")}
    # One of the pages starts processes, as a shell does.
    run = start_cli if page == "tutorial.md" else run_cli
    done = set()
    for language, block in BLOCK.findall((ROOT / "docs" / page).read_text(encoding="utf-8")):
        if language == "yaml":
            # The page says: set your bar. 0.9 instead of 0.93, which 600 short texts do not prove.
            spec = yaml.safe_load((tmp_path / "product.yaml").read_text(encoding="utf-8"))
            spec |= yaml.safe_load(block.replace("0.93", "0.8")) | {"budget": {"effort": 0, "threads": 1}}
            (tmp_path / "product.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
            continue
        for line in block.splitlines() if language == "bash" else ():
            words = shlex.split(line)[1:]
            if line.startswith("rung ") and words[0] != "serve" and "examples/" not in line:
                said = run(*words, cwd=tmp_path, env=cache)
                assert said.returncode == 0, said.stdout + said.stderr
                done.add(words[0])
    assert done == {"plan", "build", "predict"}
    assert len((tmp_path / "answers.csv").read_text(encoding="utf-8").splitlines()) == 6
    assert (tmp_path / "plan.html").is_file()


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_request_of_the_readme_is_answered(page, built):
    """The same request to the bundle of a smaller table: it is made of the same news."""
    text = (ROOT / page).read_text(encoding="utf-8")
    line = next(
        line
        for language, block in BLOCK.findall(text)
        if language == "bash"
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("curl ")
    )
    words = shlex.split(line)
    path = words[2].removeprefix("localhost:8000").replace("/news/", "/desk/")
    body = json.loads(words[words.index("-d") + 1])
    reply = TestClient(create_app([rung.load(built.bundle)])).post(path, json=body)
    assert reply.status_code == 200 and len(reply.json()["predictions"]) == len(body["inputs"])
