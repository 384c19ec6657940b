"""What is measured in a page: does it fit its width, can its words be read, where do long things scroll."""

import pytest

# Every element that holds text of its own, with the contrast of its colour to what lies behind it (WCAG 2.2).
CONTRAST = """() => {
  const channel = v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 };
  const parse = c => (c.match(/[0-9.]+/g) || []).map(Number);
  const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0.99) return c } return [255, 255, 255] };
  const bad = [];
  for (const e of document.querySelectorAll('main *')) {
    if (e.closest('svg') || !e.checkVisibility()) continue;
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    const a = light(parse(getComputedStyle(e).color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(e.tagName + ' ' + ratio.toFixed(2) + ' ' + e.textContent.slice(0, 40));
  }
  return bad }"""

# Texts in pictures that leave their picture.
OUTSIDE = """() => [...document.querySelectorAll('svg')].flatMap(s => { const box = s.getBoundingClientRect();
  return [...s.querySelectorAll('text')].filter(t => { const r = t.getBoundingClientRect();
    return r.left < box.left - 1 || r.right > box.right + 1 || r.top < box.top - 1 || r.bottom > box.bottom + 1 })
    .map(t => t.textContent) })"""


def check_looks(page):
    """Assert that a page fits, can be read and complains of nothing."""
    assert page.problems == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(OUTSIDE) == []


def check_laid_open(page):
    """Assert the same of a page with everything that folds laid open."""
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    check_looks(page)


def every_look(test):
    """Run a browser test at both widths, in both languages, by day and by night."""
    for name, values in (("scheme", ["light", "dark"]), ("lang", ["en", "zh"]), ("width", [1280, 390])):
        test = pytest.mark.parametrize(name, values)(test)
    return test
