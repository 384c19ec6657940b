// Models of tables: features, members, calibration, threshold or the scale of a number.
class TableModel {
  constructor(about, files) {
    const facts = files.json["table.json"], tensors = files.tensors("table.safetensors");
    Object.assign(this, { facts, labels: about.schema.outputs[0].kind === "category" ? about.schema.outputs[0].values : [] });
    this.outputs = Math.max(this.labels.length, 1);
    const features = facts.features;
    this.categories = Object.entries(features.categories).map(([name, values], place) => {
      const digests = tensors[`digests.${place}`]?.data ?? [];
      const rare = new Map(Array.from(digests, (one, i) => [one, values.length + i]));
      return { name, known: new Map(values.map((value, code) => [value, code])), rare, other: values.length + digests.length };
    });
    this.texts = Object.entries(features.texts).map(([name, text], place) => {
      const own = pick(tensors, `text.${place}.`);
      return { name, blocks: blocksOf(text.block, own), weights: own.weights.data, bias: own.bias.data };
    });
    this.members = facts.parts.map((kind, place) => MEMBERS[kind](pick(tensors, `part.${place}.`), this.outputs));
    this.knots = knotsOf(facts.calibration, tensors, this.labels);
  }

  cells(row) {
    const numbers = this.facts.features.numbers.map(([name, part]) => (part ? calendar(row[name], part) : row[name]));
    for (const text of this.texts) {
      const scores = Array.from(text.bias, () => 0), words = row[text.name] ?? "";
      addNgrams(words, text.blocks, text.weights, scores.length, scores);
      numbers.push(...scores.map((score, k) => score + text.bias[k]), countChars(words));
    }
    const codes = this.categories.map(({ name, known: words, rare, other }) => {
      const word = row[name];
      if (word === null || word === "") return other + 1;
      return words.get(word) ?? (rare.size ? rare.get(digest(name, word)) : undefined) ?? other;
    });
    return { numbers, codes };
  }

  answer(row) {
    const cells = this.cells(row), raw = new Array(this.outputs).fill(0);
    this.members.forEach((member, i) => member(cells).forEach((score, k) => (raw[k] += this.facts.weights[i] * score)));
    if (!this.labels.length) return this.number(raw[0]);
    const chances = calibrate(this.facts.calibration, this.knots, raw), threshold = this.facts.decision.threshold;
    const best = threshold === null ? likeliest(chances) : Number(chances[1] >= threshold);
    return { value: this.labels[best], chances };
  }

  number(raw) {
    const scale = this.facts.scale, wide = scale.high - scale.low;
    const inverse = (score) => {
      let value = score * scale.spread + scale.shift;
      if (scale.logarithmic) value = Math.exp(Math.min(700, Math.max(-700, value))) - scale.offset;
      return Math.min(scale.high + wide, Math.max(scale.low - wide, value));
    };
    const value = scale.logarithmic ? inverse(raw) * scale.smear : inverse(raw);
    return { value, low: Math.min(inverse(raw - scale.radius), value), high: Math.max(inverse(raw + scale.radius), value) };
  }
}

function pick(tensors, prefix) {
  const own = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

// Parts of a moment in seconds since 1970, UTC.
function calendar(seconds, part) {
  if (Number.isNaN(seconds)) return NaN;
  const day = Math.floor(seconds / 86400);
  if (part === "day") return day;
  if (part === "weekday") return (((day + 3) % 7) + 7) % 7;
  if (part === "hour") return Math.floor((seconds - 86400 * day) / 3600);
  return new Date(1000 * seconds).getUTCMonth() + 1;
}

function listed(tensors, prefix) {
  const found = [];
  for (let i = 0; `${prefix}${i}` in tensors; i++) found.push(tensors[`${prefix}${i}`]);
  return found;
}

// Scores of the second of two labels as scores of both.
const bothLabels = (scores, outputs) => (scores.length < outputs ? [-scores[0] / 2, scores[0] / 2] : scores);

const MEMBERS = {
  linear(tensors, outputs) {
    const [fill, knots, gaps, shift, scale, weights, bias] = ["fill", "knots", "gaps", "shift", "scale", "weights", "bias"].map((name) => tensors[name].data);
    const count = tensors.knots.shape[1], kept = listed(tensors, "kept.").map((tensor) => tensor.data);
    const begins = [];
    let begin = shift.length;
    for (const places of kept) {
      begins.push(begin);
      begin += Math.max(-1, ...places) + 1;
    }
    return ({ numbers, codes }) => {
      const missing = numbers.map((value) => !(Math.abs(value) < 1e100));
      const held = numbers.map((value, i) => {
        const filled = missing[i] ? fill[i] : value;
        return count ? Math.min(Math.max(filled, knots[i * count]), knots[(i + 1) * count - 1]) : filled;
      });
      const dense = [...held];
      for (let k = 1; k < count - 1; k++) held.forEach((value, i) => dense.push(Math.max(value - knots[i * count + k], 0)));
      for (const gap of gaps) dense.push(missing[gap] ? 1 : 0);
      const scores = Array.from(bias);
      dense.forEach((value, i) => {
        const standard = (value - shift[i]) / scale[i];
        for (let k = 0; k < outputs; k++) scores[k] += standard * weights[i * outputs + k];
      });
      kept.forEach((places, j) => {
        for (let k = 0; k < outputs; k++) scores[k] += weights[(begins[j] + places[codes[j]]) * outputs + k];
      });
      return scores;
    };
  },

  trees(tensors, outputs) {
    const [fill, feature, number, right, roots, output] = ["fill", "trees.feature", "trees.number", "trees.right", "trees.roots", "trees.output"].map((name) => tensors[name].data);
    const shift = tensors.shift?.data, means = listed(tensors, "means."), own = tensors["trees.outputs"].data[0], most = 3.4028234663852886e38;
    return ({ numbers, codes }) => {
      const row = numbers.map((value, i) => {
        let filled = Number.isNaN(value) ? fill[i] : value;
        if (shift && !Number.isNaN(filled)) filled = Math.min(most, Math.max(-most, filled - shift[i]));
        return Math.fround(filled);
      });
      means.forEach(({ data, shape }, j) => {
        for (let k = 0; k < shape[1]; k++) row.push(Math.fround(data[codes[j] * shape[1] + k]));
      });
      const scores = new Array(own).fill(0);
      for (let tree = 0; tree < roots.length; tree++) {
        let node = roots[tree];
        for (let at = feature[node]; at !== -1; at = feature[node]) {
          const value = row[at < 0 ? -2 - at : at];
          node += (Number.isNaN(value) ? at >= 0 : value <= number[node]) ? 1 : right[node];
        }
        scores[output[tree]] += number[node];
      }
      return bothLabels(scores, outputs);
    };
  },

  additive(tensors, outputs) {
    const columns = tensors.columns.data, axes = listed(tensors, "axis.").map((tensor) => tensor.data);
    const terms = [];
    for (let i = 0; `term.${i}.table` in tensors; i++) terms.push({ of: Array.from(tensors[`term.${i}.axes`].data), ...tensors[`term.${i}.table`] });
    const intercept = tensors.intercept.data;
    return ({ numbers, codes }) => {
      const bins = axes.map((places, i) => {
        if (columns[i] >= numbers.length) return places[Math.min(codes[columns[i] - numbers.length], places.length - 1)];
        const value = numbers[columns[i]];
        if (Number.isNaN(value)) return 0;
        let low = 0, high = places.length;
        while (low < high) {
          const middle = (low + high) >> 1;
          if (places[middle] <= value) low = middle + 1;
          else high = middle;
        }
        return low + 1;
      });
      const scores = Array.from(intercept);
      for (const { of, data, shape } of terms) {
        const bin = of.length > 1 ? bins[of[0]] * shape[1] + bins[of[1]] : bins[of[0]];
        for (let k = 0; k < scores.length; k++) scores[k] += data[bin * scores.length + k];
      }
      return bothLabels(scores, outputs);
    };
  },

  // Numbers by their quantiles and periodic features, categories by learned vectors; members share layers.
  network(tensors) {
    const quantiles = tensors.quantiles, count = quantiles.shape[1], reach = Math.sqrt(3), shift = tensors.shift.data;
    const places = Array.from({ length: count }, (_, i) => (i === count - 1 ? reach : -reach + i * ((2 * reach) / (count - 1))));
    const nets = [];
    while (`net.${nets.length}.frequencies` in tensors) nets.push(tableNetwork(pick(tensors, `net.${nets.length}.`)));
    return ({ numbers, codes }) => {
      const missing = numbers.map((value) => (Number.isNaN(value) ? 1 : 0));
      const values = numbers.map((value, j) => (missing[j] ? 0 : Math.fround(interpolate(value, quantiles.data.subarray(j * count, (j + 1) * count), places))));
      const each = nets.flatMap((net) => net(values, missing, codes));
      if (!tensors.has_labels.data[0]) return Array.from(shift, (own, k) => each.reduce((sum, one) => sum + one[k], 0) / each.length + own);
      const chances = each.map((scores) => softmax(scores, 1));
      return Array.from(shift, (own, k) => Math.log(Math.max(chances.reduce((sum, one) => sum + one[k], 0) / each.length, 1e-12)) + own);
    };
  },
};

// One trained network: a function of a row's numbers, which of them are missing, and codes; the outputs of each member.
function tableNetwork(tensors) {
  const { frequencies, number_weight: weight, number_bias: bias, head_weight: head, head_bias: last } = tensors, periods = frequencies.shape[1];
  const [, parts, width] = weight.shape, [members, , outputs] = head.shape, tables = listed(tensors, "category.");
  const layers = [];
  while (`layer.${layers.length}.weight` in tensors) layers.push(pick(tensors, `layer.${layers.length}.`));
  const relu = (value) => Math.fround(Math.max(value, 0));

  function columns(values, missing, codes) {
    const found = [];
    values.forEach((value, j) => {
      const turns = Array.from({ length: periods }, (_, k) => Math.fround(Math.fround(Math.fround(2 * Math.PI) * frequencies.data[j * periods + k]) * value));
      const own = [...turns.map((turn) => Math.fround(Math.sin(turn))), ...turns.map((turn) => Math.fround(Math.cos(turn))), value, missing[j]];
      for (let k = 0; k < width; k++) {
        let sum = bias.data[j * width + k];
        for (let i = 0; i < parts; i++) sum += own[i] * weight.data[(j * parts + i) * width + k];
        found.push(relu(sum));
      }
    });
    tables.forEach(({ data, shape }, j) => found.push(...data.subarray(codes[j] * shape[1], (codes[j] + 1) * shape[1])));
    return found;
  }

  return (values, missing, codes) => {
    const embedded = columns(values, missing, codes);
    return Array.from({ length: members }, (_, member) => {
      let states = embedded;
      for (const { before, weight: shared, after, bias: own } of layers) {
        const [inner, outer] = shared.shape, sums = new Float64Array(outer);
        states.forEach((state, i) => {
          const scaled = Math.fround(state * before.data[member * inner + i]);
          if (scaled) for (let k = 0; k < outer; k++) sums[k] += scaled * shared.data[i * outer + k];
        });
        states = Array.from(sums, (sum, k) => relu(sum * after.data[member * outer + k] + own.data[member * outer + k]));
      }
      return Array.from({ length: outputs }, (_, k) => Math.fround(states.reduce((sum, state, i) => sum + state * head.data[(member * states.length + i) * outputs + k], last.data[member * outputs + k])));
    });
  };
}
