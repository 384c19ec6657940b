"""Errors of commands in Chinese: what is known is translated, what is not stays whole, and no translation is stale."""

import re
import string

import pytest
import yaml

from rung.cli.error_text import error_text
from rung.core.errors import DataError, Problem, SpecError
from support import ROOT, run_cli

PATH = ROOT / "src" / "rung" / "core" / "messages" / "sentences" / "zh_commands.yaml"
SENTENCES = yaml.safe_load(PATH.read_text(encoding="utf-8"))
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "rung").rglob("*.py"))


@pytest.mark.parametrize("english", SENTENCES)
def test_each_sentence_is_one_of_the_code(english):
    parts = [words for words, *_ in string.Formatter().parse(english)]
    longest = max((piece for words in parts for piece in re.split(r"[{}\"',]|manifest.json", words)), key=len)
    # Texts of the code may go on in the next line; limits are put together of two lists.
    plain = re.sub(r"\"\s*f?\"", "", SOURCE)
    assert longest.strip(" .,:").removeprefix("must be ") in plain


@pytest.mark.parametrize("english", SENTENCES)
def test_gaps_are_those_of_the_english(english):
    def names(text):
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert names(SENTENCES[english]) == names(english)


def test_a_spec_error_is_chinese_throughout():
    problems = [
        Problem(3, "bar.metric", "text classification has no metric 'acuracy'.", "Did you mean 'accuracy'?"),
        Problem(0, "foo", "is not a valid key.", ""),
    ]
    assert error_text(SpecError(problems, "product.yaml"), "zh") == (
        "product.yaml：2 处问题\n  第 3 行，bar.metric：任务（text classification）没有指标“acuracy”。是不是“accuracy”？\n"
        "  foo：不是有效的键。\n`rung plan 数据文件` 会写出可用的 product.yaml；所有的键见 docs/reference/product.md。"
    )


def test_the_place_is_chinese_and_unknown_sentences_stay():
    error = DataError("the frobnicator is out of tune", "d.csv, row 812", "Check the path.")
    assert error_text(error, "zh") == "d.csv，第 812 行：the frobnicator is out of tune\n请检查路径。"
    assert error_text(error, "en") == str(error)


@pytest.mark.parametrize("way", [("--lang", "zh"), ("--lang=zh",)])
def test_the_command_line_speaks_it(way, tmp_path):
    done = run_cli("plan", "none.csv", *way, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("错误：")
    assert "没有这个文件或文件夹" in done.stderr
