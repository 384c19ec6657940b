// The portrait of a history: interests by category and over time; the reader edits the history, forgets it, or has the server erase it.
function isPortrait() { return location.hash === "#portrait"; }
window.addEventListener("hashchange", () => { if (described && isLists()) openLists(); });
function viewLink(parent) {
  const link = element("a", isPortrait() ? words.reco_to_list : words.reco_to_portrait, parent);
  link.href = isPortrait() ? "#" : "#portrait";
}
function percent(share) { return (share * 100).toFixed(0) + "%"; }
function showPortrait(portrait, out) {
  const interests = portrait.interests || [];
  if (!interests.length) { if (isPortrait()) element("p", words.reco_no_portrait, out); return; }
  element("h2", words.reco_portrait, out); element("small", words.reco_portrait_how, out);
  interests.forEach((interest) => {
    const bar = element("div", undefined, out); bar.className = "bar";
    element("span", interest.category, bar);
    const track = element("span", undefined, bar); element("i", "", track).style.width = Math.max(interest.share * 100, 0.5) + "%";
    const said = element("span", percent(interest.share), bar);
    if (interest.lately !== undefined) said.title = say("reco_lately", { share: percent(interest.lately) });
  });
  if (isPortrait()) showPeriods(portrait.periods || [], interests, out);
}
// A row a category, a column a period; the shade of a cell is its share.
function showPeriods(periods, interests, out) {
  element("h2", words.reco_over_time, out);
  if (!periods.length) { element("small", words.reco_no_times, out); return; }
  const wide = element("div", undefined, out), table = element("table", undefined, wide); wide.className = "wide"; table.className = "periods";
  const head = element("tr", undefined, element("thead", undefined, table)); element("th", "", head);
  periods.forEach((period) => { const cell = element("th", period.from, head); cell.scope = "col"; cell.title = period.from + " \u2013 " + period.to + ", " + say("reco_events", { n: period.events }); });
  const body = element("tbody", undefined, table), most = Math.max(...interests.flatMap((interest) => periods.map((period) => period.shares[interest.category] || 0)));
  interests.forEach((interest) => {
    const row = element("tr", undefined, body), name = element("th", interest.category, row); name.scope = "row";
    periods.forEach((period) => {
      const share = period.shares[interest.category] || 0, cell = element("td", share ? percent(share) : "\u00b7", row);
      cell.style.background = "color-mix(in srgb, var(--accent) " + (most ? share / most * 45 : 0).toFixed(0) + "%, transparent)";
    });
  });
}
function editor(box) {
  const details = element("details", undefined, box), summary = element("summary", words.reco_edit, details);
  element("p", words.reco_edit_how, details);
  const area = element("textarea", undefined, details), said = element("div", undefined, details);
  area.className = "code"; area.spellcheck = false; area.setAttribute("aria-label", words.reco_edit);
  // Not on "toggle": it comes later than the click, and would put back what was typed since.
  summary.addEventListener("click", () => { if (!details.open) area.value = JSON.stringify(history(), null, 1); });
  button(words.reco_apply, details, async () => {
    said.replaceChildren();
    let given;
    try { given = JSON.parse(area.value); if (!Array.isArray(given)) throw new Error("[]"); } catch (error) { problem(words.json + error.message, said); return; }
    const old = liked;
    liked = given.map((event) => (typeof event === "object" && event !== null ? { ...event, item: String(event.item) } : { item: String(event) }));
    await named(); showLiked(); if (!(await suggest())) liked = old;
  });
  const erase = element("details", undefined, box); element("summary", words.reco_erase, erase); element("p", words.reco_erase_how, erase);
  const subject = element("input", undefined, erase), result = element("div", undefined, erase); subject.setAttribute("aria-label", "subject"); subject.placeholder = "subject";
  button(words.reco_erase_do, erase, async () => {
    result.replaceChildren();
    if (!subject.value) { subject.focus(); return; }
    try {
      const reply = await fetch("/v1/subjects/erase", json({ subject: subject.value })), body = await reply.json();
      if (reply.ok) element("p", say("reco_erased", { n: body.erased_predictions }), result); else problem(body.problem + ". " + body.fix, result);
    } catch (error) { problem(words.unreachable, result); }
  });
}
// The events as a request has them, without the titles that are shown.
function history() { return liked.map(({ title, ...event }) => (Object.keys(event).length === 1 ? event.item : event)); }
// Finds the titles of the first items that came without one.
async function named() {
  for (const item of liked.filter((had) => !had.title).slice(0, 100)) {
    const reply = await fetch(path("choices") + "?search=" + encodeURIComponent(item.item.slice(0, 100)), { headers: headers() });
    if (!reply.ok) return;
    const known = (await reply.json()).choices.find((one) => one.value === item.item);
    if (known) item.title = known.label;
  }
}
