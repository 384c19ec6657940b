// Answer rows and say how long it took; shared by the checks in Node.js and in Chromium.
globalThis.rungCheck = (model, rows) => {
  const answers = rows.map((row) => {
    try {
      const found = model.answerOne(row);
      return { value: found.value, chances: found.chances ? Array.from(found.chances) : [] };
    } catch (error) {
      return { problem: String(error.message) };
    }
  });
  // A browser's clock has steps of a tenth of a millisecond: each row is answered for two of them at least.
  const few = rows.slice(0, 300), once = performance.now();
  const ask = (row) => { try { model.answerOne(row); } catch { /* counted above */ } };
  few.forEach(ask);
  const repeats = Math.min(200, Math.max(1, Math.ceil((0.2 * few.length) / Math.max(performance.now() - once, 0.1))));
  const times = few.map((row) => {
    const begun = performance.now();
    for (let i = 0; i < repeats; i++) ask(row);
    return (performance.now() - begun) / repeats;
  }).sort((a, b) => a - b);
  return { answers, milliseconds: times[Math.floor(times.length / 2)] ?? 0 };
};
