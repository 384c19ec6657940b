// Neural networks: ONNX Runtime for WebAssembly and tokenizers, which stand in scripts of their own; one thread, no connection.
const SIMD = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11]);
class NoSimd extends Error {}

let runtime = null;
function startRuntime() {
  runtime ??= (async () => {
    if (typeof WebAssembly !== "object" || !WebAssembly.validate(SIMD)) {
      throw new NoSimd("this browser has no WebAssembly with SIMD, which networks need: use Chrome or Edge 91, Firefox 89, Safari 16.4, or newer");
    }
    const packed = new Blob([bytesOf(globalThis.RUNG_WASM)]).stream().pipeThrough(new DecompressionStream("gzip"));
    const ort = globalThis.RUNG_ORT;
    Object.assign(ort.env.wasm, { numThreads: 1, proxy: false, wasmBinary: await new Response(packed).arrayBuffer() });
    return ort;
  })();
  return runtime;
}

// An ONNX file, opened at its first run; its runs follow each other.
class Network {
  constructor(bytes) {
    this.bytes = bytes;
    this.last = Promise.resolve();
  }

  async open() {
    this.session ??= startRuntime().then((ort) => ort.InferenceSession.create(this.bytes, { executionProviders: ["wasm"] }));
    return this.session;
  }

  // One output of a batch of one; feed: name -> [kind, data, shape], of which only what the file reads is taken.
  run(output, feed) {
    const found = this.last.then(async () => {
      const session = await this.open(), { Tensor } = globalThis.RUNG_ORT;
      const tensors = Object.fromEntries(session.inputNames.map((name) => [name, new Tensor(...feed[name])]));
      const answer = (await session.run(tensors, [output]))[output], { data, dims } = answer;
      return { data: Float32Array.from(data), dims };
    });
    this.last = found.catch(() => {});
    return found;
  }
}

const whole = (numbers) => BigInt64Array.from(numbers, BigInt);

// The tokens of a text as the library of the server gives them, without special ones; lone surrogates count as "?". The
// normalizer of machine translation, which stands first where it stands at all, is not in the library of JavaScript.
const DROPPED = /[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]/g, BLANKED = /[\t\n\x0c\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g;
class Tokens {
  constructor(settings) {
    const steps = settings.normalizer?.normalizers ?? [];
    this.isNmt = steps[0]?.type === "Nmt";
    if (this.isNmt) settings = { ...settings, normalizer: { ...settings.normalizer, normalizers: steps.slice(1) } };
    this.isLower = JSON.stringify(settings.normalizer ?? null).match(/"lowercase":true|"Lowercase"/) !== null;
    this.tokenizer = new globalThis.RUNG_TOKENIZERS.Tokenizer(settings, {});
  }

  ids(text) {
    if (this.isNmt) text = text.replace(DROPPED, "").replace(BLANKED, " ");
    // JavaScript makes the last sigma of a word another letter; the library takes each letter by itself.
    if (this.isLower) text = text.replaceAll("\u03a3", "\u03c3");
    return text ? this.tokenizer.encode(text.replace(LONE, "?"), { add_special_tokens: false }).ids : [];
  }
}

// A sentence encoder: the mean of its tokens' vectors over one or several pieces of a text, of length 1.
class Encoder {
  constructor(files, about) {
    Object.assign(this, { config: files.json["encoder/encoder.json"], ...about });
    this.chunks = files.json["encoder/embedder.json"].pool_chunks ? 8 : 1;
    this.tokens = new Tokens(files.json["encoder/tokenizer.json"]);
    this.network = new Network(files.bytes("encoder/model.onnx"));
  }

  async embed(text) {
    const room = this.config.max_tokens - this.head.length - this.tail.length, most = this.chunks * room;
    text = this.config.prefix + text;
    const shorter = cut(text, (most + 16) * 6);
    let ids = this.tokens.ids(shorter);
    if (shorter !== text && ids.length < most + 16) ids = this.tokens.ids(text);
    ids = ids.slice(0, most);
    let sum = null;
    for (let begin = 0; begin < Math.max(1, ids.length); begin += room) {
      const piece = [...this.head, ...ids.slice(begin, begin + room), ...this.tail], vector = await this.vector(piece);
      sum ??= new Float32Array(vector.length);
      vector.forEach((value, i) => (sum[i] += single(value * piece.length)));
    }
    const length = single(Math.sqrt(sum.reduce((total, value) => total + value * value, 0)));
    return sum.map((value) => value / Math.max(length, 1e-12));
  }

  async vector(ids) {
    const shape = [1, ids.length];
    const { data, dims } = await this.network.run(this.output, {
      input_ids: ["int64", whole(ids), shape], attention_mask: ["int64", whole(ids.map(() => 1)), shape], token_type_ids: ["int64", whole(ids.map(() => 0)), shape],
    });
    if (dims.length < 3) return data;
    const width = dims[2], first = data.slice(0, width);
    if (this.config.pooling !== "mean") return first;
    return first.map((_, k) => ids.reduce((sum, _id, token) => sum + data[token * width + k], 0) / ids.length);
  }
}

class EncoderModel extends TextModel {
  constructor(about, files) {
    super(about, files);
    this.isAsync = true;
    this.encoder = new Encoder(files, about.encoder);
    this.ready = this.encoder.network.open();
  }

  async answer(row) {
    const text = joined(row, this.fields);
    return this.answerWith(text, await this.encoder.embed(text));
  }
}

// What models have in common whose network gives one score a label.
class ScoredModel {
  constructor(about, files) {
    const facts = files.json["network.json"];
    Object.assign(this, { facts, fields: about.schema.inputs, labels: about.schema.outputs[0].values, calibration: facts.calibration, isAsync: true });
    this.network = new Network(files.bytes("model.onnx"));
    this.ready = this.network.open();
  }

  answerWith(scores) {
    return answerOf(this.labels, this.calibration, calibrate(this.calibration, [], scores));
  }
}

class TextNetwork extends ScoredModel {
  constructor(about, files) {
    super(about, files);
    this.tokens = new Tokens(files.json["tokenizer.json"]);
  }

  ids(text) {
    const { max_tokens: most, tail, before, after, prefix } = this.facts.inputs, room = Math.max(most - before.length - after.length, 1), chars = 24 * room;
    let read = text;
    if (countChars(text) > chars) {
      const all = Array.from(text), half = Math.floor(chars / 2);
      read = tail > 0 ? `${all.slice(0, half).join("")} ${all.slice(all.length - half).join("")}` : cut(text, chars);
    }
    let ids = this.tokens.ids(prefix + read);
    if (ids.length > room) ids = [...ids.slice(0, room - tail), ...ids.slice(ids.length - tail)];
    return [...before, ...(ids.length ? ids : [0]), ...after];
  }

  async answer(row) {
    const ids = this.ids(joined(row, this.fields)), length = this.facts.inputs.padded ? 8 * Math.ceil(ids.length / 8) : ids.length;
    const pad = new Array(length - ids.length).fill(0), shape = [1, length];
    const feed = { input_ids: ["int64", whole([...ids, ...pad]), shape], attention_mask: ["int64", whole([...ids.map(() => 1), ...pad]), shape] };
    return this.answerWith(Array.from((await this.network.run("logits", feed)).data));
  }
}

const tensorOf = ({ data, height, width, channels }) => ["uint8", data, [1, height, width, channels]];

class ImageNetwork extends ScoredModel {
  async answer(row) {
    const sums = new Array(this.labels.length).fill(0);
    for (const field of this.fields) {
      const picture = await readPixels(row[field.name], this.facts.preprocessing);
      (await this.network.run("logits", { images: tensorOf(picture) })).data.forEach((score, k) => (sums[k] += score));
    }
    return this.answerWith(sums.map((sum) => sum / this.fields.length));
  }
}

// A linear head over what a network makes of images: each depth of it of the same length, together of length 1.
class BackboneModel extends ImageModel {
  constructor(about, files) {
    super(about, files);
    this.widths = files.json["backbone/backbone.json"].widths;
    this.network = new Network(files.bytes("backbone/model.onnx"));
    this.ready = this.network.open();
  }

  async vector(value) {
    const picture = await readPixels(value, this.extractor.preprocessing), share = single(this.widths.length ** -0.5);
    const { data } = await this.network.run("features", { images: tensorOf(picture) }), found = [];
    let begin = 0;
    for (const width of this.widths) {
      const part = data.subarray(begin, begin + width), length = single(Math.sqrt(part.reduce((sum, one) => sum + one * one, 0)));
      for (const one of part) found.push(single(one * single(share / Math.max(length, single(1e-12)))));
      begin += width;
    }
    return found;
  }
}
Object.assign(PUBLIC, { NoSimd });
Object.assign(PARTS, { Tokens, startRuntime });
