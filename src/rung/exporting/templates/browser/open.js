function modelOf(about, files) {
  const head = files.json["head.json"];
  if (files.json["table.json"]) return new TableModel(about, files);
  if (files.json["network.json"]) return files.json["tokenizer.json"] ? new TextNetwork(about, files) : new ImageNetwork(about, files);
  if (head.extractor) return files.has("backbone/model.onnx") ? new BackboneModel(about, files) : new ImageModel(about, files);
  if (files.has("encoder/model.onnx")) return new EncoderModel(about, files);
  const model = new TextModel(about, files);
  // The first answer makes tables that all later ones use: made here, nobody waits for it while typing.
  model.answer(Object.fromEntries(about.schema.inputs.map((field) => [field.name, "a b"])));
  return model;
}

const opened = new WeakMap();
function open(packed) {
  if (!opened.has(packed)) opened.set(packed, openModel(packed));
  return opened.get(packed);
}

// The model of a folder, opened once; rows to answers. Models of images and networks answer with promises:
// files are unpacked by streams, and runtimes are started.
function openModel(packed) {
  const files = {
    json: packed.json, has: (name) => name in packed.tensors, bytes: (name) => bytesOf(packed.tensors[name]), tensors: (name) => readTensors(packed.tensors[name]),
  };
  const about = packed.about, fields = about.schema.inputs, steps = about.clean.steps ?? [];
  const model = modelOf(about, files);
  const round = (value) => Math.round(value * 1e6) / 1e6;

  function answerOne(row) {
    return model.answer(readRow(row, fields, steps));
  }

  function shown(found) {
    if (!found.chances) return found;
    const scores = Object.fromEntries(model.labels.map((label, k) => [label, round(found.chances[k])]));
    return Array.isArray(found.value) ? { labels: found.value, scores } : { label: found.value, probability: scores[found.value], scores };
  }

  function refused(error) {
    if (error instanceof CellError) return { error: error.message };
    throw error;
  }

  async function predictInTurn(rows) {
    const found = [];
    for (const row of rows) {
      try {
        found.push(shown(await answerOne(row)));
      } catch (error) {
        found.push(refused(error));
      }
    }
    return found;
  }

  // One answer a row: {label, probability, scores}, {labels, scores}, {value, low, high}, or {error}; or a promise of them.
  function predict(rows) {
    if (!Array.isArray(rows)) throw new TypeError("predict takes a list of rows");
    if (model.isAsync) return predictInTurn(rows);
    return rows.map((row) => {
      try {
        return shown(answerOne(row));
      } catch (error) {
        return refused(error);
      }
    });
  }

  return { predict, answerOne, info: about, isSlow: Boolean(model.ready), ready: model.ready ?? Promise.resolve() };
}
// Parts that a test holds against Python.
return { open, ...PUBLIC, parts: { normalizeText, cleanText, scalarText, digest, Block, Tokenizer, codesOf, bytesOf, ...PARTS } };
