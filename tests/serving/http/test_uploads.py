"""Uploads: forms of files and values, base64 in JSON; nothing that a caller names is opened; every hostile form is a 4xx."""

import base64
import builtins
import hashlib
import io
import os
import pathlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.core.errors import InputError
from rung.serving.http.multipart import parse_multipart
from small_models import Answering, small

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
URL = "/v1/models/small/predict"


def digest(data):
    return hashlib.sha256(data).hexdigest()[:12]


def told(row):
    """Answer with what came: the hash and name of a blob, the value of anything else."""
    return " ".join(f"{v.sha256[:12]}:{v.name}" if hasattr(v, "sha256") else repr(v) for v in row.values())


@pytest.fixture
def files(opened, tmp_path):
    with opened(keys=False, predictors=[small(tmp_path, Answering(told), file="file")], rows=3) as server:
        yield server.client


@pytest.fixture
def mixed(opened, tmp_path):
    model = small(tmp_path, Answering(told), file="file", note="text", size="number", tags="list")
    with opened(keys=False, predictors=[model]) as server:
        yield server.client


def answers(reply):
    assert reply.status_code == 200, reply.text
    return [row["answer"] for row in reply.json()["predictions"]]


def test_a_file_is_uploaded_and_a_repeated_part_is_a_row_each(files):
    assert answers(files.post(URL, files={"file": ("a.png", PNG)})) == [f"{digest(PNG)}:a.png"]
    many = [("file", ("a/b.png", PNG)), ("file", ("c\\d.png", b"x")), ("file", ("公司 🙂.png", b"y"))]
    assert answers(files.post(URL, files=many)) == [
        f"{digest(PNG)}:b.png", f"{digest(b'x')}:d.png", f"{digest(b'y')}:公司 🙂.png"
    ]  # fmt: skip
    assert "id" in files.post(URL, files={"file": PNG}).json()["predictions"][0]


def test_an_explanation_and_a_version_are_asked_by_a_form(files):
    for url in ("/v1/models/small/explain", "/v1/models/small/versions/v1/predict"):
        row = files.post(url, files={"file": PNG}).json()["predictions"][0]
        assert row["answer"].startswith(digest(PNG))
    asked = files.post(
        URL, files={"file": PNG}, data={"explain": "true", "options.scores": "1", "subject": "ann"}
    )
    assert asked.json()["predictions"][0]["reasons"] == []


def test_values_stand_beside_files(mixed):
    data = {"note": "eins\r\nzwei", "size": "2.5", "tags": '["a", "b"]'}
    assert answers(mixed.post(URL, data=data, files={"file": ("f", PNG)})) == [
        f"{digest(PNG)}:f 'eins\\r\\nzwei' 2.5 ['a', 'b']"
    ]
    base = base64.b64encode(PNG).decode()
    as_text = mixed.post(URL, data=data, files={"file": (None, base)})
    assert answers(as_text)[0].startswith(digest(PNG))
    row = {**data, "size": 2.5, "tags": ["a", "b"], "file": {"base64": base, "name": "f"}}
    assert (
        answers(mixed.post(URL, json={"inputs": row}))[0]
        == f"{digest(PNG)}:f 'eins\\r\\nzwei' 2.5 ['a', 'b']"
    )
    twice = {"note": ["a", "b"], "size": ["1", "2"], "tags": ["[]", "[]"]}
    assert len(answers(mixed.post(URL, data=twice, files=[("file", PNG), ("file", PNG)]))) == 2


def test_json_holds_media_as_base64_a_data_uri_or_with_a_name(files):
    text = base64.b64encode(PNG).decode()
    rows = [
        {"file": text},
        {"file": f"data:image/png;base64,{text}"},
        {"file": {"base64": text, "name": "a.png"}},
    ]
    assert answers(files.post(URL, json={"inputs": rows})) == [
        f"{digest(PNG)}:",
        f"{digest(PNG)}:",
        f"{digest(PNG)}:a.png",
    ]


@pytest.mark.parametrize(
    "named",
    ["/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/x.png", "https://example.com/a.png", "..\\..\\etc\\passwd",
     "\\\\host\\share\\a.png", "~/.ssh/id_rsa", "data:text/plain,/etc/passwd", {"path": "/etc/passwd"},
     {"name": "/etc/passwd"}, {"file": "/etc/passwd"}, {"sha256": "0" * 64, "size": 1}, ["/etc/passwd"], 7],
)  # fmt: skip
def test_nothing_that_a_caller_names_is_opened(files, named, monkeypatch):
    seen = []

    def watch(owner, name):
        true = getattr(owner, name)

        def watched(path, *args, **kwargs):
            if "passwd" in str(path) or "id_rsa" in str(path) or "share" in str(path):
                seen.append(path)
            return true(path, *args, **kwargs)

        monkeypatch.setattr(owner, name, watched)

    watch(builtins, "open")
    watch(io, "open")
    watch(os, "open")
    watch(os, "stat")
    watch(pathlib.Path, "read_bytes")
    forms = [files.post(URL, json={"inputs": {"file": named}})]
    if isinstance(named, str):
        forms.append(files.post(URL, files={"file": (None, named)}))
    for reply in forms:
        assert reply.status_code == 422 and set(reply.json()) == {"problem", "where", "fix"}, reply.text
    assert seen == []
    # As the name of a file it is a label alone.
    assert files.post(URL, files={"file": (str(named), PNG)}).status_code == 200 and seen == []


def test_too_much_is_said(files, monkeypatch):
    from rung.modalities.documents.kind import FileKind

    monkeypatch.setattr(FileKind, "max_bytes", 100)
    for reply in (
        files.post(URL, files={"file": PNG}),
        files.post(URL, json={"inputs": {"file": base64.b64encode(PNG).decode()}}),
    ):
        assert reply.status_code == 422 and "more than 100 bytes" in reply.json()["problem"]
    rows = files.post(URL, files=[("file", b"a")] * 4)
    assert rows.status_code == 422 and rows.json()["problem"] == "4 rows are too many"
    parts = files.post(URL, files=[("file", b"a")] * 40)
    assert parts.status_code == 422 and "more than 7 parts" in parts.json()["problem"]


def test_what_a_form_lacks_or_repeats_is_said(mixed, files):
    data = {"note": "a", "size": "1", "tags": "[]"}
    uneven = mixed.post(URL, data=data, files=[("file", PNG), ("file", PNG)])
    assert (
        uneven.status_code == 422
        and uneven.json()["problem"] == "the input 'file' has 2 parts and 'note' has 1"
    )
    missing = mixed.post(URL, data={**data, "notes": "a"}, files={"file": PNG})
    assert missing.status_code == 422 and "Did you mean 'note'" in missing.json()["fix"]
    for body, problem in (
        ({"subject": ["a", "b"]}, "the option 'subject' is given twice"),
        ({"scores": "perhaps"}, "the option 'scores' is neither true nor false"),
        ({"subject": "x" * 201}, "the subject has 201 characters"),
        ({}, "the input 'file' is missing"),
    ):
        part = {"file": PNG} if body else {"options.scores": (None, "1")}
        reply = files.post(URL, data=body, files=part)
        assert reply.status_code == 422 and reply.json()["problem"] == problem
    bad = mixed.post(URL, data={**data, "tags": "[NaN]"}, files={"file": PNG})
    assert bad.status_code == 422 and bad.json()["problem"] == "'tags' is not JSON"
    as_file = mixed.post(URL, data={"size": "1", "tags": "[]"}, files={"file": PNG, "note": ("n.txt", b"a")})
    assert as_file.status_code == 422 and as_file.json()["problem"] == "'note' is a text, not a file"
    no_utf8 = mixed.post(URL, files={"file": PNG, "note": (None, b"\xff\xfe")})
    assert no_utf8.status_code == 422 and "UTF-8" in no_utf8.json()["problem"]
    empty = files.post(URL, files={"file": ("", b"")})
    assert "nothing in file" in empty.json()["predictions"][0]["error"], "no file was chosen"


PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n'
HOSTILE = {
    "no boundary": ("multipart/form-data", PART + b"--b--"),
    "another boundary": ("multipart/form-data; boundary=c", PART + b"--b--"),
    "boundary too long": ("multipart/form-data; boundary=" + "b" * 71, PART + b"--b--"),
    "two boundaries": ("multipart/form-data; boundary=b; boundary=c", PART + b"--b--"),
    "another multipart": ("multipart/mixed; boundary=b", PART + b"--b--"),
    "nothing": ("multipart/form-data; boundary=b", b""),
    "no parts": ("multipart/form-data; boundary=b", b"--b--\r\n"),
    "cut off": ("multipart/form-data; boundary=b", PART),
    "cut off in a header": ("multipart/form-data; boundary=b", PART + b"--b\r\nContent-Dispo"),
    "cut off in content": ("multipart/form-data; boundary=b", PART[:-3]),
    "boundary in content": ("multipart/form-data; boundary=b", PART + b"--bx\r\n" + PART + b"--b--"),
    "nested": ("multipart/form-data; boundary=b", PART.replace(b"\r\n\r\n", b"\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n") + b"--b--"),
    "huge header": ("multipart/form-data; boundary=b", PART.replace(b'"a"', b'"' + b"a" * 9_000 + b'"') + b"--b--"),
    "many headers": ("multipart/form-data; boundary=b", PART.replace(b"\r\n\r\n", b"".join(b"\r\nX-%d: a" % n for n in range(20)) + b"\r\n\r\n") + b"--b--"),
    "no disposition": ("multipart/form-data; boundary=b", b"--b\r\nX: a\r\n\r\nx\r\n--b--"),
    "no headers": ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--"),
    "two names": ("multipart/form-data; boundary=b", PART.replace(b'name="file"', b'name="file"; name="x"', 1) + b"--b--"),
    "two dispositions": ("multipart/form-data; boundary=b", PART.replace(b"\r\n\r\n", b'\r\ncontent-disposition: form-data; name="x"\r\n\r\n') + b"--b--"),
    "nameless": ("multipart/form-data; boundary=b", PART.replace(b'"file"', b'""') + b"--b--"),
    "attachment": ("multipart/form-data; boundary=b", PART.replace(b"form-data", b"attachment") + b"--b--"),
    "encoded": ("multipart/form-data; boundary=b", PART.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n") + b"--b--"),
    "folded": ("multipart/form-data; boundary=b", PART.replace(b"; filename", b";\r\n filename") + b"--b--"),
    "null": ("multipart/form-data; boundary=b", PART.replace(b'"a"', b'"a\x00"') + b"--b--"),
    "not utf-8": ("multipart/form-data; boundary=b", PART.replace(b'"a"', b'"\xff"') + b"--b--"),
    "unquoted": ("multipart/form-data; boundary=b", PART.replace(b'"a"', b'"a') + b"--b--"),
    "line feeds": ("multipart/form-data; boundary=b", (PART + b"--b--").replace(b"\r\n", b"\n")),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_forms(files, name):
    content_type, body = HOSTILE[name]
    reply = files.post(URL, content=body, headers={"Content-Type": content_type})
    assert 400 <= reply.status_code < 500 and set(reply.json()) == {"problem", "where", "fix"}, reply.text


def test_a_form_as_it_may_be(files):
    for content_type, body in (
        ("multipart/form-data; boundary=b", PART + b"--b--"),
        ('Multipart/Form-Data; charset=utf-8; boundary="b"', b"\r\n" + PART + b"--b--\r\nafterwards"),
        ("multipart/form-data; boundary=b;", PART.replace(b"--b\r\n", b"--b \t\r\n") + b"--b--"),
        ("multipart/form-data; boundary=b", PART.replace(b'"a"', b"a") + b"--b--\r\n"),
        ("multipart/form-data; boundary=b", PART.replace(b'filename="a"', b"filename*=UTF-8''%E5%85%AC.png") + b"--b--"),
    ):  # fmt: skip
        reply = files.post(URL, content=body, headers={"Content-Type": content_type})
        assert answers(reply)[0].startswith(digest(b"x")), reply.text


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=200),
    st.lists(st.sampled_from([b"--b", b"\r\n", b"--", PART, b'"', b";", b": "]), max_size=12),
)
def test_any_bytes_are_parts_or_an_error(noise, pieces):
    body = b"".join(pieces)
    for text in (body, body + noise, noise + body, PART + noise + b"\r\n--b--"):
        try:
            parts = parse_multipart("multipart/form-data; boundary=b", text, 20)
        except InputError:
            continue
        assert all(part.name for part in parts)
