// Predicts the rows of a CSV file: reads it here, sends it in parts, offers the answers as a CSV file.
const PART = 200, SHOWN = 20;
function decode(bytes) {
  for (const encoding of ["utf-8", "gb18030"]) {
    try { return new TextDecoder(encoding, { fatal: true }).decode(bytes); } catch { /* The next one. */ }
  }
  return new TextDecoder("windows-1252").decode(bytes);
}
// RFC 4180, with the separator that is most frequent in the first line.
function parseCsv(text) {
  const head = text.split(/\r?\n/, 1)[0], by = [",", ";", "\t"].sort((a, b) => head.split(b).length - head.split(a).length)[0];
  const rows = []; let row = [], cell = "", quoted = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (quoted) { if (char !== '"') cell += char; else if (text[i + 1] === '"') { cell += '"'; i++; } else quoted = false; }
    else if (char === '"' && cell === "") quoted = true;
    else if (char === by) { row.push(cell); cell = ""; }
    else if (char === "\n") { row.push(cell.replace(/\r$/, "")); rows.push(row); row = []; cell = ""; }
    else cell += char;
  }
  if (cell || row.length) { row.push(cell); rows.push(row); }
  return rows.filter((found) => found.length > 1 || found[0].trim() !== "");
}
// A quote before what a spreadsheet would run as a formula; negative numbers stay numbers.
function csvCell(value) {
  let text = value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
  if (/^[=+\-@\t\r]/.test(text) && !(typeof value === "number" || Number.isFinite(Number(text)))) text = "'" + text;
  return /[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}
async function predictPart(rows) {
  for (let tries = 0; ; tries++) {
    const reply = await fetch(described.endpoint, json({ inputs: rows }));
    if (reply.status === 429 && tries < 6) { await new Promise((go) => setTimeout(go, 1000 * (Number(reply.headers.get("Retry-After")) || 1))); continue; }
    const answered = await reply.json();
    if (!reply.ok) throw new Error(answered.problem + ". " + answered.fix);
    return answered.predictions;
  }
}
async function predictFile() {
  const out = $("rows_answer"), file = $("rows_file").files[0];
  out.replaceChildren();
  if (!file) { $("rows_file").focus(); return; }
  const [head, ...rows] = parseCsv(decode(await file.arrayBuffer()));
  const names = (head || []).map((name) => name.trim()), missing = described.inputs.filter((input) => !names.includes(input.name));
  if (missing.length) { problem(say("batch_missing", { columns: missing.map((input) => input.name).join(", ") }), out); return; }
  if (!rows.length) { problem(words.batch_empty, out); return; }
  const bar = element("progress", undefined, out), said = element("p", "", out);
  bar.max = rows.length; bar.value = 0; $("rows_send").disabled = true;
  const answers = [], size = Math.min(PART, described.max_rows);
  try {
    for (let at = 0; at < rows.length; at += size) {
      said.textContent = say("batch_at", { n: at.toLocaleString(), of: rows.length.toLocaleString() });
      const part = rows.slice(at, at + size).map((row) => Object.fromEntries(described.inputs.map((input) => [input.name, value(input, row[names.indexOf(input.name)] ?? "")])));
      answers.push(...await predictPart(part)); bar.value = answers.length;
    }
    bar.remove(); said.textContent = say("batch_done", { n: answers.length.toLocaleString() });
  } catch (error) { bar.remove(); said.textContent = ""; problem(error instanceof TypeError ? words.unreachable : error.message, out); }
  $("rows_send").disabled = false;
  if (answers.length) offer(file.name, names, rows.slice(0, answers.length), answers, out);
}
function offer(name, names, rows, answers, out) {
  const keys = [...new Set(answers.flatMap((answer) => Object.keys(answer)))].filter((key) => key !== "answered_by");
  const head = [...names, ...keys.map((key) => (names.includes(key) ? "predicted " + key : key))];
  const lines = [head, ...rows.map((row, i) => [...names.map((_, at) => row[at] ?? ""), ...keys.map((key) => answers[i][key])])];
  const link = element("a", words.batch_save, out); link.className = "file"; link.download = name.replace(/\.\w+$/, "") + ".predictions.csv";
  // The mark tells spreadsheets that the text is UTF-8.
  link.href = URL.createObjectURL(new Blob(["\ufeff" + lines.map((line) => line.map(csvCell).join(",")).join("\r\n") + "\r\n"], { type: "text/csv" }));
  const wide = element("div", undefined, out); wide.className = "wide"; wide.tabIndex = 0;
  const table = element("table", undefined, wide), shown = keys.filter((key) => key !== "id");
  const cut = (cell) => { const text = cell === null || cell === undefined ? "" : typeof cell === "object" ? JSON.stringify(cell) : String(cell); return text.length > 80 ? text.slice(0, 79) + "…" : text; };
  const top = element("tr", undefined, table); for (const title of [...shown, ...described.inputs.map((input) => input.name)]) element("th", title, top).scope = "col";
  rows.slice(0, SHOWN).forEach((row, i) => {
    const line = element("tr", undefined, table);
    for (const key of shown) element("td", cut(answers[i][key]), line);
    for (const input of described.inputs) element("td", cut(row[names.indexOf(input.name)]), line);
  });
  if (rows.length > SHOWN) element("small", say("batch_first", { n: SHOWN }), out);
}
$("rows_send").addEventListener("click", predictFile);
