"""Language models trained from scratch: the graph that hands its memory on says what the module says; a stopped fit goes on as it would have."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rung.core.errors import BundleError, RungError  # noqa: E402
from rung.core.model import FitContext  # noqa: E402
from rung.core.types import Examples  # noqa: E402
from rung.modalities.text.decoding import LanguageModel  # noqa: E402
from rung.modalities.text.network_language import Memory, NetworkLanguage  # noqa: E402
from rung.modalities.text.pair_language import PairNetwork  # noqa: E402
from rung.modalities.text.token_units import TokenUnits  # noqa: E402
from rung.models.lstm_writer import LstmWriter, LstmWriterParams  # noqa: E402
from rung.models.seq2seq_writer import Seq2seqWriter, Seq2seqWriterParams  # noqa: E402
from rung.models.transformer_writer import TransformerWriter, TransformerWriterParams  # noqa: E402
from rung.testing import tiny_examples  # noqa: E402
from rung.training.torch.language_networks import LanguageShape, PairLanguage, make_language  # noqa: E402
from rung.training.torch.language_onnx import write_language  # noqa: E402
from rung.training.torch.pair_onnx import write_pair  # noqa: E402

_, GOODS = tiny_examples("text_generation")
UNITS = TokenUnits.of_characters(["abcdefgh ", "明月松間照"], 100)
SMALL = {"width": 16, "hidden": 32, "epochs": 3, "patience": 0, "most_units": 48, "heads": 2}


def network(architecture, most=24):
    torch.manual_seed(1)
    module = make_language(architecture, LanguageShape(len(UNITS), 16, 32, 2, 2, most, 0.0)).eval()
    return module, NetworkLanguage(UNITS, *write_language(module))


@pytest.mark.parametrize("architecture", ["lstm", "transformer"])
def test_reading_one_by_one_is_reading_at_once(architecture):
    module, language = network(architecture)
    state = language.begin("abc 明月")
    ids = [1, *UNITS.encode("abc 明月"), 2]
    for unit in UNITS.encode("de 松h"):
        with torch.no_grad():
            expected = module(torch.as_tensor([ids]))[0, -1].softmax(0).numpy()
        assert np.allclose(language.chances(state), expected, atol=1e-5)
        state, ids = language.after(state, unit), [*ids, unit]
    bits, chars = language.bits("abc", "de 松h")
    plain, _ = LanguageModel.bits(language, "abc", "de 松h")
    assert bits == pytest.approx(plain, rel=1e-4) and chars == 5


@pytest.mark.parametrize("architecture", ["lstm", "transformer"])
def test_what_is_longer_than_the_memory_is_read_on(architecture):
    _, language = network(architecture, 16)
    state = language.begin("abcdefgh " * 500)
    for unit in UNITS.encode("abcdefgh " * 8):
        state = language.after(state, unit)
        assert language.chances(state).sum() == pytest.approx(1.0) and len(state.ids) <= 16
    assert language.bits("a", "abcdefgh " * 9)[0] > 0


def pair(layers=2):
    torch.manual_seed(1)
    module = PairLanguage(LanguageShape(len(UNITS), 16, 32, layers, 2, 64, 0.0)).eval()
    return module, PairNetwork(UNITS, *write_pair(module))


def test_a_pair_of_graphs_says_what_the_module_says(tmp_path):
    module, language = pair()
    language.save(tmp_path)
    language = PairNetwork.load(tmp_path)
    prompts, texts = ["abc 明月", "", "松"], ["de 松h", "a", "abcdefgh"]
    read = [torch.as_tensor([1, *UNITS.encode(prompt)]) for prompt in prompts]
    said = [torch.as_tensor([2, *UNITS.encode(text)]) for text in texts]
    padded = [torch.nn.utils.rnn.pad_sequence(rows, batch_first=True) for rows in (read, said)]
    with torch.no_grad():
        # Rows of a batch are not changed by what fills them up.
        together = module(padded[0], torch.as_tensor([len(row) for row in read]), padded[1])
    for place, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
        state = language.begin(prompt)
        for step, unit in enumerate([*UNITS.encode(text), None]):
            assert np.allclose(language.chances(state), together[place, step].softmax(0).numpy(), atol=1e-5)
            state = language.after(state, unit) if unit is not None else state
        assert language.bits(prompt, text)[0] == pytest.approx(
            LanguageModel.bits(language, prompt, text)[0], rel=1e-4
        )
    with pytest.raises(BundleError, match="does not fit its decoder"):
        PairNetwork(UNITS, language.content, language.memory, pair(1)[1].encoder)


def test_a_pair_attends_to_the_prompt():
    """It learns to say a prompt again, which a model without a memory of its parts cannot from so few rows."""
    rows = ["".join("abcdefgh"[(i * k + k) % 8] for i in range(4)) for k in range(1, 37)]
    examples = Examples(
        GOODS.schema, {"prompt": rows, "options": [None] * 36}, rows, GOODS.units, GOODS.rows, GOODS.times
    )
    model = Seq2seqWriter.fit(
        examples,
        Seq2seqWriterParams(width=32, epochs=60, learning_rate=2e-2, patience=0, dropout=0.0),
        FitContext(effort=0),
    )
    answers = model.predict({"prompt": rows, "options": [{"temperature": 0.0}] * 36})
    assert sum(a.value == row for a, row in zip(answers, rows, strict=True)) > 30


def test_a_file_of_another_kind_is_refused():
    module, _ = network("lstm")
    content, memory = write_language(module)
    with pytest.raises(BundleError, match="no language model of this kind"):
        NetworkLanguage(UNITS, content, Memory(memory.shapes[:1], 0))
    with pytest.raises(BundleError, match="does not fit its units"):
        NetworkLanguage(TokenUnits("character", '["a"]'), content, memory)


@pytest.mark.parametrize(
    "family,params",
    [
        (LstmWriter, LstmWriterParams),
        (TransformerWriter, TransformerWriterParams),
        (Seq2seqWriter, Seq2seqWriterParams),
    ],
)
def test_a_fit_learns_and_says_how_well(family, params):
    made = params(**{**SMALL, "epochs": 60, "learning_rate": 2e-2, "dropout": 0.0})
    held = GOODS.take(list(range(0, 36, 6)))
    model = family.fit(GOODS, made, FitContext(effort=0, validation=held))
    losses = model.training["loss"]
    assert losses[-1] < losses[0] / 2 and model.chosen["bits_per_character"] < 3
    pieces = model.stream({"prompt": "red lamp", "options": {"seed": 1, "temperature": 0.5}})
    first = next(pieces)
    # A caller that goes away stops the writing: nothing is read after that.
    read = []
    model.language._run = lambda *given: read.append(given)
    pieces.close()
    assert first and not read


def test_a_fit_that_was_killed_goes_on_as_it_would_have(tmp_path):
    made = LstmWriterParams(**SMALL, checkpoint_seconds=0.0)
    whole = LstmWriter.fit(GOODS, made, FitContext(effort=0, scratch=tmp_path / "a"))

    class Killed(Exception):
        pass

    class Channel:
        asked = 0

        def report(self, *given):
            pass

        def cancelled(self):
            self.asked += 1
            if self.asked > 12:
                raise Killed
            return False

    for folder in ("a", "b"):
        (tmp_path / folder).mkdir(exist_ok=True)
    with pytest.raises(Killed):
        LstmWriter.fit(GOODS, made, FitContext(effort=0, scratch=tmp_path / "b", channel=Channel()))
    again = LstmWriter.fit(GOODS, made, FitContext(effort=0, scratch=tmp_path / "b"))
    assert again.training == whole.training
    rows = replace(GOODS).inputs
    assert [a.value for a in again.predict(rows)] == [a.value for a in whole.predict(rows)]


def test_sizes_that_do_not_fit_are_named():
    with pytest.raises(RungError, match="does not divide"):
        TransformerWriterParams(width=30, heads=4)
    with pytest.raises(RungError, match="most_units"):
        LstmWriterParams(most_units=2)
