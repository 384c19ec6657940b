"use strict";
const $ = (id) => document.getElementById(id);
const facts = JSON.parse($("facts").textContent);
const here = location.pathname;
const stored = { get: (k) => { try { return localStorage.getItem(k); } catch { return null; } }, set: (k, v) => { try { localStorage.setItem(k, v); } catch { /* The browser stores nothing. */ } } };
// A browser in Chinese gets Chinese, whatever the terminal speaks; the button changes it.
let lang = stored.get("rung-lang") || (navigator.language.toLowerCase().startsWith("zh") ? "zh" : facts.lang);
const drawsBoxes = facts.answer_kind === "boxes";
// Boxes drawn on the image that is shown, the label of the next one, which is chosen, and whether the image is enlarged.
let drawn = [], current = 0, chosen = -1, zoomed = false;
// Pictures side by side, each with the label that it was given and not yet saved; which one keys are for.
let tiles = [], focused = 0;
let by = "", row = null, progress = null, open = [], view = "who", busy = false, tokens = {};

function say(key, values = {}) {
  let words = facts.words[lang][key];
  if (typeof words === "object") words = values.n === 1 ? words.one : words.other;
  return words.replace(/\{(\w+)\}/g, (_, name) => typeof values[name] === "number" ? values[name].toLocaleString(lang) : values[name]);
}
const percent = (share) => (share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0) + "%";
const points = (share) => (share < 0 ? "\u2212" : "+") + Math.abs(100 * share).toFixed(1);
function element(tag, text, parent, kind) { const e = document.createElement(tag); if (text !== undefined) e.textContent = text; if (kind) e.className = kind; if (parent) parent.append(e); return e; }
function button(key, text, parent, act) { const b = element("button", undefined, parent); b.type = "button"; element("kbd", key, b); element("span", text, b); b.addEventListener("click", act); return b; }
function randomToken() { return [...crypto.getRandomValues(new Uint32Array(4))].map((n) => n.toString(16)).join(""); }

async function post(path, body) {
  const reply = await fetch(here + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ by, ...body }) })
    .catch(() => { throw new Error(say("offline")); });
  const found = await reply.json();
  if (!reply.ok) throw new Error(found.problem + ". " + found.fix);
  return found;
}
// One request at a time: a key pressed before the next row arrives must not label a row that was not shown.
async function send(path, body, done) {
  if (busy) return;
  busy = true;
  try { done(await post(path, body)); } catch (error) { showStatus(error.message, true); if (error instanceof TypeError) console.error(error); } finally { busy = false; }
}
function showStatus(text, bad = false) { $("said").textContent = text; $("said").className = bad ? "bad" : ""; }
// Keys of labels are digits and letters: what the page does has other keys, or letters that no label has.
const ZOOM = "+", GRID = ".";
function applyState(found) { tiles = []; if (!row || !found.row || found.row.text !== row.text) { drawn = []; chosen = -1; } row = found.row; progress = found.progress; tokens = {}; render(); }
// A repeated request has the same token, so a label whose reply was lost is written once.
function tokenFor(what) { return (tokens[what] ??= randomToken()); }

function answer(kind, label = null) {
  if (!row) return;
  const shown = kind === "skip" ? say("skipped") : say("saved", { label: label === null ? say("cannot") : shownAnswer(label) });
  send("answer", { text: row.text, kind, label, token: tokenFor(kind + (label ?? "")) }, (found) => { applyState(found); showStatus(shown); });
}
function shownAnswer(label) { return drawsBoxes ? say("boxes", { n: JSON.parse(label).length }) : label; }
function accept() { if (row && row.guess) answer("label", row.guess.label); }
function undo() {
  if (tiles.length && tiles[focused].label) { tiles[focused].label = null; renderRow(); return; }
  send("undo", { token: tokenFor("undo") }, (found) => { applyState(found); showStatus(say(found.undone ? "undone" : "nothing")); });
}
// Several pictures at once: answers of those that were named go out together, the next ones come back.
function grid(answers = []) {
  send("grid", { answers }, (found) => {
    progress = found.progress; zoomed = false; focused = 0;
    tiles = found.rows.map((one) => ({ ...one, label: null, token: randomToken() }));
    if (!tiles.length) row = null;
    if (answers.length) showStatus(say("grid_saved", { n: answers.length }));
    render();
  });
}
function named() { return tiles.filter((tile) => tile.label).map((tile) => ({ text: tile.text, label: tile.label, token: tile.token })); }
function nameTile(label) { tiles[focused].label = label; focused = Math.min(focused + 1, tiles.length - 1); renderRow(); }
function moveTile(by) { const to = focused + by; if (to >= 0 && to < tiles.length) { focused = to; renderRow(); } }
// How many tiles stand in the first line, for the arrow keys.
function columns() { const all = [...document.querySelectorAll("#row .tile")]; return Math.max(all.filter((tile) => tile.offsetTop === all[0].offsetTop).length, 1); }
function renderTiles(box) {
  const list = element("div", undefined, box, "tiles");
  tiles.forEach((tile, number) => {
    const picture = tile.cells.find((cell) => cell.picture), place = facts.labels.findIndex((label) => label.name === tile.label);
    const one = element("button", undefined, list, "tile" + (tile.label ? " c" + place % 6 : "")); one.type = "button";
    one.setAttribute("aria-pressed", number === focused);
    if (picture) { const image = element("img", undefined, one); image.src = picture.picture; image.alt = image.title = picture.value; }
    element(tile.label ? "strong" : "small", tile.label || (tile.guess ? tile.guess.label + "? " + percent(tile.guess.sure) : "\u00a0"), one);
    one.addEventListener("click", () => { focused = number; renderRow(); });
  });
  element("p", say("grid_how"), box, "how");
  const shown = list.children[focused]; if (shown) { shown.focus({ preventScroll: true }); shown.scrollIntoView({ block: "nearest" }); }
}
function settle(text, label) {
  send("answer", { text, kind: "settle", label, token: tokenFor("settle" + text + label) }, (found) => { open = found.disagreements; showStatus(say("saved", { label: label ?? say("cannot") })); render(); });
}
function disagreements() { send("disagreements", {}, (found) => { open = found.disagreements; view = "settle"; render(); $("back").focus(); }); }
function back() { view = "work"; send("next", {}, applyState); render(); }
function undoSettled() { send("undo", { token: tokenFor("undo" + randomToken()) }, (found) => { row = found.row; progress = found.progress; busy = false; disagreements(); }); }

function render() {
  document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
  for (const e of document.querySelectorAll("[data-say]")) e.textContent = say(e.dataset.say === "by" && facts.keyed ? "key" : e.dataset.say);
  $("title").textContent = facts.title; $("language").textContent = say("language");
  $("who").hidden = view !== "who"; $("desk").hidden = view === "who";
  $("work").hidden = view !== "work"; $("settle").hidden = view !== "settle";
  if (view === "who") return;
  renderRow(); renderGuide(); renderOpen();
  if (progress) { renderProgress(); renderCurve(); renderPeople(); }
}
function cells(parent, list) {
  for (const cell of list) {
    if (list.length > 1) element("h3", cell.name, parent);
    if (cell.picture) { const image = element("img", undefined, parent); image.src = cell.picture; image.alt = image.title = cell.value; }
    element(cell.picture ? "small" : "p", cell.value, parent);
  }
}
// Rows that the current round of the audit of served rows lacks.
function missing() { return progress.audit.whole ? 0 : progress.audit.wanted - progress.audit.done; }
function renderRow() {
  const box = $("row"), at = box.scrollTop; box.replaceChildren(); box.scrollTop = tiles.length ? at : 0;
  $("row").classList.toggle("grid", tiles.length > 0);
  if (tiles.length) { renderGridWork(box); return; }
  if (row) cells(box, row.cells); else if (progress) element("p", facts.learns || missing() <= 0 ? say("done") : say("done_later", { n: missing() }), box); // Before the first reply it is unknown whether there are rows left.
  $("guess").textContent = row && row.guess ? say("guess", { label: row.guess.label, sure: percent(row.guess.sure) }) : "";
  $("labels").replaceChildren(); $("commands").replaceChildren();
  if (row && row.guess) button("\u21b5", say("accept", { label: row.guess.label }), $("labels"), accept).className = "accept";
  facts.labels.forEach((label, number) => {
    const b = button(label.key, label.name, $("labels"), drawsBoxes ? () => chooseLabel(number) : () => answer("label", label.name)); b.disabled = !row;
    if (drawsBoxes) { b.classList.add("c" + number % 6); b.setAttribute("aria-pressed", number === current); }
  });
  if (drawsBoxes && row) renderBoxer(box);
  else if (facts.answer_kind !== "label" && row) { const field = answerField($("labels"), (typed) => answer("label", typed)); if (view === "work") field.focus(); }
  $("row").classList.toggle("zoomed", zoomed);
  if (row && row.cells.some((cell) => cell.picture)) {
    button(ZOOM, say("key_zoom"), $("commands"), zoom);
    if (facts.answer_kind === "label") button(GRID, say("key_grid"), $("commands"), () => grid());
  }
  button("s", say("key_skip"), $("commands"), () => answer("skip"));
  button("x", say("key_cannot"), $("commands"), () => answer("unclear"));
  button("u", say("key_undo"), $("commands"), undo);
  button("/", say("key_settle") + (progress && progress.disagreements ? " (" + progress.disagreements + ")" : ""), $("commands"), disagreements);
}
function renderGridWork(box) {
  $("guess").textContent = ""; $("labels").replaceChildren(); $("commands").replaceChildren();
  renderTiles(box); box.classList.toggle("zoomed", zoomed);
  button("\u21b5", say("grid_save", { n: named().length }), $("labels"), () => grid(named())).className = "accept";
  for (const label of facts.labels) button(label.key, label.name, $("labels"), () => nameTile(label.name));
  button(ZOOM, say("key_zoom"), $("commands"), zoom);
  button(GRID, say("key_single"), $("commands"), leaveGrid);
  button("u", say("key_undo"), $("commands"), undo);
}
function leaveGrid() { zoomed = false; send("next", {}, applyState); }
function gridKey(key) {
  const label = facts.labels.find((item) => item.key === key);
  if (label) return () => nameTile(label.name);
  return {
    enter: () => grid(named()), u: undo, escape: leaveGrid, [GRID]: leaveGrid, [ZOOM]: zoom, "=": zoom,
    arrowright: () => moveTile(1), arrowleft: () => moveTile(-1), arrowdown: () => moveTile(columns()), arrowup: () => moveTile(-columns()),
  }[key];
}
// A form for a number or a text. Enter sends it, Shift+Enter begins a line; Escape leaves the field, so that keys are commands again.
function answerField(parent, act) {
  const isNumber = facts.answer_kind === "number", name = say(isNumber ? "number" : "typed_answer");
  const form = element("form", undefined, parent, isNumber ? "number" : "typed");
  const label = element("label", name + " ", form), field = element(isNumber ? "input" : "textarea", undefined, label);
  if (isNumber) field.inputMode = "decimal";
  field.autocomplete = "off"; field.maxLength = isNumber ? 40 : facts.max_answer;
  const go = element("button", "↵", form); go.type = "submit"; go.setAttribute("aria-label", name);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") field.blur();
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const typed = field.value.trim();
    // The typed text is sent unchanged: 12.50 is not rounded by the browser.
    if (!typed || (isNumber && !Number.isFinite(Number(typed)))) { showStatus(say(isNumber ? "not_number" : "no_answer"), true); field.select(); return; }
    act(typed);
  });
  return field;
}
function zoom() { zoomed = !zoomed; $("row").classList.toggle("zoomed", zoomed); }
// A key chooses the label of the next box, and of the chosen one.
function chooseLabel(number) { current = number; if (drawn[chosen]) drawn[chosen].label = facts.labels[number].name; renderRow(); }
function removeBox() { if (!drawn.length) return; drawn.splice(chosen >= 0 ? chosen : drawn.length - 1, 1); chosen = -1; renderRow(); }
function saveBoxes() { if (row) answer("label", JSON.stringify(drawn.map((b) => [b.label, ...[b.x, b.y, b.width, b.height].map((v) => Math.round(v * 10) / 10)]))); }
// The image with its boxes, in its own pixels; dragging draws one, a click chooses one.
function renderBoxer(box) {
  const place = row.cells.findIndex((cell) => cell.picture && cell.size), image = box.querySelectorAll("img")[0];
  if (place < 0 || !image) return;
  const [W, H] = row.cells[place].size, ns = "http://www.w3.org/2000/svg";
  const frame = element("div", undefined, undefined, "boxer"); image.replaceWith(frame); frame.append(image); image.draggable = false;
  const layer = document.createElementNS(ns, "svg"); layer.setAttribute("viewBox", `0 0 ${W} ${H}`); layer.setAttribute("preserveAspectRatio", "none"); frame.append(layer);
  const put = (b, number) => {
    const rect = document.createElementNS(ns, "rect"), label = facts.labels.findIndex((item) => item.name === b.label);
    for (const name of ["x", "y", "width", "height"]) rect.setAttribute(name, b[name]);
    rect.setAttribute("class", "c" + label % 6 + (number === chosen ? " chosen" : ""));
    layer.append(rect); return rect;
  };
  drawn.forEach(put);
  const at = (event) => {
    const r = layer.getBoundingClientRect();
    return [Math.min(Math.max((event.clientX - r.left) / r.width, 0), 1) * W, Math.min(Math.max((event.clientY - r.top) / r.height, 0), 1) * H];
  };
  layer.addEventListener("pointerdown", (down) => {
    if (down.button || busy) return;
    down.preventDefault(); layer.setPointerCapture(down.pointerId);
    const [x, y] = at(down), made = { label: facts.labels[current].name, x, y, width: 0, height: 0 }, rect = put(made, -2);
    const move = (event) => {
      const [u, v] = at(event);
      Object.assign(made, { x: Math.min(x, u), y: Math.min(y, v), width: Math.abs(u - x), height: Math.abs(v - y) });
      for (const name of ["x", "y", "width", "height"]) rect.setAttribute(name, made[name]);
    };
    layer.addEventListener("pointermove", move);
    layer.addEventListener("pointerup", (event) => {
      move(event);
      if (Math.max(made.width / W, made.height / H) > 0.005 && Math.min(made.width, made.height) >= 1) { drawn.push(made); chosen = -1; }
      // Of boxes inside each other a click means the smallest.
      else chosen = drawn.map((b, i) => [b, i]).filter(([b]) => x >= b.x && x <= b.x + b.width && y >= b.y && y <= b.y + b.height).sort((a, b) => a[0].width * a[0].height - b[0].width * b[0].height).map(([, i]) => i)[0] ?? -1;
      renderRow();
    }, { once: true });
  });
  element("p", say("box_how", { keys: facts.labels.map((label) => label.key).join(" ") }), box, "how");
  button("\u21b5", say("box_save", { n: drawn.length }), $("labels"), saveBoxes).className = "accept";
  button("\u232b", say("box_remove"), $("commands"), removeBox);
}
function renderGuide() {
  $("guidelines").textContent = facts.guidelines; $("meanings").replaceChildren();
  const told = facts.labels.filter((label) => label.about);
  for (const label of told) { element("dt", label.name, $("meanings")); element("dd", label.about, $("meanings")); }
  $("guide").hidden = !facts.guidelines && !told.length;
}
function renderOpen() {
  const box = $("open"); box.replaceChildren();
  if (!open.length) element("p", say("none"), box);
  open.slice(0, 50).forEach((item, number) => {
    const one = element("div", undefined, box);
    cells(one, item.cells);
    element("p", Object.entries(item.said).map(([who, label]) => who + ": " + (label ? shownAnswer(label) : say("cannot"))).join(" · "), one);
    const choices = element("div", undefined, one, "choices");
    if (!drawsBoxes) for (const label of facts.labels) button(number ? "·" : label.key, label.name, choices, () => settle(item.text, label.name));
    if (facts.answer_kind !== "label") {
      for (const value of new Set(Object.values(item.said).filter(Boolean))) button("·", shownAnswer(value), choices, () => settle(item.text, value));
      if (!drawsBoxes) answerField(choices, (typed) => settle(item.text, typed));
    }
    button(number ? "·" : "x", say("cannot"), choices, () => settle(item.text, null));
  });
}
function renderProgress() {
  const count = $("count"); count.replaceChildren();
  element("strong", progress.labelled.toLocaleString(lang) + " ", count);
  element("span", say("labelled") + (lang === "en" ? " " : "") + say("of_rows", { rows: progress.rows }), count);
  const audit = $("audit"); audit.replaceChildren();
  if (progress.audit.wanted) {
    const bar = element("progress", undefined, audit); bar.max = progress.audit.wanted; bar.value = progress.audit.done; bar.setAttribute("aria-label", say("audit"));
    element("p", progress.audit.done + " / " + progress.audit.wanted + " " + say("audit"), audit);
    element("small", say(progress.audit.whole ? "audit_whole" : "audit_why"), audit);
  }
  const list = $("by_label"); list.replaceChildren();
  for (const [name, n] of Object.entries(progress.by_label)) { const li = element("li", undefined, list); element("span", name, li); element("span", n.toLocaleString(lang), li); }
  if (progress.cannot) { const li = element("li", undefined, list); element("span", say("cannot"), li); element("span", String(progress.cannot), li); }
}
function renderCurve() {
  $("learning").hidden = !facts.learns;
  const box = $("curve"); box.replaceChildren();
  const curve = progress.curve;
  if (!curve.length) element("p", say("curve_wait"), box); else {
    const last = curve[curve.length - 1], low = Math.min(...curve.map((p) => p.low)), high = Math.max(...curve.map((p) => p.high));
    const W = 300, H = 130, at = (p, v) => [34 + (W - 50) * (curve.length > 1 ? Math.log(p.labels / curve[0].labels) / Math.log(last.labels / curve[0].labels) : 0.5), H - 22 - (H - 36) * (v - low) / (high - low || 1)];
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", `0 0 ${W} ${H}`); svg.setAttribute("role", "img"); svg.setAttribute("aria-label", say("curve"));
    const put = (tag, attributes, text) => { const e = document.createElementNS(svg.namespaceURI, tag); for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v); if (text !== undefined) e.textContent = text; svg.append(e); };
    put("line", { x1: 34, y1: H - 22, x2: W - 8, y2: H - 22 });
    put("polygon", { points: [...curve.map((p) => at(p, p.high)), ...curve.map((p) => at(p, p.low)).reverse()].map((p) => p.join()).join(" ") });
    put("polyline", { points: curve.map((p) => at(p, p.score).join()).join(" ") });
    for (const p of curve) { const [x, y] = at(p, p.score); put("circle", { cx: x, cy: y, r: 2.5 }); }
    put("text", { x: 2, y: 18 }, percent(high)); put("text", { x: 2, y: H - 24 }, percent(low));
    put("text", { x: 34, y: H - 7 }, String(curve[0].labels)); if (curve.length > 1) put("text", { x: W - 12, y: H - 7, "text-anchor": "end" }, String(last.labels));
    box.append(svg);
    element("p", say("curve_at", { score: percent(last.score), labels: last.labels, low: percent(last.low), high: percent(last.high) }), box);
  }
  const s = progress.stable, o = progress.outlook, gap = lang === "en" ? " " : "";
  const ahead = o ? say("outlook", { more: o.more, gain: points(o.gain), low: points(o.low), high: points(o.high), since: o.since }) + gap + say(o.hardly ? "hardly" : "go_on") : s && !s.enough ? say("go_on") : "";
  $("advice").textContent = !s ? ahead : s.enough ? say("enough", { at_most: percent(s.at_most) }) : say("changed", { changed: percent(s.changed), at_most: percent(s.at_most) }) + gap + ahead;
}
function renderPeople() {
  $("people").textContent = say("disagreements") + (progress.disagreements ? ": " + say("to_settle", { n: progress.disagreements }) : "");
  const box = $("agreement"); box.replaceChildren();
  if (!progress.agreement.length) element("p", say("alone"), box);
  for (const a of progress.agreement.slice(0, 6)) element("p", say("agreement", { one: a.one, other: a.other, n: a.rows, share: percent(a.share), kappa: a.kappa.toFixed(2), low: a.low.toFixed(2), high: a.high.toFixed(2) }), box);
}

document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || view === "who" || ["INPUT", "TEXTAREA"].includes(event.target.tagName)) return;
  // With an active Chinese input method, only the position of the key is known.
  const key = event.key === "Process" ? event.code.replace(/^(Digit|Key)/, "").replace("Slash", "/").toLowerCase() : event.key.toLowerCase();
  const label = facts.labels.find((item) => item.key === key);
  const act = view === "work" && tiles.length ? (key === "enter" && event.target.closest("#labels, #commands") ? undefined : gridKey(key)) : view === "settle"
    ? label || key === "x" ? () => open.length && settle(open[0].text, label ? label.name : null) : { u: undoSettled, "/": back, escape: back }[key]
    : label ? () => drawsBoxes ? chooseLabel(facts.labels.indexOf(label)) : answer("label", label.name)
    : { enter: event.target.tagName === "BUTTON" ? undefined : drawsBoxes ? saveBoxes : row && row.guess ? accept : undefined, [ZOOM]: zoom, "=": zoom, ...(row && !drawsBoxes && facts.answer_kind === "label" && row.cells.some((cell) => cell.picture) ? { [GRID]: () => grid() } : {}), ...(drawsBoxes ? { backspace: removeBox, delete: removeBox } : {}), s: () => answer("skip"), x: () => answer("unclear"), u: undo, "/": disagreements }[key];
  if (!act) return;
  event.preventDefault();
  act();
});
$("language").addEventListener("click", () => { lang = lang === "en" ? "zh" : "en"; stored.set("rung-lang", lang); showStatus(""); render(); });
$("back").addEventListener("click", back);
$("who").addEventListener("submit", (event) => {
  event.preventDefault();
  by = $("by").value.trim().replace(/\s+/g, " ");
  if (!by) return;
  // API keys are not stored.
  if (!facts.keyed) stored.set("rung-by", by);
  view = "work"; render(); $("title").tabIndex = -1; $("title").focus();
  send("next", {}, applyState);
});
if (facts.keyed) { $("by").type = "password"; $("by").autocomplete = "off"; $("by").maxLength = 200; } else $("by").value = stored.get("rung-by") || facts.by;
render();
$("by").focus();
