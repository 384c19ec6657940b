// Cells of tables: numbers, words and ISO dates in their plain form. What people write otherwise is refused, not guessed.
class CellError extends Error {}
const MISSING = new Set(["", "na", "n/a", "nan", "null", "?", "<na>", "#n/a", "#na", "nat", "(null)", "缺失", "缺省"]);
const MISSING_QUANTITIES = new Set([...MISSING, "none", "nil", "-", "--", "—", ".", "unknown", "missing", "not available", "未知", "无",
  "暂无", "不详", "inf", "-inf", "+inf", "infinity", "-infinity", "+infinity", "∞"]);
// Letters of the words above whose folded form is not their lower case.
const FOLDED = { ß: "ss", ſ: "s", ﬀ: "ff", ﬁ: "fi", ﬂ: "fl", ﬃ: "ffi", ﬄ: "ffl", ﬅ: "st", ﬆ: "st" };
const PLAIN = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

function isMissing(text, kind) {
  if (countChars(text) > 30) return trim(text) === "";
  const folded = lower(squeeze(text)).replace(/[ßſﬀ-ﬆ]/g, (char) => FOLDED[char]);
  return (kind === "category" ? MISSING : MISSING_QUANTITIES).has(folded);
}

// A number as Python writes it.
function numberText(value) {
  if (!Number.isFinite(value)) return "";
  if (Number.isInteger(value) && Math.abs(value) < 1e21) return BigInt(value).toString();
  const [digits, power] = value.toExponential().split("e"), exponent = Number(power);
  if (exponent >= -4 && exponent < 16) return positional(digits, exponent);
  return `${digits}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

function positional(digits, exponent) {
  const sign = digits[0] === "-" ? "-" : "", plain = digits.replace(/[-.]/g, "");
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${plain}`;
  const whole = plain.slice(0, exponent + 1).padEnd(exponent + 1, "0"), rest = plain.slice(exponent + 1);
  return `${sign}${whole}.${rest || "0"}`;
}

const DIGIT = /^\p{Nd}/u;
function canonicalWord(text) {
  if ((text.length === 4 || text.length === 5) && /^(?:true|false)$/i.test(text)) return text.toLowerCase();
  if (!DIGIT.test(text) && text[0] !== "-") return text;
  const dot = text.indexOf(".");
  if (dot >= 0 && /^0*$/.test(text.slice(dot + 1)) && /^-*\p{Nd}+$/u.test(text.slice(0, dot))) return text.slice(0, dot);
  const midnight = text.length >= 16 && /^(\d{4}-\d\d-\d\d)[T ]00:00(?::00(?:\.0+)?)?$/.exec(text);
  if (midnight) return midnight[1];
  const marked = /^(-?\d{1,3}\.\d{3})e0$/.exec(text);
  return marked ? marked[1] : text;
}

function scalarText(value) {
  if (typeof value === "boolean") return value ? "true" : "false";
  if (typeof value === "number") return numberText(value);
  return canonicalWord(squeeze(isAscii(value) ? value : form(value, "NFKC")));
}

function refuse(field, value, wanted) {
  throw new CellError(`'${field.name}' must be ${wanted}, not ${JSON.stringify(value)?.slice(0, 60)}`);
}

const READ = {
  number(field, value) {
    if (typeof value === "boolean") return value ? 1 : 0;
    if (typeof value === "number") return Number.isFinite(value) ? value : NaN;
    if (typeof value !== "string") refuse(field, value, "a number");
    const text = trim(value);
    // Where the comma is the decimal mark, 1.250 may be a thousand and more.
    if (PLAIN.test(text) && !(field.format.decimal === "," && text.includes("."))) {
      const found = Number(text);
      return Number.isFinite(found) ? found : NaN;
    }
    if (isMissing(value, "number") || (field.values ?? []).includes(scalarText(value))) return NaN;
    return refuse(field, value, "a plain number such as 1200.5, or null");
  },
  category(field, value) {
    if (typeof value === "object") refuse(field, value, "a word");
    if (typeof value === "string" && isMissing(value, "category")) return null;
    const word = scalarText(value);
    if (isMissing(word, "category")) return null;
    const truth = field.format.boolean ? { true: "true", false: "false", 1: "true", 0: "false" }[word] : undefined;
    return truth ?? word;
  },
  time(field, value) {
    if (value instanceof Date) return value.getTime() / 1000;
    if (typeof value === "string") {
      const iso = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?$/.exec(trim(value));
      if (iso) {
        const [year, month, day, hour = 0, minute = 0, second = 0] = iso.slice(1).map((part) => (part === undefined ? 0 : Number(part)));
        const when = new Date(0);
        when.setUTCFullYear(year, month - 1, day);
        when.setUTCHours(hour, minute, second);
        if (when.getUTCMonth() === month - 1 && hour < 24 && minute < 60 && second < 60) return when.getTime() / 1000;
      }
      if (isMissing(value, "time") || (field.values ?? []).includes(scalarText(value))) return NaN;
    }
    return refuse(field, value, "an ISO date such as 2024-12-31, or null");
  },
  text(field, value) {
    if (typeof value === "number" || typeof value === "boolean") return scalarText(value);
    if (typeof value !== "string") refuse(field, value, "text");
    if (countChars(value) > 1000000) throw new CellError(`'${field.name}' has more than 1,000,000 characters`);
    return value;
  },
  // The content of a file as bytes or base64, or pixels; read when it is answered.
  image(field, value) {
    if (typeof value === "object" && typeof value.base64 === "string") value = value.base64;
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    if (value instanceof Uint8Array || (value?.data?.length && value.width > 0 && value.height > 0)) return value;
    try {
      if (typeof value === "string") return bytesOf(value.replace(/^data:[^,]*;base64,/, ""));
    } catch {
      // It is said below what is wanted.
    }
    return refuse(field, typeof value === "string" ? value : null, "the bytes of an image file, its base64, or {width, height, data}");
  },
};
const EMPTY = { number: NaN, time: NaN, category: null, text: "", image: null };

// A row as the model reads it; throws CellError.
function readRow(row, fields, steps) {
  if (typeof row !== "object" || row === null) {
    if (fields.length !== 1) throw new CellError(`the model reads ${fields.map((field) => field.name).join(", ")}: give an object`);
    row = { [fields[0].name]: row };
  }
  const found = {};
  for (const field of fields) {
    const value = Object.hasOwn(row, field.name) ? row[field.name] : undefined;
    if (value === undefined && !field.unused) throw new CellError(`'${field.name}' is missing`);
    found[field.name] = value === null || value === undefined ? EMPTY[field.kind] : READ[field.kind](field, value);
    if (field.kind === "text") found[field.name] = cleanText(found[field.name], steps);
  }
  const isEmpty = (value) => value === null || value === "" || (typeof value === "string" && trim(value) === "") || Number.isNaN(value);
  if (Object.values(found).every(isEmpty)) throw new CellError("nothing to answer in the row");
  return found;
}

const U = (text) => BigInt(`0x${text}`), M64 = (1n << 64n) - 1n;
const IV = ["6a09e667f3bcc908", "bb67ae8584caa73b", "3c6ef372fe94f82b", "a54ff53a5f1d36f1", "510e527fade682d1", "9b05688c2b3e6c1f",
  "1f83d9abfb41bd6b", "5be0cd19137e2179"].map(U);
const SIGMA = ["0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8", "905724afe1bc683d",
  "2c6a0b834d75fe19", "c51fed4a0763928b", "db7ec13950f4862a", "6fe9b308c2d714a5", "a2847615fb9e3cd0"];
const turn = (value, bits) => ((value >> BigInt(bits)) | (value << BigInt(64 - bits))) & M64;
const LANES = [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15], [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]];

function blakeBlock(state, block, count, isLast) {
  const v = [...state, ...IV], view = new DataView(block.buffer);
  v[12] ^= BigInt(count);
  if (isLast) v[14] ^= M64;
  const m = Array.from({ length: 16 }, (_, i) => view.getBigUint64(8 * i, true));
  for (let round = 0; round < 12; round++) {
    const order = [...SIGMA[round % 10]].map((digit) => parseInt(digit, 16));
    LANES.forEach(([a, b, c, d], i) => {
      v[a] = (v[a] + v[b] + m[order[2 * i]]) & M64;
      v[d] = turn(v[d] ^ v[a], 32);
      v[c] = (v[c] + v[d]) & M64;
      v[b] = turn(v[b] ^ v[c], 24);
      v[a] = (v[a] + v[b] + m[order[2 * i + 1]]) & M64;
      v[d] = turn(v[d] ^ v[a], 16);
      v[c] = (v[c] + v[d]) & M64;
      v[b] = turn(v[b] ^ v[c], 63);
    });
  }
  for (let i = 0; i < 8; i++) state[i] ^= v[i] ^ v[i + 8];
}

// BLAKE2b (RFC 7693) of a column's name and a word, eight bytes: rare words are known by their digest alone.
function digest(name, word) {
  const data = new TextEncoder().encode(`${name}\0${word}`), key = new TextEncoder().encode("rung-category");
  const state = [...IV], block = new Uint8Array(128);
  state[0] ^= 0x01010000n ^ (BigInt(key.length) << 8n) ^ 8n;
  block.set(key);
  blakeBlock(state, block, 128, false);
  for (let at = 0; at < data.length; at += 128) {
    const piece = data.subarray(at, at + 128);
    block.fill(0);
    block.set(piece);
    blakeBlock(state, block, 128 + at + piece.length, at + 128 >= data.length);
  }
  return state[0];
}
