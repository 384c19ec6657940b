// Hashed n-grams of words and characters: 64-bit hashes in halves of 32 bits, as high and low words.
let HIGH = 0, LOW = 0; // What the functions below return.

function multiply(aHigh, aLow, bHigh, bLow) {
  const a0 = aLow & 0xffff, a1 = aLow >>> 16, b0 = bLow & 0xffff, b1 = bLow >>> 16;
  const p00 = a0 * b0, p01 = a0 * b1, p10 = a1 * b0;
  const middle = (p00 >>> 16) + (p01 & 0xffff) + (p10 & 0xffff);
  LOW = ((middle << 16) | (p00 & 0xffff)) >>> 0;
  HIGH = (a1 * b1 + (p01 >>> 16) + (p10 >>> 16) + (middle >>> 16) + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) >>> 0;
}

function add(aHigh, aLow, bHigh, bLow) {
  const low = aLow + bLow;
  LOW = low >>> 0;
  HIGH = (aHigh + bHigh + (low > 0xffffffff ? 1 : 0)) >>> 0;
}

// The finaliser of splitmix64 after the salt of a kind of n-grams, which is added as a multiple of a constant.
const SALT_HIGH = new Uint32Array(1024), SALT_LOW = new Uint32Array(1024);
for (let salt = 0; salt < 1024; salt++) {
  multiply(0, salt, 0xd1b54a32, 0xd192ed03);
  SALT_HIGH[salt] = HIGH;
  SALT_LOW[salt] = LOW;
}
function mix(high, low, salt) {
  add(high, low, SALT_HIGH[salt], SALT_LOW[salt]);
  multiply((HIGH ^ (HIGH >>> 30)) >>> 0, (LOW ^ ((LOW >>> 30) | (HIGH << 2))) >>> 0, 0xbf58476d, 0x1ce4e5b9);
  multiply((HIGH ^ (HIGH >>> 27)) >>> 0, (LOW ^ ((LOW >>> 27) | (HIGH << 5))) >>> 0, 0x94d049bb, 0x133111eb);
  const h = HIGH, l = LOW;
  HIGH = (h ^ (h >>> 31)) >>> 0;
  LOW = (l ^ ((l >>> 31) | (h << 1))) >>> 0;
}

const BASE_HIGH = 0x9e3779b9, BASE_LOW = 0x7f4a7c15;
let powerHigh = new Uint32Array([0]), powerLow = new Uint32Array([1]);
function growPowers(count) {
  if (powerLow.length >= count) return;
  const size = 1 << Math.ceil(Math.log2(count + 1));
  const high = new Uint32Array(size), low = new Uint32Array(size);
  high.set(powerHigh);
  low.set(powerLow);
  for (let i = powerLow.length; i < size; i++) {
    multiply(high[i - 1], low[i - 1], BASE_HIGH, BASE_LOW);
    high[i] = HIGH;
    low[i] = LOW;
  }
  powerHigh = high;
  powerLow = low;
}

let classes = null; // Of each character: 0 separates words, 1 is a letter of one, 2 is one by itself.
function charClasses() {
  if (classes === null) {
    classes = new Uint8Array(0x110000);
    let at = 0;
    for (const [length, kind] of UNICODE.classes) {
      classes.fill(kind, at, at + length);
      at += length;
    }
  }
  return classes;
}

// The code points of " " + text + " ".
function codesOf(text) {
  const codes = new Uint32Array(text.length + 2);
  let size = 1;
  codes[0] = 32;
  for (let at = 0; at < text.length; ) {
    const code = text.codePointAt(at);
    codes[size++] = code;
    at += code > 0xffff ? 2 : 1;
  }
  codes[size++] = 32;
  return codes.subarray(0, size);
}

let buckets = new Uint32Array(1 << 14), count = 0; // The n-grams of a text.
function found(bucket) {
  if (count === buckets.length) {
    const larger = new Uint32Array(2 * count);
    larger.set(buckets);
    buckets = larger;
  }
  buckets[count++] = bucket;
}

// Note the bucket of each word n-gram of up to `most` words.
function wordNgrams(codes, most) {
  const kinds = charClasses(), high = [], low = [];
  growPowers(codes.length + 1);
  for (let at = 0; at < codes.length; ) {
    const kind = kinds[codes[at]];
    if (kind === 0) {
      at++;
      continue;
    }
    let h = 0, l = 0, i = 0;
    do {
      multiply(powerHigh[i], powerLow[i], 0, codes[at] + 1);
      add(h, l, HIGH, LOW);
      h = HIGH;
      l = LOW;
      at++;
      i++;
    } while (kind === 1 && at < codes.length && kinds[codes[at]] === 1);
    mix(h, l, 1);
    high.push(HIGH);
    low.push(LOW);
    found(HIGH >>> 8);
  }
  const chainHigh = high.slice(), chainLow = low.slice();
  for (let size = 2; size <= most; size++) {
    for (let i = 0; i + size <= high.length; i++) {
      multiply(chainHigh[i], chainLow[i], BASE_HIGH, BASE_LOW);
      add(HIGH, LOW, high[i + size - 1], low[i + size - 1]);
      mix(HIGH, LOW, size);
      chainHigh[i] = HIGH;
      chainLow[i] = LOW;
      found(HIGH >>> 8);
    }
  }
}

// Of each n-gram of characters: a blank may be its first or last one, not inside.
function charNgrams(codes, least, most) {
  growPowers(most + 1);
  for (let start = 0; start < codes.length; start++) {
    let h = 0, l = 0;
    for (let i = 0; i < most && start + i < codes.length; i++) {
      const code = codes[start + i];
      multiply(powerHigh[i], powerLow[i], 0, code + 1);
      add(h, l, HIGH, LOW);
      h = HIGH;
      l = LOW;
      if (i + 1 >= least && (i > 0 || code !== 32)) {
        mix(h, l, 100 + i + 1);
        found(HIGH >>> 8);
      }
      if (code === 32 && i > 0) break;
    }
  }
}

// A block of a vocabulary: buckets in an open hash table, so that most are passed over in one step.
class Block {
  constructor(spec, known, idf) {
    Object.assign(this, spec, { idf, width: known.length });
    let size = 16;
    while (size < 2 * known.length) size *= 2;
    this.mask = size - 1;
    this.keys = new Int32Array(size).fill(-1);
    this.places = new Int32Array(size);
    known.forEach((bucket, place) => {
      let at = Math.imul(bucket, 0x9e3779b1) >>> 7 & this.mask;
      while (this.keys[at] >= 0) at = (at + 1) & this.mask;
      this.keys[at] = bucket;
      this.places[at] = place;
    });
    this.counts = new Uint32Array(known.length);
  }

  place(bucket) {
    let at = Math.imul(bucket, 0x9e3779b1) >>> 7 & this.mask;
    for (; this.keys[at] >= 0; at = (at + 1) & this.mask) if (this.keys[at] === bucket) return this.places[at];
    return -1;
  }

  // {columns, values, seen, known} of a normalised text: ascending columns with their TF-IDF values, and counts of n-grams.
  apply(codes) {
    const touched = [];
    let knownCount = 0;
    count = 0;
    if (this.word_max) wordNgrams(codes, this.word_max);
    if (this.char_max) charNgrams(codes, this.char_min, this.char_max);
    const seen = count;
    for (let i = 0; i < seen; i++) {
      const place = this.place(buckets[i]);
      if (place < 0) continue;
      knownCount++;
      if (this.counts[place]++ === 0) touched.push(place);
    }
    const columns = Int32Array.from(touched).sort(), values = new Float64Array(columns.length);
    let norm = 0;
    for (let i = 0; i < columns.length; i++) {
      values[i] = (1 + Math.log(this.counts[columns[i]])) * this.idf[columns[i]];
      norm += values[i] * values[i];
      this.counts[columns[i]] = 0;
    }
    norm = Math.sqrt(norm);
    for (let i = 0; i < values.length; i++) values[i] = Math.fround((this.weight * values[i]) / norm);
    return { columns, values, seen, known: knownCount };
  }
}

function blocksOf(specs, tensors) {
  return specs.map((spec, i) => new Block(spec, tensors[`buckets.${i}`].data, tensors[`idf.${i}`].data));
}

// Add what the n-grams of a text add to the scores; returns the terms of each block.
function addNgrams(text, blocks, weights, outputs, scores) {
  const codes = codesOf(normalizeText(text));
  let offset = 0;
  return blocks.map((block) => {
    const terms = block.apply(codes);
    for (let i = 0; i < terms.columns.length; i++) {
      const at = (offset + terms.columns[i]) * outputs, value = terms.values[i];
      for (let k = 0; k < outputs; k++) scores[k] += weights[at + k] * value;
    }
    offset += block.width;
    return terms;
  });
}
