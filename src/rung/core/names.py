"""Names of products that look like other names: letters of several scripts, or of another one."""

from __future__ import annotations

import re
import unicodedata

# Scripts with letters that look alike.
_ALIKE = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")
# Letters of other scripts in the usual fonts, from Unicode's list of confusables (https://www.unicode.org/reports/tr39/).
_LOOKS = str.maketrans(
    "\u0430\u0431\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u051b\u051d\u04bb\u0475\u0433\u043a\u043c\u043d\u0442\u0432"
    "\u03b1\u03bf\u03c1\u03bd\u03b9\u03ba\u03c4\u03c5\u03c7\u03b3\u0561\u0585\u057d\u0578\u0570\u0581\u0131",
    "a6eopcyxijsdqwhvrkmhtb" "aopvikt" "uxy" "wounhgi",
)  # fmt: skip


def problem_of_name(name: str) -> str:
    """Return why a name may be taken for another one, "" if it is plain."""
    if unicodedata.normalize("NFKC", name) != name:
        return f"'{name}' has letters that have a plainer form: {unicodedata.normalize('NFKC', name)}"
    # Words of two scripts beside each other, as in "отзывы-v2", are plain.
    for word in re.split(r"[\W\d_]+", name):
        scripts = sorted({script for letter in word if (script := _script(letter)) in _ALIKE})
        if len(scripts) > 1:
            listed = " and ".join(script.capitalize() for script in scripts)
            return f"'{name}' mixes letters of {listed} in one word, which look alike"
    return ""


def looks(name: str) -> str:
    """Return what a name looks like: equal for names that are taken for one another."""
    plain = unicodedata.normalize("NFKC", name).casefold().translate(_LOOKS)
    return plain.replace("0", "o").replace("1", "l").replace("i", "l")


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0] if letter.isalpha() else ""
