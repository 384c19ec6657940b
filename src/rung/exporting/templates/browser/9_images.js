// Models of images: gradients and pixels with a linear head, whose borders may be curved.
const BINS = 9;

// Strength, lower bin and share of the upper bin of the gradient at each pixel; of colours the strongest counts.
function gradients({ width, height, channels, data }) {
  const levels = Float32Array.from(data, (level) => Math.sqrt(single(level / 255)));
  const strength = new Float32Array(width * height), lower = new Uint8Array(width * height), share = new Float32Array(width * height);
  const turn = single(BINS / Math.PI), shift = single(2 * BINS - 0.5);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let best = -1, across = 0, down = 0;
      for (let k = 0; k < channels; k++) {
        const at = (y * width + x) * channels + k;
        const a = x > 0 && x < width - 1 ? single(levels[at + channels] - levels[at - channels]) : 0;
        const d = y > 0 && y < height - 1 ? single(levels[at + width * channels] - levels[at - width * channels]) : 0;
        const length = single(Math.sqrt(a * a + d * d));
        if (length > best) [best, across, down] = [length, a, d];
      }
      const angle = single(single(single(Math.atan2(down, across)) * turn) + shift), floor = Math.floor(angle), at = y * width + x;
      strength[at] = best;
      lower[at] = floor % BINS;
      share[at] = single(angle - floor);
    }
  }
  return { strength, lower, share };
}

function histograms({ strength, lower, share }, width, cell, rows, columns) {
  const total = new Float64Array(rows * columns * BINS);
  for (let y = 0; y < rows * cell; y++) {
    for (let x = 0; x < columns * cell; x++) {
      const at = y * width + x, place = (Math.floor(y / cell) * columns + Math.floor(x / cell)) * BINS;
      total[place + lower[at]] += single(strength[at] * single(1 - share[at]));
      total[place + ((lower[at] + 1) % BINS)] += single(strength[at] * share[at]);
    }
  }
  return Float32Array.from(total, (value) => value / cell ** 2);
}

function toLengthOne(block) {
  const squared = block.reduce((sum, value) => sum + value * value, 0), length = single(Math.sqrt(single(single(squared) + single(1e-3))));
  return block.map((value) => single(value / length));
}

// Histograms of oriented gradients: blocks of 2 x 2 cells, scaled to length 1, clipped and scaled again.
function hogFeatures(picture, cells, factor) {
  const found = [], marks = gradients(picture), { width, height } = picture;
  for (const cell of cells) {
    const rows = Math.floor(height / cell), columns = Math.floor(width / cell), bins = histograms(marks, width, cell, rows, columns);
    for (let y = 0; y + 1 < rows; y++) {
      for (let x = 0; x + 1 < columns; x++) {
        const corners = [y * columns + x, y * columns + x + 1, (y + 1) * columns + x, (y + 1) * columns + x + 1];
        const block = corners.flatMap((corner) => Array.from(bins.subarray(corner * BINS, (corner + 1) * BINS)));
        for (const value of toLengthOne(toLengthOne(block).map((one) => Math.min(one, single(0.2))))) found.push(single(value * single(factor)));
      }
    }
  }
  return found;
}

// The levels in [0, 1], averaged over areas until no side is longer than `side`.
function pixelFeatures({ width, height, channels, data }, side, factor) {
  const size = Math.max(1, Math.ceil(Math.max(width, height) / side)), rows = Math.floor(height / size), columns = Math.floor(width / size), found = [];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      for (let k = 0; k < channels; k++) {
        let sum = 0;
        for (let v = 0; v < size; v++) for (let u = 0; u < size; u++) sum += data[((y * size + v) * width + x * size + u) * channels + k];
        found.push(single(single(single(sum / size ** 2) / 255) * single(factor)));
      }
    }
  }
  return found;
}

class ImageModel {
  constructor(about, files) {
    const head = files.json["head.json"], tensors = files.tensors("weights.safetensors");
    Object.assign(this, { fields: about.schema.inputs, labels: about.schema.outputs[0].values, calibration: head.calibration, extractor: head.extractor, isAsync: true });
    this.weights = tensors.weights.data;
    this.bias = tensors.bias.data;
    this.knots = knotsOf(head.calibration, tensors, this.labels);
    this.curves = tensors["curves.landmarks"] ? new Curves(tensors) : null;
  }

  async vector(value) {
    const { preprocessing, cells, pixel_side: side, factors } = this.extractor, picture = await readPixels(value, preprocessing);
    return [...(cells.length ? hogFeatures(picture, cells, factors[0]) : []), ...(side ? pixelFeatures(picture, side, factors[1]) : [])];
  }

  async answer(row) {
    const vector = [];
    for (const field of this.fields) for (const value of await this.vector(row[field.name])) vector.push(value);
    const features = this.curves ? this.curves.features(vector) : vector, outputs = this.labels.length, scores = new Array(outputs).fill(0);
    for (let i = 0; i < features.length; i++) if (features[i]) for (let k = 0, at = i * outputs; k < outputs; k++) scores[k] += features[i] * this.weights[at + k];
    return answerOf(this.labels, this.calibration, calibrate(this.calibration, this.knots, scores.map((score, k) => score + this.bias[k])));
  }
}
Object.assign(PARTS, { hogFeatures, pixelFeatures });
