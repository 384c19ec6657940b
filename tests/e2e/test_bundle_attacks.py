"""A bundle that was tampered with is refused in words, before anything of it is used."""

import json
import pickle
import shutil

import pytest

import rung
from rung.core.errors import BundleError
from rung.core.manifest import seal
from support import start_cli


@pytest.fixture
def bundle(built, tmp_path):
    return shutil.copytree(built.bundle, tmp_path / "bundle")


def edit(bundle, **changes):
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest.update(changes)
    # Whoever forges can seal again: every other check must hold without the seal.
    path.write_text(json.dumps({**manifest, "seal": seal(manifest)}))


def refused(bundle, words):
    with pytest.raises(BundleError, match=words) as caught:
        rung.load(bundle)
    assert caught.value.fix
    done = start_cli("verify", bundle)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_every_flipped_byte_is_noticed(bundle):
    for path in sorted(p for p in bundle.rglob("*") if p.is_file() and p.name != "manifest.json"):
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(BundleError, match="not the file that was packed"):
            rung.load(bundle)
        path.write_bytes(content)
    assert rung.load(bundle).selftest() == []


def test_an_edited_manifest_is_noticed(bundle):
    path = bundle / "manifest.json"
    content = path.read_text()
    for old, new in (
        ("0.95", "0.99"),
        ('"sports"', '"spurts"'),
        ("accuracy is at least", "accuracy is way above"),
    ):
        assert old in content
        path.write_text(content.replace(old, new, 1))
        refused(bundle, "its seal differs")
    path.write_text(content)
    assert rung.load(bundle)


@pytest.mark.parametrize(
    "changes",
    [{"certificate": "yes"}, {"children": {"a": 5}}, {"name": 5}, {"name": "a/b"}, {"name": "{x}"}, {"files": []},
     {"certified": "true"}, {"certified": False}, {"chosen": 3}, {"surprise": 1}],
)  # fmt: skip
def test_values_of_a_wrong_kind(bundle, changes):
    edit(bundle, **changes)
    refused(bundle, "manifest cannot be read")


def test_a_smuggled_pickle(bundle):
    (bundle / "model" / "extra.pkl").write_bytes(pickle.dumps({"a": 1}))
    refused(bundle, "of a kind that a bundle never holds")


def test_a_pickle_under_an_innocent_name(bundle):
    (bundle / "model" / "weights.safetensors").write_bytes(pickle.dumps({"a": 1}))
    refused(bundle, "not the file that was packed")
    from rung.core.files import sha256

    files = json.loads((bundle / "manifest.json").read_text())["files"]
    files["model/weights.safetensors"] = sha256(bundle / "model" / "weights.safetensors")
    edit(bundle, files=files)
    with pytest.raises(BundleError, match="cannot be loaded"):
        rung.load(bundle)


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "null", "5", '{"inputs": {"text": "a"}}', '{"answer": {}}', '{"inputs": 5, "answer": {}}', '{"inputs": {"text": "a"}, "answer": 3}',
     "[" * 100_000, "\udcff", None],
)  # fmt: skip
def test_broken_packed_examples(bundle, content):
    from rung.core.files import sha256

    files = json.loads((bundle / "manifest.json").read_text())["files"]
    path = bundle / "selftest.jsonl"
    if content is None:
        path.unlink()
        del files["selftest.jsonl"]
    else:
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
        files["selftest.jsonl"] = sha256(path)
    edit(bundle, files=files)
    with pytest.raises(BundleError, match="packed examples cannot be read"):
        rung.load(bundle).selftest()


def test_verify_says_that_packed_examples_are_broken(bundle):
    from rung.core.files import sha256

    (bundle / "selftest.jsonl").write_text("{")
    files = json.loads((bundle / "manifest.json").read_text())["files"]
    edit(bundle, files={**files, "selftest.jsonl": sha256(bundle / "selftest.jsonl")})
    done = start_cli("verify", bundle)
    assert done.returncode == 2 and "packed examples cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_added_file(bundle):
    (bundle / "model" / "extra.json").write_text("{}")
    refused(bundle, "is not in the manifest")


def test_a_missing_file(bundle):
    (bundle / "card.md").unlink()
    refused(bundle, "is missing")


def test_a_newer_format(bundle):
    edit(bundle, format=99)
    refused(bundle, "has format 99")


@pytest.mark.parametrize(
    "path", ["../secret.json", "/etc/passwd", "model/../../x.json", "C:\\x.json", "..\\x.json"]
)
def test_a_path_that_climbs_out(bundle, path):
    edit(bundle, files={**json.loads((bundle / "manifest.json").read_text())["files"], path: "0" * 64})
    refused(bundle, "climbs out")


def test_a_link_out(bundle, tmp_path):
    (tmp_path / "secret.json").write_text("{}")
    (bundle / "model" / "head.json").unlink()
    (bundle / "model" / "head.json").symlink_to(tmp_path / "secret.json")
    refused(bundle, "is a link")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1}', "null", '{"format": "1"}', "[" * 100_000])
def test_a_broken_manifest(bundle, text):
    (bundle / "manifest.json").write_text(text)
    refused(bundle, "manifest cannot be read")


def test_a_model_that_is_not_installed(bundle):
    edit(bundle, model="tfidf_liner")
    with pytest.raises(rung.RungError, match="there is no model called") as caught:
        rung.load(bundle)
    assert "tfidf_linear" in caught.value.fix


def test_not_a_bundle(tmp_path):
    refused(tmp_path / "nowhere", "no such folder")
    refused(tmp_path, "not a bundle")
