// Lists of suggestions: pick what you like, and watch the list change. The history lives in this page only.
let liked = [], asked = 0;
function isLists() { return described.inputs.some((input) => input.widget.type === "history"); }
function path(action) { return described.endpoint.replace(/predict$/, action); }
function openLists() {
  const box = $("fields"); box.replaceChildren();
  $("send").hidden = true; $("filled").hidden = true; $("batch").hidden = true;
  viewLink(element("p", undefined, box));
  element("h2", words.reco_pick, box);
  const label = element("label", words.reco_search, box); label.htmlFor = "search";
  const search = element("input", undefined, box); search.id = "search"; search.type = "search"; search.autocomplete = "off";
  const found = element("div", undefined, box); found.id = "found"; found.className = "chips";
  search.addEventListener("input", () => choices(search.value));
  search.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); const first = found.querySelector("button"); if (first) first.click(); } });
  element("h2", words.reco_history, box);
  element("div", undefined, box).id = "liked";
  if (isPortrait()) { editor(box); choices(""); showLiked(); suggest(); return; }
  const mark = element("label", words.reco_variety, box); mark.htmlFor = "variety";
  const variety = element("input", undefined, box); variety.id = "variety"; variety.type = "range"; variety.min = "0"; variety.max = "0.9"; variety.step = "0.1"; variety.value = "0";
  variety.addEventListener("change", suggest);
  choices(""); showLiked(); suggest();
}
async function choices(text) {
  const own = ++asked, found = $("found");
  const reply = await fetch(path("choices") + "?search=" + encodeURIComponent(text.slice(0, 100)), { headers: headers() });
  if (own !== asked) return;
  const body = await reply.json();
  found.replaceChildren();
  if (!reply.ok) { problem(body.problem + ". " + body.fix, found); return; }
  const free = body.choices.filter((item) => !liked.some((had) => had.item === item.value));
  free.forEach((item) => button("+ " + item.label, found, () => like({ item: item.value, title: item.label })));
  if (!free.length) element("small", words.reco_none, found);
}
function like(item) {
  if (!liked.some((had) => had.item === item.item)) liked.push(item);
  $("search").value = ""; choices(""); showLiked(); suggest();
}
function showLiked() {
  const box = $("liked"); box.replaceChildren();
  if (!liked.length) { element("small", words.reco_empty, box); return; }
  const chips = element("div", undefined, box); chips.className = "chips";
  liked.forEach((item) => {
    const name = item.title || item.item;
    const chip = button(name + " \u00d7", chips, () => { liked = liked.filter((had) => had.item !== item.item); choices($("search").value); showLiked(); suggest(); });
    chip.setAttribute("aria-label", say("reco_remove", { name }));
  });
  button(words.reco_forget, box, () => { liked = []; choices($("search").value); showLiked(); suggest(); });
}
async function suggest() {
  const out = $("answer"), row = { history: history() }, diversity = Number($("variety") ? $("variety").value : 0);
  if (diversity) row.context = { diversity };
  try {
    const reply = await fetch(described.endpoint, json({ inputs: row }));
    const body = await reply.json();
    out.replaceChildren();
    if (body.problem) { problem(body.problem + ". " + body.fix, out); return false; }
    showList(body.predictions[0], out);
    return !body.predictions[0].error;
  } catch (error) { out.replaceChildren(); problem(words.unreachable, out); return false; }
}
function showList(found, out) {
  if (found.error) { problem(found.error, out); return; }
  if (!isPortrait()) showItems(found, out);
  if (found.unknown.length) element("p", say("reco_unknown", { names: found.unknown.join(words.reco_comma) }), out);
  showPortrait(found.portrait, out);
  if (isPortrait()) return;
  element("p", say("reco_by", { name: found.answered_by }), out).className = "words";
}
function showItems(found, out) {
  element("h2", words.reco_list, out);
  const list = element("ol", undefined, out); list.className = "suggested";
  found.items.forEach((item) => {
    const line = element("li", undefined, list), text = element("div", undefined, line);
    element("b", item.title || item.item, text);
    if (item.categories) element("small", " " + item.categories.join(" \u00b7 "), text);
    const because = (item.because || []).map((event) => event.title || event.item).join(words.reco_comma);
    if (because) { element("br", undefined, text); element("small", say("reco_because", { names: because }), text); }
    const more = button("+", line, () => like({ item: item.item, title: item.title })); more.setAttribute("aria-label", words.reco_add + ": " + (item.title || item.item)); more.title = words.reco_add;
  });
  if (!found.items.length) element("p", words.reco_none, out);
}
