"""Encodings are told apart on real sentences, long and short, and what does not fit is left out row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from rung.core.errors import DataError
from rung.data.sources.encoding import Encoding, decode, detect
from rung.data.sources.files import File
from rung.data.sources.read import open_source, read_rows

CHINESE = [
    "今天天气很好,我们去公园散步。",
    "这家饭店的菜非常好吃,服务也很热情。",
    "股市今天大幅下跌,投资者损失惨重。",
    "新款手机发布会将于下周在北京举行。",
    "国家队在决赛中以二比一战胜了对手。",
]
TRADITIONAL = ["這個國家的經濟發展很快", "請問圖書館幾點關門", "醫生說他的身體沒有問題"]
GERMAN = [
    "Die größten Städte müssen ihre Straßen räumen",
    "Grüße aus München, es war schön",
    "Füße, süß, heiß, weiß",
]
FRENCH = ["L’été dernier, nous étions à la plage", "Où êtes-vous allés ? À côté", "Ça coûte 30 €, déjà payé"]
PLAIN = ["The weather is fine today", "Markets fell sharply"]


def csv(texts: list[str], times: int = 1) -> str:
    return "text;label\n" + "".join(
        f"{text};{'甲' if ord(text[0]) > 0x3000 else 'é'}\n" for text in texts * times
    )


@pytest.mark.parametrize("times", [1, 2_000])
@pytest.mark.parametrize(
    ("codec", "found", "texts"),
    [
        ("utf-8", "utf-8", CHINESE),
        ("utf-8", "utf-8", FRENCH),
        ("utf-8-sig", "utf-8-sig", CHINESE),
        ("utf-16", "utf-16", CHINESE),
        ("utf-16-le", "utf-16-le", CHINESE),
        ("utf-16-be", "utf-16-be", CHINESE),
        ("utf-16-le", "utf-16-le", PLAIN),
        ("utf-16-be", "utf-16-be", PLAIN),
        ("utf-32", "utf-32", FRENCH),
        ("gb18030", "gb18030", CHINESE),
        ("gb2312", "gb18030", CHINESE),
        ("gbk", "gb18030", TRADITIONAL),
        ("cp1252", "cp1252", GERMAN),
        ("cp1252", "cp1252", FRENCH),
    ],
)
def test_detected_and_read_back(tmp_path: Path, codec: str, found: str, texts: list[str], times: int) -> None:
    path = tmp_path / "a.csv"
    content = csv(texts, times)
    path.write_bytes(content.replace("é", "e" if codec in ("gb2312", "gbk") else "é").encode(codec))
    assert detect(File(path, path.name)).name == found
    read = [(row.values or {})["text"] for row in read_rows(open_source(path))]
    assert read == texts * times


def test_one_short_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\n服务很好,正\n".encode("gb18030"))
    assert detect(File(path, path.name)) == Encoding("gb18030")


@pytest.mark.parametrize(
    ("most", "other", "name"),
    [("utf-8", "gb18030", "utf-8"), ("gb18030", "utf-8", "gb18030"), ("utf-8-sig", "gb18030", "utf-8")],
)
def test_mixed_encodings_are_left_out_row_by_row(tmp_path: Path, most: str, other: str, name: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(csv(CHINESE).encode(most) + "坏的一行文字;甲\n".encode(other) + b"plain;x\n")
    assert detect(File(path, path.name)) == Encoding(name, mixed=True)
    rows = list(read_rows(open_source(path)))
    assert [row.number for row in rows if row.problem] == [6]
    assert rows[5].problem == f"undecodable: not {name} like most of the file"
    assert [(row.values or {}).get("text") for row in rows] == [*CHINESE, None, "plain"]


def test_a_byte_that_windows_1252_does_not_have(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(csv(GERMAN).encode("cp1252") + b"x \x81 y;b\n")
    assert [row.problem for row in read_rows(open_source(path))][
        -1
    ] == "undecodable: not cp1252 like most of the file"


def test_a_stray_zero_byte_is_not_utf16(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"text;label\none\0;x\n" + csv(FRENCH).encode())
    assert detect(File(path, path.name)) == Encoding("utf-8")


@pytest.mark.parametrize(
    "data", [bytes(range(256)) * 8, b"\x89PNG\r\n\x1a\n" + bytes(64), b"PK\x03\x04rest", b"\x1f\x8b\x08\x00x"]
)
def test_binary_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(DataError, match="not a text file"):
        detect(File(path, path.name))


def test_no_encoding_fits(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,label\n" + bytes([0xFF, 0x81, 0xFE, 0x8D]) * 20 + b"\n")
    with pytest.raises(DataError, match="no character encoding fits"):
        detect(File(path, path.name))


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030"])
def test_documents(codec: str) -> None:
    text = "\n".join(CHINESE)
    assert decode(text.encode(codec)) == text


def test_documents_in_western_encodings_and_none() -> None:
    assert decode(GERMAN[0].encode("cp1252")) == GERMAN[0]
    assert decode(bytes([0xFF, 0x81, 0xFE, 0x8D] * 9)) is None
