// Text exactly as Python reads it: Unicode forms, white space, cleaning steps. Characters that the Unicode version of the
// building Python does not know are left alone, whatever this engine knows of them.
const SPACES = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const BLANKS = new RegExp(`[${SPACES}]+`, "gu");
const ENDS = new RegExp(`^[${SPACES}]+|[${SPACES}]+$`, "gu");
const isAscii = (text) => !/[^\x00-\x7f]/.test(text);
const trim = (text) => text.replace(ENDS, "");
const squeeze = (text) => trim(text.replace(BLANKS, " "));

let unknown = null; // Characters that Python does not know: a class of a regular expression.
function unknownParts() {
  if (unknown === null) {
    let from = 0;
    const parts = [];
    for (const [gap, length] of UNICODE.unassigned) {
      from += gap;
      parts.push(`\\u{${from.toString(16)}}-\\u{${(from + length - 1).toString(16)}}`);
      from += length;
    }
    unknown = new RegExp(`([${parts.join("")}]+)`, "u");
  }
  return unknown;
}

// Apply a function of the engine to the parts of a text that Python's Unicode knows.
function known(text, apply) {
  if (isAscii(text)) return apply(text);
  const pieces = text.split(unknownParts());
  return pieces.length === 1 ? apply(text) : pieces.map((piece, i) => (i % 2 ? piece : apply(piece))).join("");
}

const form = (text, name) => known(text, (piece) => piece.normalize(name));
const lower = (text) => known(text, (piece) => piece.toLowerCase());

// The first so many characters.
function cut(text, most) {
  if (text.length <= most) return text;
  let count = 0, at = 0;
  while (at < text.length && count < most) {
    at += text.codePointAt(at) > 0xffff ? 2 : 1;
    count++;
  }
  return text.slice(0, at);
}

function countChars(text) {
  let count = 0;
  for (let at = 0; at < text.length; count++) at += text.codePointAt(at) > 0xffff ? 2 : 1;
  return count;
}

const MARKS = { "，": ",", "！": "!", "？": "?", "：": ":", "；": ";", "（": "(", "）": ")" };
// The text as n-grams see it.
function normalizeText(text) {
  text = cut(text, 200000);
  if (!isAscii(text)) text = form(text.replace(/[，！？：；（）]/g, (mark) => MARKS[mark]), "NFKC");
  return squeeze(lower(text));
}

// The cleaning steps of the bundle, in their order, until nothing changes.
const INVISIBLE = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
const JOINER = /(?<![\u0600-\u1fff\u2190-\u2bff\ufe0f\u{1f000}-\u{1faff}])[\u200c\u200d]+/gu;
const LONE = /\p{Surrogate}/gu;

function cleanUnicode(text, params) {
  text = text.replace(INVISIBLE, "");
  if (isAscii(text)) return text;
  const name = params.form === "nfc" ? "NFC" : "NFKC";
  for (let turn = 0; turn < 4; turn++) {
    const before = text;
    text = form(text.replace(LONE, "").replace(JOINER, "").replace(INVISIBLE, ""), name);
    if (text === before) break;
  }
  return text;
}

function narrowTable(marks) {
  const table = new Map();
  for (let i = 0; i < 94; i++) {
    const narrow = String.fromCharCode(0x21 + i);
    if (marks || /[0-9A-Za-z]/.test(narrow)) table.set(String.fromCharCode(0xff01 + i), narrow);
  }
  const joining = "＠．－＿＋／＃％＆＝", plain = "@.-_+/#%&=";
  if (!marks) for (let i = 0; i < joining.length; i++) table.set(joining[i], plain[i]);
  for (const blank of "\u3000\xa0\u2007\u202f") table.set(blank, " ");
  return table;
}
const NARROW = new Map();
function cleanWidth(text, params) {
  if (isAscii(text)) return text;
  if (!NARROW.has(params.marks)) NARROW.set(params.marks, narrowTable(params.marks));
  const table = NARROW.get(params.marks);
  return text.replace(/[\u00a0\u2007\u202f\u3000\uff01-\uff5e]/g, (char) => table.get(char) ?? char);
}

const BLOCK_TAGS = new Set(("address article aside blockquote body br center dd div dl dt figcaption figure footer form h1 h2 h3 h4 h5 h6 " +
  "head header hr html li main nav ol option p pre section select table tbody td tfoot th thead tr ul").split(" "));
const INLINE_TAGS = new Set(("a abbr acronym b bdi bdo big button caption cite code col colgroup del dfn em embed fieldset font frame frameset " +
  "i iframe img input ins kbd label legend link mark meta nobr noscript object param picture q s samp small source " +
  "span strike strong sub sup svg textarea time title tt u var video wbr o:p").split(" "));
const TAG = new RegExp(`<(/?)([A-Za-z][A-Za-z0-9:]{0,14})(?=[${SPACES}/>])([^<>]{0,2000})>`, "gu");
const ENTITY = /&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});/g;
const AMPERSANDS = /&(?:amp;|AMP;|#0{0,4}38;|#[xX]0{0,4}26;)+/g;

function unescapeEntity(whole) {
  const name = whole.slice(1);
  if (name[0] === "#") {
    const number = /[xX]/.test(name[1]) ? parseInt(name.slice(2, -1), 16) : parseInt(name.slice(1, -1), 10);
    if (number in UNICODE.references) return UNICODE.references[number];
    if ((number >= 0xd800 && number <= 0xdfff) || number > 0x10ffff) return "\ufffd";
    return UNICODE.invalid.includes(number) ? "" : String.fromCodePoint(number);
  }
  if (Object.hasOwn(UNICODE.entities, name)) return UNICODE.entities[name];
  for (let end = name.length - 1; end > 1; end--) {
    const head = name.slice(0, end);
    if (Object.hasOwn(UNICODE.entities, head)) return UNICODE.entities[head] + name.slice(end);
  }
  return whole;
}

function decodeEntities(text) {
  if (!text.includes("&")) return text;
  return text.replace(AMPERSANDS, "&").replace(ENTITY, (whole) => {
    const decoded = unescapeEntity(whole);
    return decoded !== whole && !decoded.includes("\x00") ? decoded : whole;
  });
}

function removeBetween(text, begin, end) {
  let out = "", at = 0, cutAny = false;
  for (;;) {
    const start = text.indexOf(begin, at);
    const stop = start >= 0 ? text.indexOf(end, start + begin.length) : -1;
    if (stop < 0) return cutAny ? out + text.slice(at) : text;
    out += text.slice(at, start) + " ";
    cutAny = true;
    at = stop + end.length;
  }
}

function removeElement(text, name) {
  const folded = lower(text), low = folded.length === text.length ? folded : text;
  let out = "", at = 0, cutAny = false;
  for (;;) {
    const start = low.indexOf(`<${name}`, at);
    const stop = start >= 0 ? low.indexOf(`</${name}`, start) : -1;
    const end = stop >= 0 ? low.indexOf(">", stop) : -1;
    if (end < 0) return cutAny ? out + text.slice(at) : text;
    out += text.slice(at, start) + " ";
    cutAny = true;
    at = end + 1;
  }
}

function stripTags(text) {
  if (!text.includes("<")) return text;
  text = removeBetween(text, "<!--", "-->");
  let isMarkup = false;
  for (const found of text.matchAll(TAG)) {
    const name = found[2].toLowerCase();
    isMarkup ||= BLOCK_TAGS.has(name) || name === "script" || name === "style" || (found[1] !== "" && INLINE_TAGS.has(name));
  }
  if (!isMarkup) return text;
  for (const name of ["script", "style"]) text = removeElement(text, name);
  return text.replace(TAG, (whole, slash, tag) => {
    const name = tag.toLowerCase();
    if (BLOCK_TAGS.has(name)) return "\n";
    return INLINE_TAGS.has(name) || name === "script" || name === "style" ? "" : whole;
  });
}

function cleanHtml(text, params) {
  for (let turn = 0; turn < 8; turn++) {
    if (!text.includes("<") && !text.includes("&")) return text;
    const before = text;
    if (params.entities) text = decodeEntities(text);
    if (params.tags) text = stripTags(text);
    if (text === before) return text;
  }
  return text.replaceAll("&", " ").replaceAll("<", " ");
}

const INNER = SPACES.replace("\\t-\\r", "\\t\\x0b-\\r").replace("\\x1c-\\x20", "\\x1c-\\x1f"); // Neither a line end nor a plain blank.
const RUNS = new RegExp(` ?[${INNER}][${INNER} ]*| {2,}[${INNER} ]*`, "gu");
function cleanWhitespace(text, params) {
  text = text.replace(/\r\n?|[\x85\u2028\u2029]/g, "\n");
  if (!params.lines) return squeeze(text);
  text = text.replace(RUNS, " ");
  return trim(text.includes("\n") ? text.replace(/ ?\n ?/g, "\n").replace(/\n{3,}/g, "\n\n") : text);
}

const STEPS = { unicode: cleanUnicode, width: cleanWidth, html: cleanHtml, whitespace: cleanWhitespace };
function cleanText(text, steps) {
  for (let turn = 0; turn < 12; turn++) {
    const before = text;
    for (const { step, params } of steps) text = STEPS[step](text, params);
    if (text === before) return text;
    if (turn === 6) text = text.replaceAll("&", " ").replaceAll("<", " ");
  }
  return text;
}
