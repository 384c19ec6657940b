"""Families that need something of yours have no defaults to run with: here is what each is given.

A way in writes its files into a folder and returns the parameters that name them.
"""

from onnx_files import text_file

KITCHEN = ["sauce", "bread", "soup", "[Oo]nions?", "eggs", "stew", "dough", "盐", "炖", "锅", "烤", "面粉"]
SPORT = ["striker", "team", "goal", "race", "coach", "match", "球", "冠军", "纪录", "教练"]


def bring_your_own(folder):
    """An ONNX file that knows a dozen words of each label of the tiny sample."""
    text_file(folder / "words.onnx", [KITCHEN, SPORT])
    return {"path": "words.onnx"}


WAYS_IN = {"bring_your_own": bring_your_own}
