const $ = (id) => document.getElementById(id);
for (const e of document.querySelectorAll("[data-word]")) e.textContent = words[e.dataset.word];
document.title = words.title;
let described = null;
function element(tag, text, parent) { const e = document.createElement(tag); if (text !== undefined) e.textContent = text; parent.append(e); return e; }
function button(text, parent, act) { const b = element("button", text, parent); b.type = "button"; b.addEventListener("click", act); return b; }
function problem(text, parent) { element("p", text, parent).className = "problem"; }
function say(word, values) { return words[word].replace(/\{(\w+)\}/g, (_, name) => values[name]); }
// The key is held by this page only and is not stored.
// Errors come in the language of this page, whatever else the browser prefers.
function headers() { const key = $("key").value; return { "Accept-Language": document.documentElement.lang, ...(key ? { Authorization: "Bearer " + key } : {}) }; }
async function list() {
  const answer = await fetch("/v1/models", { headers: headers() });
  $("door").hidden = answer.status !== 401 && !$("key").value;
  const body = await answer.json();
  $("models").hidden = $("form").hidden = !answer.ok;
  if (!answer.ok) { note(answer.status === 401 ? ($("key").value ? words.wrong_key : "") : body.problem + ". " + body.fix, "warn"); return; }
  $("model").replaceChildren();
  new Set(body.models.map((m) => m.name)).forEach((name) => { element("option", name, $("model")).value = name; });
  describe();
}
function note(text, kind) { $("about").textContent = text; $("about").className = kind; }
async function describe() {
  const answer = await fetch("/v1/models/" + encodeURIComponent($("model").value), { headers: headers() });
  described = await answer.json();
  note(described.certified ? words.certified + (described.claim || "") : words.uncertified, described.certified ? "good" : "warn");
  $("fields").replaceChildren(); $("answer").replaceChildren(); $("rows_answer").replaceChildren(); $("rows_file").value = "";
  described.inputs.forEach((input, i) => {
    const unit = input.widget.type !== "date" && input.widget.unit;
    const label = element("label", input.name + (unit ? " (" + unit + ")" : ""), $("fields")); label.htmlFor = "f" + i;
    const type = element("small", words.kinds[input.kind] || input.kind, $("fields")); type.className = "type"; type.id = "t" + i;
    const box = (boxes[input.widget.type] || boxes.textarea)(input.widget); box.id = "f" + i; box.setAttribute("aria-describedby", type.id);
    if (described.example) fill(box, input, described.example[input.name]);
  });
  $("filled").hidden = !described.example;
  $("batch").hidden = described.streams || described.inputs.some((input) => input.widget.type === "file");
  $("send").hidden = false;
  if (isLists()) { liked = []; openLists(); return; }
  $("batch_how").textContent = say("batch_how", { columns: described.inputs.map((input) => input.name).join(", ") });
}
function fill(box, input, value) {
  if (value === null || value === undefined || input.widget.type === "file") return;
  box.value = input.widget.type === "json" ? JSON.stringify(value) : input.widget.type === "date" ? String(value).slice(0, 10) : String(value);
}
// One form element for each type of widget that a kind of input names.
const boxes = {
  textarea: () => element("textarea", undefined, $("fields")),
  json: () => { const box = element("textarea", undefined, $("fields")); box.className = "code"; box.spellcheck = false; return box; },
  text: () => element("input", undefined, $("fields")),
  number: () => { const box = element("input", undefined, $("fields")); box.inputMode = "decimal"; return box; },
  date: () => { const box = element("input", undefined, $("fields")); box.type = "date"; return box; },
  select: (widget) => {
    const box = element("select", undefined, $("fields"));
    for (const option of ["", ...widget.options]) element("option", option, box).value = option;
    return box;
  },
  file: (widget) => fileBox(widget),
};
function value(input, text) {
  if (input.widget.type === "json") return text.trim() === "" ? null : JSON.parse(text);
  if (input.widget.type === "textarea") return text;
  return text.trim() === "" ? null : text;
}
// Files are uploaded as a form; without any the request is JSON.
function request() {
  if (described.inputs.some((input) => input.widget.type === "file")) {
    const form = new FormData();
    described.inputs.forEach((input, i) => { const box = $("f" + i); form.append(input.name, input.widget.type === "file" ? box.files[0] : box.value); });
    form.append("options.scores", "true"); form.append("options.explain", "true");
    return { method: "POST", headers: headers(), body: form };
  }
  const row = {};
  described.inputs.forEach((input, i) => { row[input.name] = value(input, $("f" + i).value); });
  return json({ inputs: [row], scores: true, explain: true });
}
function json(body) { return { method: "POST", headers: { "Content-Type": "application/json", ...headers() }, body: JSON.stringify(body) }; }
async function ask(event) {
  event.preventDefault();
  const out = $("answer"); out.replaceChildren();
  let asked;
  try { asked = request(); } catch (error) { problem(words.json + error.message, out); return; }
  $("send").disabled = true; element("p", words.waiting, out).className = "waiting";
  try {
    const reply = await fetch(described.streams ? described.endpoint.replace(/predict$/, "stream") : described.endpoint, asked);
    const answered = reply.ok && described.streams ? await read(reply, out) : await reply.json();
    out.replaceChildren();
    if (answered.problem) problem(answered.problem + ". " + answered.fix, out); else show(answered.predictions[0], out);
  } catch (error) { out.replaceChildren(); problem(words.unreachable, out); }
  $("send").disabled = false;
}
// Shows the pieces of a stream as they come; returns the data of its last event.
async function read(reply, out) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  out.replaceChildren(); const box = element("p", "", out); box.className = "long";
  let rest = "", last = null;
  for (;;) {
    const { value: chunk, done } = await reader.read();
    if (done) break;
    const events = (rest + chunk).split("\n\n"); rest = events.pop();
    for (const event of events) {
      const [name, data] = event.split("\n").map((line) => line.slice(line.indexOf(": ") + 2));
      last = JSON.parse(data);
      if (name === "piece") box.append(last.text);
    }
  }
  if (!last || (!last.predictions && !last.problem)) throw new Error("cut off");
  return last;
}
function show(found, out) {
  if (found.error) { problem(found.error, out); return; }
  const scores = Object.entries(found).filter(([key]) => key.startsWith("score:")).sort((a, b) => b[1] - a[1]).slice(0, 10);
  const main = found[described.schema.outputs[0].name];
  const placed = places(found), kind = described.schema.outputs[0].kind;
  if (kind === "boxes") drawPlaces(placed, out);
  else if (kind === "fields" || kind === "values") { listFields(main, found.field_scores || {}, out); markValues(found.places || [], out); }
  else if (kind === "labels") listLabels(main, out);
  else if (Array.isArray(main)) { const list = element("ol", undefined, out); main.forEach((item) => element("li", typeof item === "object" ? JSON.stringify(item) : String(item), list)); }
  else if (main !== null && typeof main === "object") element("pre", JSON.stringify(main, null, 1), out);
  else { const box = element(String(main).length > 60 ? "p" : "h2", String(main), out); if (box.tagName === "P") box.className = "long"; }
  if (found.ai_generated) element("small", words.ai_generated, out).className = "mark";
  if (placed && placed.title === "lines") drawPlaces(placed, out);
  for (const [key, p] of scores) {
    const bar = element("div", undefined, out); bar.className = "bar";
    element("span", key.slice(6), bar);
    const track = element("span", undefined, bar); element("i", "", track).style.width = Math.max(p * 100, 0.5) + "%";
    element("span", (p * 100).toFixed(1) + "%", bar);
  }
  if (scores.length && (kind === "labels" || scores[0][0] !== "score:" + main)) element("small", kind === "labels" ? words.thresholds : words.threshold, out);
  highlight(found.reasons || [], out);
  const reasons = (found.reasons || []).filter((r) => !r.region && r.weight > 0 && /[\p{L}\p{N}!?\uff01\uff1f]/u.test(r.text));
  if (reasons.length) {
    const line = element("p", words.decided, out); line.className = "words";
    reasons.forEach((r) => element("b", r.text, line));
  }
  if (found.id) judge(found.id, main, out);
}
// Draws rectangles over the picture that was asked about: {x, y, width, height in its pixels, title, kind, opacity} each.
// Returns the elements, in order; [] where this browser shows no picture.
function drawOver(items, label) {
  const frame = document.querySelector("#fields .heat"), image = frame && frame.querySelector("img");
  if (frame) frame.querySelectorAll("svg").forEach((old) => old.remove());
  if (!image || !image.naturalWidth || !items.length) return [];
  const svg = "http://www.w3.org/2000/svg", layer = document.createElementNS(svg, "svg");
  layer.setAttribute("viewBox", `0 0 ${image.naturalWidth} ${image.naturalHeight}`);
  layer.setAttribute("role", "img"); layer.setAttribute("aria-label", label);
  const drawn = items.map((item) => {
    const rectangle = document.createElementNS(svg, "rect"), title = document.createElementNS(svg, "title");
    ["x", "y", "width", "height"].forEach((name) => rectangle.setAttribute(name, item[name]));
    if (item.kind) rectangle.setAttribute("class", item.kind);
    if (item.opacity) rectangle.setAttribute("fill-opacity", item.opacity);
    title.textContent = item.title; rectangle.append(title); layer.append(rectangle);
    return rectangle;
  });
  frame.append(layer);
  return drawn;
}
// Marks the regions of the image that decided.
function highlight(reasons, out) {
  const placed = reasons.filter((r) => r.region), image = document.querySelector("#fields .heat img");
  if (!placed.length || !image) return;
  const strongest = Math.max(...placed.map((r) => Math.abs(r.weight)));
  drawOver(placed.map((r) => ({
    x: r.region[0] * image.naturalWidth, y: r.region[1] * image.naturalHeight, width: r.region[2] * image.naturalWidth, height: r.region[3] * image.naturalHeight,
    title: r.weight.toFixed(2), kind: r.weight > 0 ? "for" : "against", opacity: 0.15 + 0.45 * Math.abs(r.weight) / strongest,
  })), words.highlighted);
  element("p", words.highlighted, out).className = "words";
}
// What was found at places of the picture: boxes with labels, or lines of text.
function places(found) {
  const main = described.schema.outputs[0], lines = described.schema.outputs.find((output) => output.kind === "lines");
  if (main.kind === "boxes") return { items: found[main.name].map((item) => ({ ...item, said: item.label })), title: "boxes" };
  if (lines) return { items: found[lines.name].map((item) => ({ ...item, said: item.text })), title: "lines" };
  return null;
}
// Draws what was found over the picture, and lists it; the list and the picture point at each other.
function drawPlaces({ items, title }, out) {
  const said = items.map((item) => item.said + " " + (item.score * 100).toFixed(0) + "%"), heading = say(title, { n: items.length });
  const rectangles = drawOver(items.map((item, i) => ({ x: item.box[0], y: item.box[1], width: item.box[2], height: item.box[3], title: said[i] })), heading);
  element("h2", heading, out);
  const list = element("ol", undefined, out); list.className = "boxed";
  items.forEach((item, i) => {
    const line = element("li", said[i] + ", [" + item.box.map(Math.round).join(", ") + "]", list);
    line.tabIndex = 0;
    for (const [event, on] of [["mouseenter", true], ["focus", true], ["mouseleave", false], ["blur", false]])
      line.addEventListener(event, () => rectangles[i] && rectangles[i].classList.toggle("chosen", on));
  });
}
// The labels of an answer that may have several; none is an answer, too.
function listLabels(labels, out) {
  if (!labels.length) { element("h2", words.no_labels, out); return; }
  const chips = element("div", undefined, out); chips.className = "labels";
  labels.forEach((label) => element("b", label, chips));
}
// Lists the fields of a document or a text: {name: value or values}, each with how sure it is where that is known.
function listFields(fields, scores, out) {
  const names = Object.keys(fields);
  if (!names.length) { element("h2", words.no_values, out); return; }
  const table = element("table", undefined, out); table.className = "found";
  for (const name of names) {
    const row = element("tr", undefined, table);
    element("th", name, row).scope = "row"; element("td", [].concat(fields[name]).join("\n"), row);
    if (name in scores) element("td", (scores[name] * 100).toFixed(0) + "%", row);
  }
}
// Marks the values in the text that was asked about.
function markValues(places, out) {
  const boxes = document.querySelectorAll("#fields textarea"), text = Array.from(boxes.length ? boxes[0].value : "");
  const piece = (from, to) => text.slice(from, to).join("");
  // Places count the characters of the text as the model read it: they are drawn only where that is the text shown.
  if (boxes.length !== 1 || !places.length || places.some((p) => piece(p.start, p.end) !== p.value)) return;
  const shown = element("p", undefined, out); shown.className = "marked"; let at = 0;
  for (const place of places) {
    shown.append(piece(at, place.start));
    const mark = element("mark", place.value, shown); mark.title = place.field + " " + (place.score * 100).toFixed(0) + "%";
    at = place.end;
  }
  shown.append(piece(at));
}
// Sends to the journal whether an answer is right, or the right one.
function judge(id, main, out) {
  const box = element("div", undefined, out); box.className = "verdict";
  element("span", words.right, box); element("br", undefined, box);
  button("\u{1F44D} " + words.yes, box, () => teach(id, main, box));
  button("\u{1F44E} " + words.no, box, () => correct(id, main, box));
}
function correct(id, main, box) {
  if (described.schema.outputs[0].kind === "labels") { correctLabels(id, main, box); return; }
  const output = described.schema.outputs[0], labels = output.values.filter((label) => label !== main);
  box.replaceChildren();
  const label = element("label", words.correct, box); label.htmlFor = "correct";
  const field = element(labels.length ? "select" : typeof main === "string" || typeof main === "number" ? "input" : "textarea", undefined, box);
  field.id = "correct"; for (const name of labels) element("option", name, field).value = name;
  element("br", undefined, box);
  button(words.send, box, () => {
    let given = field.value;
    if (typeof main === "number") { given = given.trim() === "" ? NaN : Number(given); if (!Number.isFinite(given)) { field.focus(); return; } }
    else if (typeof main === "object") { try { given = JSON.parse(given); } catch { field.focus(); return; } }
    else if (!given.trim()) { field.focus(); return; }
    teach(id, given, box);
  });
  field.focus();
}
// Any number of labels is right: a box to tick for each.
function correctLabels(id, main, box) {
  box.replaceChildren();
  const list = element("fieldset", undefined, box); element("legend", words.correct, list);
  const ticks = described.schema.outputs[0].values.map((name) => {
    const label = element("label", undefined, list), tick = element("input", undefined, label);
    tick.type = "checkbox"; tick.value = name; tick.checked = main.includes(name); label.append(" " + name);
    return tick;
  });
  button(words.send, box, () => teach(id, ticks.filter((tick) => tick.checked).map((tick) => tick.value), box));
  ticks[0].focus();
}
async function teach(id, answer, box) {
  let said = words.unreachable, failed = true;
  try {
    const reply = await fetch("/v1/feedback", json({ prediction: id, answer }));
    const found = await reply.json();
    failed = !reply.ok; said = reply.ok ? words.thanks : found.problem + ". " + found.fix;
  } catch (error) { /* Said below. */ }
  box.replaceChildren();
  if (failed) problem(said, box); else element("span", said, box);
}
$("model").addEventListener("change", describe);
$("form").addEventListener("submit", ask);
$("open").addEventListener("click", list);
$("key").addEventListener("keydown", (event) => { if (event.key === "Enter") list(); });
list();
