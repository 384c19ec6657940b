// Answer rows and say how long it took; shared by the checks in Node.js and in Chromium.
globalThis.rungCheck = async (model, rows, isTimed) => {
  await model.ready;
  const answers = [], begun = performance.now();
  for (const row of rows) {
    try {
      const found = await model.answerOne(row);
      answers.push({ value: found.value, chances: found.chances ? Array.from(found.chances) : [] });
    } catch (error) {
      answers.push({ problem: String(error.message) });
    }
  }
  if (!isTimed) return { answers, milliseconds: 0 };
  // A browser's clock has steps of a tenth of a millisecond: each row is answered for two of them at least.
  const each = (performance.now() - begun) / Math.max(rows.length, 1), few = rows.slice(0, Math.max(5, Math.min(300, Math.ceil(3000 / each))));
  const ask = async (row) => { try { await model.answerOne(row); } catch { /* counted above */ } };
  const repeats = Math.min(200, Math.max(1, Math.ceil(0.2 / Math.max(each, 0.001)))), times = [];
  for (const row of few) {
    const start = performance.now();
    for (let i = 0; i < repeats; i++) await ask(row);
    times.push((performance.now() - start) / repeats);
  }
  times.sort((a, b) => a - b);
  return { answers, milliseconds: times[Math.floor(times.length / 2)] ?? 0 };
};
