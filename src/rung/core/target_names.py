"""Names that columns of answers have, in the languages of the people who make tables."""

from __future__ import annotations

import re

# Labels, in English, German, French, Spanish and Chinese. A name of several words has one of these among them.
_LABELS = frozenset({
    "label", "class", "target", "churn", "fraud", "spam", "survived", "diagnosis", "creditability",
    "ziel", "zielgrösse", "zielgröße", "gekündigt", "kündigung", "abgewandert", "betrug",
    "cible", "étiquette", "résultat", "résilié", "désabonnement", "fraude",
    "etiqueta", "resultado", "objetivo", "abandono",
})  # fmt: skip
# Beside texts these say as often what became of a case.
_OUTCOMES = frozenset({"outcome", "result", "status", "default", "response", "income", "y", "ergebnis"})
# What texts are sorted by; in tables such columns are as often inputs.
_TOPICS = frozenset({
    "category", "queue", "topic", "sentiment", "intent", "tag", "type", "kategorie", "klasse", "thema", "stimmung", "abteilung",
    "bewertung", "catégorie", "classe", "sujet", "categoría", "categoria", "clase", "tema",
})  # fmt: skip
_QUANTITIES = frozenset({
    "price", "amount", "cost", "sales", "demand", "score", "value", "revenue", "salary", "rent", "preis", "betrag", "kosten",
    "umsatz", "absatz", "miete", "gehalt", "prix", "montant", "coût", "ventes", "precio", "importe", "coste", "ventas",
})  # fmt: skip
_CHINESE_LABELS, _CHINESE_TOPICS = (
    ("标签", "类别", "目标", "结果", "是否", "流失"),
    ("分类", "情感", "评价", "意图", "部门"),
)
_CHINESE_QUANTITIES = ("价格", "金额", "销量")
_BREAK = re.compile(r"[\W_]+|(?<=[a-zß-ÿ])(?=[A-Z])")


def called_like_label(name: str) -> bool:
    """Return whether a name says that its column holds labels of texts."""
    return _has(name, _LABELS | _TOPICS, _CHINESE_LABELS + _CHINESE_TOPICS)


def called_like_target(name: str) -> bool:
    """Return whether a name says that its column holds labels of rows, or a quantity to predict."""
    return _has(name, _LABELS | _OUTCOMES | _QUANTITIES, _CHINESE_LABELS + _CHINESE_QUANTITIES)


def is_target_word(name: str) -> bool:
    """Return whether a name is such a word and nothing more."""
    folded = name.strip().casefold()
    return folded in _LABELS | _OUTCOMES | _QUANTITIES or folded in _CHINESE_LABELS + _CHINESE_QUANTITIES


def name_words(name: str) -> set[str]:
    """Return the words of a column's name, in lower case and without a plural's s: "queueName" has queue and name."""
    words = {word.casefold() for word in _BREAK.split(name) if word}
    return words | {word[:-1] for word in words if len(word) > 3 and word.endswith("s")}


def _has(name: str, words: frozenset[str], chinese: tuple[str, ...]) -> bool:
    return bool(name_words(name) & words) or any(word in name for word in chinese)
