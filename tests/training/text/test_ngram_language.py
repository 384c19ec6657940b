"""N-gram language models: chances sum to one, they learn what they are shown, a saved one answers as before."""

import numpy as np
import pytest

from rung.core.errors import BundleError
from rung.modalities.text.decoding import DecodedSentences
from rung.modalities.text.ngram_language import NgramLanguage
from rung.modalities.text.token_units import END, MARK, START, TokenUnits
from rung.modalities.text.writing_options import WritingOptions
from rung.training.text.language_rows import TextPairs, units_for
from rung.training.text.ngram_counts import count_ngrams
from rung.training.text.vocabulary import learn_language_vocabulary

PAIRS = TextPairs(
    ["red lamp", "blue lamp", "red chair", "明月"] * 5,
    ["A red lamp. It shines.", "A blue lamp. It glows.", "A red chair.", "清泉石上流。"] * 5,
)


def model(order=4):
    units = units_for(PAIRS, "character", 4_000)
    return count_ngrams(PAIRS.documents(units), units, order)


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_chances_sum_to_one_whatever_came_before(order):
    language = model(order)
    for prompt in ("red lamp", "", "never seen 龘", "x" * 9_999):
        state = language.begin(prompt)
        for _ in range(12):
            chances = language.chances(state)
            assert chances.sum() == pytest.approx(1.0) and chances.min() > 0 and chances[START] < 0.05
            state = language.after(state, int(chances.argmax()))


def test_more_context_tells_seen_texts_better():
    bits = [
        sum(model(order).bits(p, t)[0] for p, t in zip(PAIRS.prompts, PAIRS.texts, strict=True))
        for order in (1, 2, 3, 5)
    ]
    assert bits == sorted(bits, reverse=True) and bits[-1] < bits[0] / 3


def test_kneser_ney_counts_what_stands_in_front():
    """'b' comes often but only after 'a'; 'c' seldom but after many: where neither was seen, 'c' is likelier."""
    units = TokenUnits("character", '["a", "b", "c", "d", "e", "f", "g"]')
    texts = ["ab"] * 20 + ["dc", "ec", "fc"]
    language = count_ngrams([[START, MARK, *units.encode(text), END] for text in texts], units, 2)
    chances = language.chances(tuple(units.encode("g")))
    b, c = units.encode("bc")
    assert chances[c] > chances[b]


def test_the_same_seed_writes_the_same_and_a_saved_model_too(tmp_path):
    language = model()
    language.save(tmp_path)
    again = NgramLanguage.load(tmp_path)
    options = WritingOptions(temperature=0.9, seed=5)

    def text(one, prompt, number=0):
        source, parts, ended = DecodedSentences(one, prompt, options, number), [], False
        while not ended:
            part, ended = source.next(0)
            parts.append(part)
            source.accept()
        return "".join(parts)

    assert text(language, "red lamp") == text(again, "red lamp")
    assert len({text(language, "red lamp", number) for number in range(6)}) > 1
    (tmp_path / "units.json").write_text('{"unit": "character", "content": "[]"}')
    with pytest.raises(BundleError):
        NgramLanguage.load(tmp_path)


def test_parts_of_words_give_every_text_back():
    vocabulary = learn_language_vocabulary([*PAIRS.texts, *PAIRS.prompts] * 3, 400)
    units = TokenUnits("subword", vocabulary)
    for text in ("A red lamp.", "龘 🙂\n\t", "[END][UNK]", "", " x  y "):
        assert units.decode(units.encode(text)) == text
        assert min(units.encode(text), default=9) > END
    assert learn_language_vocabulary([*PAIRS.texts, *PAIRS.prompts] * 3, 400) == vocabulary
    assert np.all([len(piece) <= 16 for piece in units.pieces])
