// Scores to probabilities to answers.
function softmax(scores, scale) {
  const logits = scores.map((score) => score * scale), most = Math.max(...logits);
  const raw = logits.map((logit) => Math.exp(logit - most)), sum = raw.reduce((a, b) => a + b, 0);
  return raw.map((value) => value / sum);
}

function interpolate(x, xs, ys) {
  let low = 0, high = xs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return ys[0];
  if (low === xs.length) return ys[ys.length - 1];
  return ((ys[low] - ys[low - 1]) / (xs[low] - xs[low - 1])) * (x - xs[low - 1]) + ys[low - 1];
}

function calibrate(calibration, knots, scores) {
  if (calibration.kind === "sigmoid") {
    return scores.map((score) => 1 / (1 + Math.exp(-Math.min(60, Math.max(-60, score * calibration.scale)))));
  }
  const raw = softmax(scores, calibration.scale);
  if (calibration.kind !== "isotonic") return raw;
  const mixed = raw.map((chance, i) => 0.9 * interpolate(chance, knots[i][0], knots[i][1]) + 0.1 * chance);
  const sum = mixed.reduce((a, b) => a + b, 0);
  return mixed.map((value) => value / sum);
}

function knotsOf(calibration, tensors, labels) {
  return calibration.kind === "isotonic" ? labels.map((_, i) => [tensors[`knots.${i}.x`].data, tensors[`knots.${i}.y`].data]) : [];
}

const likeliest = (chances) => chances.reduce((best, chance, i) => (chance > chances[best] ? i : best), 0);

// Closeness to training rows: exp(-distance squared) in a rotated space.
class Curves {
  constructor(tensors) {
    Object.assign(this, { directions: tensors["curves.directions"].data, centre: tensors["curves.centre"].data, landmarks: tensors["curves.landmarks"].data });
    this.axes = this.centre.length;
    this.count = this.landmarks.length / this.axes;
    this.lengths = Float64Array.from({ length: this.count }, (_, i) => this.landmarks.subarray(i * this.axes, (i + 1) * this.axes).reduce((sum, value) => sum + value * value, 0));
  }

  features(vector) {
    const { axes, directions, landmarks } = this, rotated = new Float64Array(axes);
    for (let i = 0; i < vector.length; i++) if (vector[i]) for (let k = 0, at = i * axes; k < axes; k++) rotated[k] += vector[i] * directions[at + k];
    let own = 0;
    for (let k = 0; k < axes; k++) {
      rotated[k] -= this.centre[k];
      own += rotated[k] * rotated[k];
    }
    const found = new Float64Array(this.count);
    for (let i = 0; i < this.count; i++) {
      let product = 0;
      for (let k = 0, at = i * axes; k < axes; k++) product += rotated[k] * landmarks[at + k];
      found[i] = Math.exp(-Math.max(own + this.lengths[i] - 2 * product, 0));
    }
    return found;
  }
}

// A label, or the labels that reach their thresholds.
function answerOf(labels, calibration, chances) {
  if (calibration.kind !== "sigmoid") return { value: labels[likeliest(chances)], chances };
  return { value: labels.filter((_, k) => chances[k] >= calibration.thresholds[k]), chances };
}

// The text of a row: its fields, one below the other.
const joined = (row, fields) => (fields.length === 1 ? row[fields[0].name] ?? "" : fields.map((field) => row[field.name]).filter((text) => text !== null).join("\n"));

// N-grams with TF-IDF and a linear head; static vectors beside or instead of them.
class TextModel {
  constructor(about, files) {
    const head = files.json["head.json"], tensors = files.tensors("weights.safetensors");
    this.fields = about.schema.inputs;
    this.labels = about.schema.outputs[0].values;
    this.calibration = head.calibration;
    this.weights = tensors.weights.data;
    this.bias = tensors.bias.data;
    this.blocks = blocksOf(head.blocks, tensors);
    this.shares = about.model === "tfidf_linear" ? head.shares ?? [] : [];
    this.knots = knotsOf(head.calibration, tensors, this.labels);
    this.curves = tensors["curves.landmarks"] ? new Curves(tensors) : null;
    this.vectors = files.has("encoder/embedding.safetensors")
      ? new StaticVectors(files.json["encoder/tokenizer.json"], files.tensors("encoder/embedding.safetensors")) : null;
  }

  answer(row) {
    const text = joined(row, this.fields);
    return this.answerWith(text, this.vectors ? this.vectors.embed(text) : null);
  }

  // The weights of n-grams come first, those of the vector, or of its closeness to training rows, last.
  answerWith(text, vector) {
    const outputs = this.labels.length, scores = Array.from(this.bias);
    if (vector) {
      const features = this.curves ? this.curves.features(vector) : vector, begin = this.weights.length - features.length * outputs;
      for (let i = 0; i < features.length; i++) for (let k = 0; k < outputs; k++) scores[k] += features[i] * this.weights[begin + i * outputs + k];
    }
    const found = addNgrams(text, this.blocks, this.weights, outputs, scores);
    let chances = calibrate(this.calibration, this.knots, scores);
    if (this.shares.length && this.isWithoutWords(found)) {
      const seen = found.reduce((sum, one) => sum + one.seen, 0), known = seen ? found.reduce((sum, one) => sum + one.known, 0) / seen : 0;
      chances = chances.map((chance, k) => known * chance + (1 - known) * this.shares[k]);
    }
    return answerOf(this.labels, this.calibration, chances);
  }

  // No word of the vocabulary; where it has no words, no n-gram.
  isWithoutWords(found) {
    return this.blocks[0].word_max ? found[0].columns.length === 0 : found.every((one) => one.columns.length === 0);
  }
}
