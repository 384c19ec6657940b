// Images as the server reads them: PNG here, bit for bit; other formats by the browser; then Pillow's own arithmetic for
// grey levels, reduction and antialiased resizing.
const PNG_MARK = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const MAX_PIXELS = 50000000, MAX_SIDE = 30000;

function requireSize(width, height) {
  if (width * height > MAX_PIXELS || Math.max(width, height) > MAX_SIDE) {
    throw new CellError(`the image has ${width} x ${height} pixels; at most ${MAX_PIXELS} pixels, and ${MAX_SIDE} a side, are read`);
  }
}

async function inflate(pieces) {
  const stream = new Blob(pieces).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function pngChunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length), chunks = { IDAT: [] };
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at), name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const data = bytes.subarray(at + 8, at + 8 + length);
    if (data.length < length) break;
    if (name === "IDAT") chunks.IDAT.push(data);
    else chunks[name] ??= data;
    if (name === "IEND") break;
    at += 12 + length;
  }
  return chunks;
}

// Undo the filters of the lines of a picture (or of one pass of it); bpp: bytes of a whole pixel, at least 1.
function unfilter(raw, at, lineBytes, lines, bpp) {
  const out = new Uint8Array(lineBytes * lines);
  if (raw.length < at + (lineBytes + 1) * lines) throw new CellError("the PNG image is damaged: it ends too early");
  for (let y = 0; y < lines; y++) {
    const filter = raw[at++], to = y * lineBytes, up = to - lineBytes;
    if (filter > 4) throw new CellError("the PNG image is damaged: a line has an unknown filter");
    for (let i = 0; i < lineBytes; i++) {
      const a = i >= bpp ? out[to + i - bpp] : 0, b = y ? out[up + i] : 0, c = y && i >= bpp ? out[up + i - bpp] : 0;
      let guess = 0;
      if (filter === 1) guess = a;
      else if (filter === 2) guess = b;
      else if (filter === 3) guess = (a + b) >> 1;
      else if (filter === 4) {
        const p = a + b - c, pa = Math.abs(p - a), pb = Math.abs(p - b), pc = Math.abs(p - c);
        guess = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
      }
      out[to + i] = raw[at++] + guess;
    }
  }
  return { lines: out, at };
}

const PASSES = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];
const SAMPLES = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

// Samples of a PNG: {width, height, count (a pixel), depth, type, data}; 16-bit samples stay whole.
async function pngSamples(chunks) {
  const head = chunks.IHDR;
  if (!head || head.length < 13) throw new CellError("the PNG image is damaged: its header cannot be read");
  const view = new DataView(head.buffer, head.byteOffset, 13), width = view.getUint32(0), height = view.getUint32(4);
  const depth = head[8], type = head[9], interlaced = head[12], count = SAMPLES[type];
  if (!count || !width || !height) throw new CellError("the PNG image is damaged: its header cannot be read");
  requireSize(width, height);
  let raw;
  try {
    raw = await inflate(chunks.IDAT);
  } catch {
    throw new CellError("the PNG image is damaged: its pixels cannot be unpacked");
  }
  const data = depth === 16 ? new Uint16Array(width * height * count) : new Uint8Array(width * height * count);
  let at = 0;
  for (const [left, top, across, down] of interlaced ? PASSES : [[0, 0, 1, 1]]) {
    const columns = Math.ceil((width - left) / across), rows = Math.ceil((height - top) / down);
    if (columns <= 0 || rows <= 0) continue;
    const lineBytes = Math.ceil((columns * count * depth) / 8), found = unfilter(raw, at, lineBytes, rows, Math.max(1, (count * depth) >> 3));
    at = found.at;
    for (let y = 0; y < rows; y++) {
      for (let i = 0; i < columns * count; i++) {
        const x = Math.floor(i / count), to = ((top + y * down) * width + left + x * across) * count + (i % count), line = y * lineBytes;
        if (depth === 8) data[to] = found.lines[line + i];
        else if (depth === 16) data[to] = (found.lines[line + 2 * i] << 8) | found.lines[line + 2 * i + 1];
        else data[to] = (found.lines[line + ((i * depth) >> 3)] >> (8 - depth - ((i * depth) & 7))) & ((1 << depth) - 1);
      }
    }
  }
  return { width, height, count, depth, type, data };
}

// A picture: {width, height, channels: 1 grey, 3 RGB or 4 RGBA, data, isGrey}.
async function readPng(bytes) {
  const chunks = pngChunks(bytes), { width, height, count, depth, type, data } = await pngSamples(chunks);
  const turn = orientationOf(chunks.eXIf), pixels = width * height, isGrey = type === 0 || type === 4, clear = chunks.tRNS;
  const done = (channels, levels) => ({ width, height, channels, data: levels, turn, isGrey });
  if (type === 0 && depth === 16) return done(1, Uint8Array.from(data, (value) => Math.floor((value + 128) / 257)));
  if (type === 3) {
    const palette = chunks.PLTE ?? new Uint8Array(0), channels = clear ? 4 : 3, out = new Uint8Array(pixels * channels);
    for (let i = 0; i < pixels; i++) {
      for (let k = 0; k < 3; k++) out[i * channels + k] = palette[3 * data[i] + k] ?? 0;
      if (clear) out[i * 4 + 3] = clear[data[i]] ?? 255;
    }
    return done(channels, out);
  }
  const levels = depth === 16 ? Uint8Array.from(data, (value) => value >> 8)
    : depth < 8 ? Uint8Array.from(data, (value) => (value * 255) / ((1 << depth) - 1)) : data;
  if (count === 1 && !clear) return done(1, levels);
  if (count === 3 && !clear) return done(3, levels);
  const out = new Uint8Array(pixels * 4), wanted = clear ? [0, 1, 2].map((k) => (clear[2 * k] << 8) | clear[2 * k + 1]) : [];
  for (let i = 0; i < pixels; i++) {
    for (let k = 0; k < 3; k++) out[i * 4 + k] = levels[i * count + (count > 2 ? k : 0)];
    const isClear = clear && (count === 3 ? wanted.every((value, k) => value === levels[i * 3 + k]) : wanted[0] === levels[i]);
    out[i * 4 + 3] = count === 4 ? levels[i * 4 + 3] : count === 2 ? levels[i * 2 + 1] : isClear ? 0 : 255;
  }
  return done(4, out);
}

// The orientation that EXIF gives, 1 to 8.
function orientationOf(exif) {
  if (!exif || exif.length < 14) return 1;
  const view = new DataView(exif.buffer, exif.byteOffset, exif.length), little = view.getUint16(0) === 0x4949;
  const begin = view.getUint32(4, little);
  if (begin + 2 > exif.length) return 1;
  for (let i = 0, at = begin + 2; i < view.getUint16(begin, little) && at + 12 <= exif.length; i++, at += 12) {
    const value = view.getUint16(at, little) === 0x0112 ? view.getUint16(at + 8, little) : 0;
    if (value >= 2 && value <= 8) return value;
  }
  return 1;
}

// Formats but PNG, by the browser: upright, its own decoder's levels, colour profiles left aside.
async function readByBrowser(bytes) {
  if (typeof createImageBitmap !== "function" || typeof document === "undefined") {
    throw new CellError("without a browser only PNG images are read, and pixels: {width, height, data}");
  }
  let picture;
  try {
    picture = await createImageBitmap(new Blob([bytes]), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new CellError("the browser cannot read this as an image: give PNG, JPEG, WebP, GIF or BMP");
  }
  requireSize(picture.width, picture.height);
  const canvas = Object.assign(document.createElement("canvas"), { width: picture.width, height: picture.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  return rgbaPicture(context.getImageData(0, 0, canvas.width, canvas.height));
}

function rgbaPicture({ width, height, data }) {
  const channels = data.length / (width * height);
  if (![1, 3, 4].includes(channels)) throw new CellError("pixels are {width, height, data} with 1, 3 or 4 levels a pixel");
  requireSize(width, height);
  return { width, height, channels, data, turn: 1, isGrey: channels === 1 };
}

// Averages over squares of whole pixels, as Pillow's `reduce`.
function reduced(picture, factor) {
  const { width, height, channels, data } = picture, across = Math.ceil(width / factor), down = Math.ceil(height / factor);
  const out = new Uint8Array(across * down * channels);
  for (let y = 0; y < down; y++) {
    const bottom = Math.min(height, (y + 1) * factor);
    for (let x = 0; x < across; x++) {
      const right = Math.min(width, (x + 1) * factor), area = (right - x * factor) * (bottom - y * factor);
      const times = Math.floor(Math.fround(4294967296 / Math.fround(256 * area))), half = area >> 1;
      for (let k = 0; k < channels; k++) {
        let sum = half;
        for (let v = y * factor; v < bottom; v++) for (let u = x * factor; u < right; u++) sum += data[(v * width + u) * channels + k];
        out[(y * across + x) * channels + k] = Math.floor((sum * times) / 16777216);
      }
    }
  }
  return { ...picture, width: across, height: down, data: out };
}

const by255 = (value) => ((value + 128 + ((value + 128) >> 8)) >> 8);

function reducedAlpha(picture, factor) {
  if (factor <= 1) return picture;
  const data = Uint8Array.from(picture.data);
  for (let i = 0; i < data.length; i += 4) for (let k = 0; k < 3; k++) data[i + k] = by255(data[i + k] * data[i + 3]);
  const small = reduced({ ...picture, data }, factor);
  for (let i = 0; i < small.data.length; i += 4) {
    const alpha = small.data[i + 3];
    if (alpha && alpha < 255) for (let k = 0; k < 3; k++) small.data[i + k] = Math.min(255, Math.floor((255 * small.data[i + k]) / alpha));
  }
  return small;
}

function toGrey(picture) {
  if (picture.channels === 1) return picture;
  const pixels = picture.width * picture.height, out = new Uint8Array(pixels), data = picture.data;
  for (let i = 0; i < pixels; i++) out[i] = (data[3 * i] * 19595 + data[3 * i + 1] * 38470 + data[3 * i + 2] * 7471 + 0x8000) >> 16;
  return { ...picture, channels: 1, data: out };
}

function toRgb(picture) {
  if (picture.channels === 3) return picture;
  const out = new Uint8Array(3 * picture.data.length);
  picture.data.forEach((level, i) => out.fill(level, 3 * i, 3 * i + 3));
  return { ...picture, channels: 3, data: out };
}

// Where each pixel of a turned picture comes from, by EXIF orientation.
const TURNS = {
  2: (x, y, w) => [w - 1 - x, y], 3: (x, y, w, h) => [w - 1 - x, h - 1 - y], 4: (x, y, w, h) => [x, h - 1 - y],
  5: (x, y) => [y, x], 6: (x, y, w, h) => [y, h - 1 - x], 7: (x, y, w, h) => [w - 1 - y, h - 1 - x], 8: (x, y, w) => [w - 1 - y, x],
};
function upright(picture) {
  const source = TURNS[picture.turn];
  if (!source) return picture;
  const { width, height, channels, data } = picture, across = picture.turn >= 5 ? height : width, down = picture.turn >= 5 ? width : height;
  const out = new Uint8Array(data.length);
  for (let y = 0; y < down; y++) {
    for (let x = 0; x < across; x++) {
      const [u, v] = source(x, y, width, height);
      for (let k = 0; k < channels; k++) out[(y * across + x) * channels + k] = data[(v * width + u) * channels + k];
    }
  }
  return { ...picture, width: across, height: down, data: out, turn: 1 };
}

// An image file's bytes or pixels as a picture, upright, grey or RGB, transparent pixels over the background.
async function loadImage(value, preprocessing) {
  let picture = value;
  if (value instanceof Uint8Array) picture = await (PNG_MARK.every((byte, i) => value[i] === byte) ? readPng(value) : readByBrowser(value));
  else picture = rgbaPicture(value);
  const factor = Math.floor(Math.min(picture.width, picture.height) / preprocessing.least_side);
  if (picture.channels === 4) {
    const shown = reducedAlpha(picture, factor), pixels = shown.width * shown.height, out = new Uint8Array(3 * pixels);
    for (let i = 0; i < pixels; i++) {
      const alpha = shown.data[4 * i + 3];
      for (let k = 0; k < 3; k++) out[3 * i + k] = by255(preprocessing.background * (255 - alpha) + shown.data[4 * i + k] * alpha);
    }
    picture = { ...shown, channels: 3, data: out };
    if (picture.isGrey) picture = toGrey(picture);
  } else if (factor > 1) picture = reduced(picture, factor);
  return upright(picture);
}

// Weights of the pixels behind each pixel of a resized line, as whole numbers: Pillow's antialiased filters.
function weightsOf(size, from, to, target, resample) {
  const scale = Math.fround(to - from) / target, wide = Math.max(scale, 1), reach = (resample === "area" ? 0.5 : 1) * wide, found = [];
  for (let place = 0; place < target; place++) {
    const centre = from + (place + 0.5) * scale, begin = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(size, Math.trunc(centre + reach + 0.5)), weights = [];
    let sum = 0;
    for (let x = begin; x < end; x++) {
      const away = (x - centre + 0.5) * (1 / wide);
      const weight = resample === "area" ? Number(away > -0.5 && away <= 0.5) : Math.max(0, 1 - Math.abs(away));
      weights.push(weight);
      sum += weight;
    }
    found.push({ begin, weights: weights.map((weight) => Math.trunc((sum ? weight / sum : weight) * 4194304 + 0.5)) });
  }
  return found;
}

const clip8 = (sum) => Math.min(255, Math.max(0, sum >> 22));

function resizedAcross(picture, left, right, target, resample) {
  const { width, height, channels, data } = picture, out = new Uint8Array(target * height * channels);
  if (target === width && !left && right === width) return picture;
  const columns = weightsOf(width, left, right, target, resample);
  for (let y = 0; y < height; y++) {
    columns.forEach(({ begin, weights }, x) => {
      for (let k = 0; k < channels; k++) {
        let sum = 2097152, at = (y * width + begin) * channels + k;
        for (let i = 0; i < weights.length; i++, at += channels) sum += data[at] * weights[i];
        out[(y * target + x) * channels + k] = clip8(sum);
      }
    });
  }
  return { ...picture, width: target, data: out };
}

function resizedDown(picture, top, bottom, target, resample) {
  const { width, height, channels, data } = picture, line = width * channels, out = new Uint8Array(target * line);
  if (target === height && !top && bottom === height) return picture;
  weightsOf(height, top, bottom, target, resample).forEach(({ begin, weights }, y) => {
    for (let i = 0; i < line; i++) {
      let sum = 2097152;
      for (let j = 0, at = begin * line + i; j < weights.length; j++, at += line) sum += data[at] * weights[j];
      out[y * line + i] = clip8(sum);
    }
  });
  return { ...picture, height: target, data: out };
}

// A box of a picture at another size, rounded to levels between the two directions. Pillow 13 begins with the lines where
// the height shrinks by more than twice what the width does.
function resized(picture, [width, height], resample, box = [0, 0, picture.width, picture.height]) {
  const [left, top, right, bottom] = box.map(Math.fround), shrinks = picture.height - height;
  if (shrinks > 0 && shrinks > (picture.width - width) * 2) return resizedAcross(resizedDown(picture, top, bottom, height, resample), left, right, width, resample);
  return resizedDown(resizedAcross(picture, left, right, width, resample), top, bottom, height, resample);
}

function roundEven(value) {
  const low = Math.floor(value), rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2) ? low + 1 : low;
}

// A loaded picture as the levels that a model reads: uint8 [height, width, channels].
function applyPreprocessing(loaded, how) {
  const picture = how.colour === "grey" ? toGrey(loaded) : toRgb(loaded), target = [how.width, how.height], { width, height } = picture;
  if (how.fit === "crop") {
    const scale = Math.min(width / how.width, height / how.height) * how.zoom, kept = target.map((side) => side * scale);
    const left = (width - kept[0]) / 2, top = (height - kept[1]) / 2;
    return resized(picture, target, how.resample, [left, top, left + kept[0], top + kept[1]]);
  }
  if (how.fit !== "pad") return resized(picture, target, how.resample);
  const scale = Math.min(how.width / width, how.height / height);
  const inner = resized(picture, [Math.max(roundEven(width * scale), 1), Math.max(roundEven(height * scale), 1)], how.resample);
  const data = new Uint8Array(how.width * how.height * picture.channels).fill(how.background), { channels } = picture;
  const left = (how.width - inner.width) >> 1, top = (how.height - inner.height) >> 1;
  for (let y = 0; y < inner.height; y++) {
    data.set(inner.data.subarray(y * inner.width * channels, (y + 1) * inner.width * channels), ((top + y) * how.width + left) * channels);
  }
  return { ...inner, width: how.width, height: how.height, data };
}

// The levels of an image as a model reads it; a missing one is all background.
async function readPixels(value, how) {
  if (value === null) {
    const channels = how.colour === "grey" ? 1 : 3;
    return { width: how.width, height: how.height, channels, data: new Uint8Array(how.width * how.height * channels).fill(how.background) };
  }
  return applyPreprocessing(await loadImage(value, how), how);
}
Object.assign(PUBLIC, { loadImage, applyPreprocessing, resized });
Object.assign(PARTS, { readPixels });
