"""Families that need something of yours have no defaults to run with: here is what each is given.

A way in writes its files into a folder and returns the parameters that name them.
"""

import json
import re
from contextlib import ExitStack
from functools import cache

from llm_server import by_keywords, completion, llm_server
from onnx_files import image_file, table_file, text_file

KITCHEN = ["sauce", "bread", "soup", "[Oo]nions?", "eggs", "stew", "dough", "盐", "炖", "锅", "烤", "面粉"]
SPORT = ["striker", "team", "goal", "race", "coach", "match", "球", "冠军", "纪录", "教练"]


def bring_your_own(folder):
    """An ONNX file that knows a dozen words of each label of the tiny sample."""
    text_file(folder / "words.onnx", [KITCHEN, SPORT])
    return {"path": "words.onnx"}


def image_onnx(folder):
    """An ONNX file that tells stripes from discs by their brightness."""
    image_file(folder / "pixels.onnx", ["rows", 16, 16, 3], half=0.35, bright_first=False)
    return {"path": "pixels.onnx", "scores": "logits"}


def table_onnx(folder):
    """An ONNX file that tells late loans by their amount."""
    table_file(folder / "cells.onnx", "amount", 3_500.0)
    return {"path": "cells.onnx", "scores": "logits"}


@cache
def language_model():
    """The address of a server that stays until the tests end; it knows the same words."""
    stays = ExitStack()
    server = stays.enter_context(
        llm_server(by_keywords({"kitchen": "|".join(KITCHEN), "sport": "|".join(SPORT)}, "sport"))
    )
    server.stays = stays  # Otherwise it would be closed when it is collected.
    return server


def llm_prompt(folder):
    """A server over loopback in place of a language model."""
    return {"service": language_model().base, "model": "test-1", "usd_in": 0.1, "usd_out": 0.4}


@cache
def field_finder():
    """The address of a server that finds the payer and the amount of the tiny letters."""

    def reply(body, number):
        text = body["messages"][-1]["content"]
        payer = re.findall("Ann Lee|Bob Stone|Carla Ruiz|Dan Wu|王芳|李伟", text)
        amount = re.findall(r"\$\d+|\d+元", text)
        return completion(json.dumps({"payer": payer[:1], "amount": amount[:1]}, ensure_ascii=False))

    stays = ExitStack()
    server = stays.enter_context(llm_server(reply))
    server.stays = stays
    return server


@cache
def number_reader():
    """The address of a server that says the first number of a row."""

    def reply(body, number):
        found = re.findall(r"size: (\d+)", body["messages"][-1]["content"])
        return completion(json.dumps({"value": 300 + 11 * float(found[0]) if found else 900}))

    stays = ExitStack()
    server = stays.enter_context(llm_server(reply))
    server.stays = stays
    return server


def llm_extract(folder):
    """A server over loopback that finds fields."""
    return {"service": field_finder().base, "model": "test-1", "usd_in": 0.1, "usd_out": 0.4}


def llm_score(folder):
    """A server over loopback that says numbers."""
    return {"service": number_reader().base, "model": "test-1", "usd_in": 0.1, "usd_out": 0.4}


@cache
def text_writer():
    """The address of a server that writes the texts of the tiny goods."""

    def reply(body, number):
        asked = re.findall(r"<text>(.*?)</text>", body["messages"][-1]["content"], re.DOTALL)
        thing = (asked[0].split() or ["it"])[-1] if asked else "it"
        if thing > "z":
            return completion(f"这款{thing}今天发货。请放心购买{thing}。")
        return completion(f"This {thing[:40]} ships today. Order your {thing[:40]} now.")

    stays = ExitStack()
    server = stays.enter_context(llm_server(reply))
    server.stays = stays
    return server


def llm_writer(folder):
    """A server over loopback that writes."""
    return {"service": text_writer().base, "model": "test-1", "usd_in": 0.1, "usd_out": 0.4}


def cascade(folder):
    """The floor in front of n-grams."""
    return {"stages": [{"model": "majority"}, {"model": "tfidf_linear"}]}


def ensemble(folder):
    """Return parameters of two models that need no weights."""
    return {
        "members": [{"model": "tfidf_linear"}, {"model": "mlp", "params": {"init": "random", "epochs": 2}}]
    }


def image_ensemble(folder):
    """Return parameters of two image models that need no weights."""
    return {"members": [{"model": "pixels_linear"}, {"model": "hog_linear"}]}


# Families without defaults to run with; for one task only where its name follows.
WAYS_IN = {
    "ensemble": ensemble,
    "ensemble image_classification": image_ensemble,
    "cascade": cascade,
    "bring_your_own": bring_your_own,
    "bring_your_own image_classification": image_onnx,
    "bring_your_own tabular_classification": table_onnx,
    "llm_prompt": llm_prompt,
    "llm_extract": llm_extract,
    "llm_score": llm_score,
    "llm_writer": llm_writer,
}
