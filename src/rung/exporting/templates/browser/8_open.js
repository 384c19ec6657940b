// The model of a folder, opened once; rows to answers.
function open(packed) {
  const files = { json: packed.json, tensors: (name) => readTensors(packed.tensors[name]) };
  const about = packed.about, fields = about.schema.inputs, steps = about.clean.steps ?? [];
  const model = files.json["table.json"] ? new TableModel(about, files) : new TextModel(about, files);
  const round = (value) => Math.round(value * 1e6) / 1e6;

  function answerOne(row) {
    return model.answer(readRow(row, fields, steps));
  }

  // One answer a row: {label, probability, scores}, {labels, scores}, {value, low, high}, or {error}.
  function predict(rows) {
    if (!Array.isArray(rows)) throw new TypeError("predict takes a list of rows");
    return rows.map((row) => {
      let found;
      try {
        found = answerOne(row);
      } catch (error) {
        if (error instanceof CellError) return { error: error.message };
        throw error;
      }
      if (!found.chances) return found;
      const scores = Object.fromEntries(model.labels.map((label, k) => [label, round(found.chances[k])]));
      return Array.isArray(found.value) ? { labels: found.value, scores } : { label: found.value, probability: scores[found.value], scores };
    });
  }

  return { predict, answerOne, info: about };
}
// Parts that a test holds against Python.
return { open, parts: { normalizeText, cleanText, scalarText, digest, Block, Tokenizer, codesOf } };
