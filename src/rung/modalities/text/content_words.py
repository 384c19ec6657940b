"""What two texts have in common that ask the same: their content words, in order.

For a cache that may answer a text by the answer to another one. Vectors are no measure for that: a negation, another number or
another name hardly moves them. So words are compared, and only those are left out that carry no content whatever the text is about:
greetings, thanks, "please" and articles; marks at the end of a clause; the capital of the first word. Negations, numbers, names, question
marks, word order and all other words must be equal.
"""

from __future__ import annotations

import re
import unicodedata

# Words that say nothing of what is asked; a closed list, so that nothing is dropped by accident.
_ARTICLES = frozenset({"a", "an", "the"})
_POLITE = frozenset({"please", "hi", "hello", "hey", "thanks", "thank-you"})
_EMPTY_CHINESE = re.compile("您好|你好|谢谢您|谢谢你|谢谢|麻烦您|麻烦你|请问|请(?=[^假柬帖教求示客安])")
# A mark that ends a clause: not one inside a number or a word, and no question mark.
_MARKS = re.compile(r"[,;:.!]+(?=\s|$)|[，。；：！、~～]+")
_QUOTES = re.compile('["“”‘’「」『』]')
_SPACE_BETWEEN_CHINESE = re.compile(r"(?<=[\u3400-\u9fff])\s+(?=[\u3400-\u9fff])")


def content_words(text: str) -> str:
    """Return the content words of a text, in order, as one string; texts with equal ones ask the same."""
    # NFC keeps what NFKC would merge: 2 and a raised 2, a half and 1/2.
    found = unicodedata.normalize("NFC", text).replace("’s ", "'s ").replace("n’t", "n't")
    found = _EMPTY_CHINESE.sub("", found)
    found = _QUOTES.sub(" ", _MARKS.sub(" ", found))
    found = _SPACE_BETWEEN_CHINESE.sub("", re.sub(r"(?i)\bthank you\b", "thank-you", found))
    words = [word for word in found.split() if word.casefold() not in _POLITE]
    if words and words[0][1:] == words[0][1:].lower():
        # The capital of a first word is grammar. A name keeps its own inside a sentence, and behind an article.
        words[0] = words[0][0].lower() + words[0][1:]
    # "Plan A" is no article.
    return " ".join(word for word in words if word not in _ARTICLES)
