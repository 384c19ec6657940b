"""Every fenced block of README and docs is run or checked by a test, or stands in a list with its reason."""

import ast
import json
import re
import shlex
import tomllib
from fnmatch import fnmatch

import pytest
import yaml
from sqlalchemy import make_url

from rung.cli import COMMANDS
from rung.core.errors import SpecError
from rung.core.spec.product import parse_product
from support import ROOT

FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```[ ]*$", re.S | re.M)
PAGES = sorted([*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")])

# (pages, language) -> the test that runs these blocks. Each test names its pages; that is checked below.
RUN = {
    ("README*.md", "python"): "docs/test_pages.py::test_python_blocks_run",
    ("docs/tutorial*.md", "python"): "docs/test_pages.py::test_python_blocks_run",
    ("docs/tutorial*.md", "bash"): "docs/test_tutorial.py::test_the_tutorial_is_followed",
    ("docs/tutorial*.md", "yaml"): "docs/test_tutorial.py::test_the_tutorial_is_followed",
    ("docs/howto/add-a-model.md", "python"): "docs/test_howto.py::test_add_a_model",
    ("docs/howto/add-a-model.md", "toml"): "docs/test_howto.py::test_add_a_model",
    ("docs/howto/add-a-task.md", "python"): "docs/test_howto.py::test_add_a_task",
    ("docs/howto/add-a-task.md", "toml"): "docs/test_howto.py::test_add_a_task",
    ("docs/howto/add-a-kind.md", "python"): "docs/test_howto.py::test_add_a_kind",
    ("docs/howto/add-a-kind.md", "toml"): "docs/test_howto.py::test_add_a_kind",
    ("docs/howto/read-your-data*.md", "yaml"): "docs/test_howto.py::test_read_your_data",
    ("docs/howto/read-your-data*.md", "bash"): "docs/test_howto.py::test_read_your_data_commands_and_python",
    ("docs/howto/read-your-data*.md", "text"): "docs/test_howto.py::test_read_your_data_commands_and_python",
    ("docs/howto/read-your-data*.md", "python"): "docs/test_howto.py::test_read_your_data_commands_and_python",
    ("docs/howto/bring-your-own-model*.md", "*"): "docs/test_howto_model.py::test_scikit_learn",
    ("docs/howto/intent*.md", "bash"): "docs/test_products.py::test_outputs_are_those_of_the_commands",
    ("docs/howto/intent*.md", "text"): "docs/test_products.py::test_outputs_are_those_of_the_commands",
    ("docs/howto/intent*.md", "python"): "docs/test_products.py::test_python_blocks_run",
    ("docs/howto/intent*.md", "json"): "docs/test_products.py::test_the_request_is_answered_as_shown",
    ("docs/howto/intent*.md", "yaml"): "docs/test_products.py::test_the_product_shown_is_the_file",
    ("docs/howto/sentiment*.md", "bash"): "docs/test_products.py::test_outputs_are_those_of_the_commands",
    ("docs/howto/sentiment*.md", "text"): "docs/test_products.py::test_outputs_are_those_of_the_commands",
    ("docs/howto/sentiment*.md", "python"): "docs/test_products.py::test_python_blocks_run",
    ("docs/howto/sentiment*.md", "json"): "docs/test_products.py::test_the_request_is_answered_as_shown",
    ("docs/howto/sentiment*.md", "yaml"): "docs/test_products.py::test_the_product_shown_is_the_file",
    ("docs/howto/rules*.md", "yaml"): "docs/test_products.py::test_the_table_of_the_rules_page_says_what_rules_do",
    ("docs/howto/rules*.md", "python"): "docs/test_products.py::test_python_of_the_rules_page_prints_what_it_shows",
    ("docs/howto/rules*.md", "text"): "docs/test_products.py::test_python_of_the_rules_page_prints_what_it_shows",
    ("docs/howto/track*.md", "bash"): "tracking/test_track_page.py::test_the_page_is_followed",
    ("docs/howto/track*.md", "python"): "tracking/test_track_page.py::test_the_page_is_followed",
    ("docs/howto/serve-in-production*.md", "bash"): "serving/http/test_serve_page.py::test_the_page_is_followed",
    ("docs/howto/serve-in-production*.md", "yaml"): "serving/http/test_serve_page.py::test_the_page_is_followed",
    ("docs/howto/check-your-data*.md", "*"): "docs/test_howto_data.py::test_the_page_is_followed",
    ("docs/howto/clean-your-data*.md", "yaml"): "docs/test_clean_howto.py::test_specs_parse_and_both_pages_show_the_same",
    ("docs/howto/clean-your-data*.md", "bash"): "docs/test_clean_howto.py::test_commands_and_python_run",
    ("docs/howto/clean-your-data*.md", "python"): "docs/test_clean_howto.py::test_commands_and_python_run",
    ("docs/howto/clean-your-data*.md", "text"): "docs/test_clean_howto.py::test_commands_and_python_run",
    ("docs/howto/compress*.md", "yaml"): "e2e/test_compress.py::test_the_section_that_the_page_shows_asks_for_what_its_command_asks_for",
    ("docs/howto/image-examples*.md", "*"): "docs/test_image_examples_page.py::test_the_examples_build_on_a_part_of_their_data",
    ("docs/howto/drift*.md", "*"): "docs/test_drift_page.py::test_the_page_is_followed",
    ("docs/howto/label-your-data*.md", "*"): "docs/test_howto_label.py::test_it_is_followed",
    ("docs/howto/improve*.md", "*"): "docs/test_howto_improve.py::test_it_is_followed",
    ("docs/howto/tables*.md", "yaml"): "docs/test_tables_page.py::test_the_costs_of_the_page_are_a_spec",
    ("docs/howto/tables*.md", "python"): "docs/test_tables_page.py::test_the_columns_of_a_data_frame_are_answered",
    ("docs/howto/language-models*.md", "bash"): "docs/test_language_models_page.py::test_the_page_is_followed",
    ("docs/howto/language-models*.md", "python"): "docs/test_language_models_page.py::test_the_page_is_followed",
    ("docs/howto/language-models*.md", "yaml"): "docs/test_language_models_page.py::test_both_pages_show_the_same_and_the_spec_is_valid",
    ("docs/howto/ticket-router*.md", "*"): "docs/test_llm_examples.py::test_the_page_is_followed",
    ("docs/howto/distilled-classifier*.md", "*"): "docs/test_llm_examples.py::test_the_page_is_followed",
    ("docs/howto/images*.md", "bash"): "docs/test_images_page.py::test_the_page_is_followed",
    ("docs/howto/images*.md", "python"): "docs/test_images_page.py::test_the_page_is_followed",
    ("docs/howto/images*.md", "text"): "docs/test_images_page.py::test_both_pages_say_the_same",
    ("docs/howto/images*.md", "yaml"): "docs/test_images_page.py::test_the_product_shown_is_the_file",
    ("docs/howto/detection*.md", "yaml"): "docs/test_detection_page.py::test_the_product_shown_is_the_file",
    ("docs/howto/recommend*.md", "yaml"): "docs/test_recommend_page.py::test_the_product_shown_is_the_file",
    ("docs/howto/recommend*.md", "json"): "docs/test_recommend_page.py::test_the_feedback_shown_is_read",
    ("docs/howto/ads*.md", "yaml"): "docs/test_ads_page.py::test_both_pages_show_the_file",
    ("docs/howto/ads*.md", "python"): "docs/test_ads_page.py::test_the_block_is_answered",
    ("docs/howto/news-by-title*.md", "yaml"): "docs/test_news_by_title_page.py::test_both_pages_show_the_file",
    ("docs/howto/news-by-title*.md", "json"): "docs/test_news_by_title_page.py::test_the_request_of_the_page_suggests_articles_of_today",
    ("docs/howto/reading*.md", "yaml"): "docs/test_reading_page.py::test_the_product_shown_is_the_file",
    ("docs/howto/climb-to-a-network*.md", "yaml"): "docs/test_climb_page.py::test_the_products_shown_are_the_files",
    ("docs/howto/climb-to-a-network*.md", "text"): "docs/test_climb_page.py::test_both_pages_show_the_same",
    ("docs/howto/extract-fields*.md", "yaml"): "docs/test_extract_fields_page.py::test_the_product_shown_is_the_file",
    ("docs/howto/write-text*.md", "yaml"): "docs/test_write_text_page.py::test_the_product_shown_is_the_file_and_the_others_are_read",
    ("docs/howto/tune-a-language-model*.md", "*"): "docs/test_tune_page.py::test_the_ladder_is_one_and_the_commands_name_what_is_there",
    ("docs/howto/write-text*.md", "json"): "docs/test_write_text_page.py::test_request_and_answer_shown_are_such",
    ("docs/howto/extract-fields*.md", "json"): "docs/test_extract_fields_page.py::test_the_answer_shown_is_one_of_its_text",
    ("docs/howto/several-labels*.md", "bash"): "docs/test_several_labels_page.py::test_the_products_of_the_page_clear_their_bars",
    ("docs/howto/several-labels*.md", "yaml"): "docs/test_several_labels_page.py::test_the_page_shows_the_example_in_both_languages",
    ("docs/howto/several-labels*.md", "json"): "docs/test_several_labels_page.py::test_the_page_shows_the_example_in_both_languages",
    ("docs/howto/train-a-network*.md", "*"): "docs/test_train_page.py::test_the_page_is_followed",
    ("docs/howto/scale-out*.md", "*"): "docs/test_scale_out_page.py::test_the_page_is_followed",
    ("docs/howto/export*.md", "js"): "docs/test_export_page.py::test_the_page_is_followed",
    ("docs/howto/export*.md", "python"): "docs/test_export_page.py::test_the_page_is_followed",
    ("docs/reference/*.md", "*"): "docs/test_pages.py::test_generated_pages_are_fresh",
}  # fmt: skip

# (pages, how the block begins) -> why no test runs it. Its lines are checked all the same, by `checks` below.
ONLY_CHECKED = {
    ("README.md", "make demo"): "the two commands of the repository: CI runs `make check test`; the demo's build is run "
    "by tests/e2e on the same data",
    ("README*.md", ".venv/bin/rung serve"): "a server that stays; its request is answered in "
    "test_the_request_of_the_readme_is_answered",
    ("README*.md", "curl -s localhost:8000"): "the request is answered in test_the_request_of_the_readme_is_answered",
    ("README*.md", "rung plan tickets.csv"): "run line by line in test_readme_in_order, and in a fresh shell in test_first_hour",
    ("README*.md", "rung drift product.yaml"): "the second terminal of the same list: the same tests",
    ("README.md", "model "): "the output of make demo: figures of one machine",
    ("README.zh-CN.md", "模型 "): "the output of make demo: figures of one machine",
    ("README.zh-CN.md", "export RUNG_LANG=zh"): "make demo and make test, in Chinese: as in README.md",
    ("docs/howto/rules*.md", "Error: "): "what wrong rules are told: both texts are tested, in tests/e2e/test_known_answers.py "
    "and test_the_mistake_the_rules_page_shows",
    ("docs/howto/serve-in-production*.md", "curl localhost:8000/v1/models/photos"): "an upload to a model of images: "
    "tests/serving/http/test_uploads.py sends such forms",
    ("docs/howto/language-models*.md", "pip install"): "packages of an index and a download: tests/runtime/test_llm_probe.py asks that model",
    ("docs/howto/language-models*.md", "rung distill"): "tests/e2e/test_distill.py distils from a server over loopback and from a bundle",
    ("docs/howto/language-models*.md", "rung llm serve"): "a server that stays: tests/runtime/test_llm_probe.py starts it",
    ("docs/howto/images*.md", "rung serve"): "a server that stays, and an upload: tests/e2e/test_image_product.py sends it",
    ("docs/howto/recommend*.md", "python examples/fetch.py"): "a build of minutes: tests/e2e/test_recommendation_product.py builds a smaller one",
    ("docs/howto/recommend*.md", "rung serve"): "tests/e2e/test_recommendation_product.py serves it and sends this request",
    ("docs/howto/recommend*.md", "curl localhost:8000/v1/feedback"): "tests/e2e/test_recommendation_loop.py sends such feedback",
    ("docs/howto/recommend*.md", "rung replay"): "tests/e2e/test_recommendation_loop.py replays a bundle",
    ("docs/howto/ads*.md", "python examples/fetch.py"): "a build of minutes: tests/docs/test_ads_page.py builds a smaller one",
    ("docs/howto/news-by-title*.md", "python examples/fetch.py"): "a build of minutes: tests/docs/test_news_by_title_page.py builds a smaller one",
    ("docs/howto/detection*.md", "rung weights fetch"): "a build of minutes: tests/e2e/test_detection_product.py builds a smaller one",
    ("docs/howto/write-text*.md", "python examples/fetch.py"): "a build of minutes: tests/e2e/test_writing_product.py builds smaller ones",
    ("docs/howto/write-text*.md", "rung compare"): "tests/e2e/test_writing_product.py writes such pairs, tests/annotation/test_text_pairs.py judges them",
    ("docs/howto/write-text*.md", "curl -sN localhost:8000"): "tests/e2e/test_writing_product.py serves one and streams such a request",
    ("docs/howto/extract-fields*.md", "python examples/fetch.py"): "a build of a minute: tests/e2e/test_extraction_product.py builds smaller ones",
    ("docs/howto/extract-fields*.md", "curl -s localhost:8000"): "tests/e2e/test_extraction_product.py serves one and sends such a request",
    ("docs/howto/detection*.md", "rung predict"): "tests/e2e/test_detection_product.py asks a bundle about a folder and serves it",
    ("docs/howto/reading*.md", "rung weights fetch"): "a build of minutes: tests/e2e/test_reading_product.py builds smaller ones",
    ("docs/howto/reading*.md", "rung predict"): "tests/e2e/test_reading_product.py asks a bundle about a folder and serves it",
    ("docs/howto/tables*.md", "python examples/fetch.py"): "a build of minutes: tests/e2e/test_table_products.py builds such tables",
    ("docs/howto/climb-to-a-network*.md", "make demo-learn"): "a build of half an hour: tests/docs/test_climb_page.py builds the first product",
    ("docs/howto/compress*.md", "python examples/fetch.py news"): "a build of the example: tests/e2e/test_compress.py compresses a smaller one",
    ("docs/howto/export*.md", "python examples/fetch.py news"): "builds of the examples: tests/docs/test_export_page.py runs the exports on a smaller one",
    ("docs/howto/export*.md", "python examples/fetch.py digits"): "tests/browser/test_drawing_in_browser.py draws on the page of a smaller product",
    ("docs/howto/export*.md", "rung export runs/news-001 --to wheel"): "tests/docs/test_export_page.py runs it; pip is run by the export itself",
    ("docs/howto/export*.md", "rung export runs/news-001 --to docker"): "tests/exporting/test_docker.py exports, lints and runs the server; no image is built",
    ("docs/howto/export*.md", "python examples/fetch.py churn"): "tests/exporting/test_c.py compiles and runs such files",
    ("docs/index*.md", "rung plan tickets.csv"): "the first three commands of the tutorial, which is followed",
}  # fmt: skip

# Lines of shell that are no command of ours, and what is checked of them.
OTHER_COMMANDS = {
    r"python examples/stand_in\.py (\S+) --port \d+": lambda place: place.startswith("examples/"),
    r"make ([\w-]+)": lambda target: re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M),
    r"python examples/fetch\.py (\w+)": lambda name: (ROOT / "examples" / name).is_dir(),
    r"export RUNG_JOURNAL='(\S+)'": lambda address: (
        make_url(address).database
    ),  # followed by test_shared_servers.py
    r"git clone .*&& cd rung": None,  # the repository, which has no public address yet
    r"(?:\S+/)?pip install (.*)": lambda names: names,  # an index, not ours to test; extras are checked below
    r"docker build .*": None,  # where no daemon runs; the file is linted
    r"cc -std=c99 .*": None,  # as tests/exporting/test_c.py calls it
    r"export RUNG_LANG=zh": None,
    r"export RUNG_JOURNAL='postgresql:.*'": None,  # tests/serving/http/test_shared_servers.py starts one
    r"mlflow ui .*|tensorboard --logdir .*": None,  # servers of other projects that stay
    r"python3 -m venv .*|(?:\.venv-keras/bin/)?python train_\w+\.py": None,  # run by test_howto_model
    r'export \w+="\$\(rung (keys) .*\)"': lambda name: name in COMMANDS,
    r"curl .*": lambda *_: True,  # its body is parsed below
}


def blocks():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text[: match.start()].count("\n") + 1
            name = page.relative_to(ROOT).as_posix()
            yield name, line, match[1].split(" ")[0], match[2]


BLOCKS = list(blocks())
IDS = [f"{name}:{line}" for name, line, _, _ in BLOCKS]


def homes(name, language, text):
    """Return the entries of both lists that a block falls under."""
    run = [key for key in RUN if fnmatch(name, key[0]) and key[1] in {language, "*"}]
    begun = [key for key in ONLY_CHECKED if fnmatch(name, key[0]) and text.startswith(key[1])]
    return [] if begun else run, sorted(begun, key=lambda key: -len(key[1]))[:1]


@pytest.mark.parametrize("name,line,language,text", BLOCKS, ids=IDS)
def test_a_test_runs_it_or_a_reason_says_why_not(name, line, language, text):
    assert language, "a block says its language"
    run, excused = homes(name, language, text)
    assert len(run) + len(excused) == 1, f"{name}:{line}: name the test that runs it, or why none does"


def test_no_entry_is_unused_and_each_names_a_test_that_reads_the_page():
    used = [homes(name, language, text) for name, _, language, text in BLOCKS]
    assert set(RUN) == {key for run, _ in used for key in run}
    assert set(ONLY_CHECKED) == {key for _, excused in used for key in excused}
    for (pages, _), test in RUN.items():
        path, _, function = test.partition("::")
        source = (ROOT / "tests" / path).read_text(encoding="utf-8")
        defined = {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
        assert function in defined, test
        if "generated" not in function:  # those are held against the code that writes them
            for page in {name for name, *_ in BLOCKS if fnmatch(name, pages)}:
                assert page.rpartition("/")[2] in source, f"{test} does not name {page}"


@pytest.mark.parametrize("name,line,language,text", BLOCKS, ids=IDS)
def test_what_it_shows_is_well_formed(name, line, language, text):
    """Python compiles, YAML is a spec or a part of one, JSON and TOML parse, each line of shell is a command."""
    if language == "python":
        compile(text, name, "exec")
    elif language == "json":
        json.loads(text)
    elif language == "toml":
        tomllib.loads(text)
    elif language == "yaml":
        parts = yaml.safe_load(text)
        whole = {
            "task": "text_classification",
            "data": {"path": "x"},
            "bar": {"metric": "accuracy", "at_least": 0.9},
        }
        try:
            parse_product(yaml.safe_dump(whole | parts, allow_unicode=True))
        except SpecError as error:
            raise AssertionError(str(error)) from None
    elif language == "bash":
        for command in filter(None, (part.strip() for part in text.replace("\\\n", " ").splitlines())):
            check_command(command)
    else:
        # JavaScript is run by Node.js in the page's own test.
        assert language in {"text", "js"}, f"{name}:{line}: nothing checks '{language}'"


def check_command(line):
    words = shlex.split(line, comments=True)
    if words[0].rpartition("/")[2] == "rung":
        assert words[1] in COMMANDS  # its options are parsed by test_pages.test_commands_parse
        return
    plain = line.split("  #")[0].split("     #")[0].strip()
    for pattern, check in OTHER_COMMANDS.items():
        match = re.fullmatch(pattern, plain)
        if match:
            assert check is None or check(*match.groups()), line
            break
    else:
        raise AssertionError(f"nothing is known of: {line}")
    for extra in re.findall(r"(?:rung|\.)\[([\w,]+)\]", line):
        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert set(extra.split(",")) <= set(known), line
    if words[0] == "curl" and "-d" in words:
        json.loads(words[words.index("-d") + 1])
