// The page: a form made of the schema, answered while it is filled in. Nothing is sent anywhere.
"use strict";
(() => {
  const WORDS = {
    en: { where: "Answers are made in this tab. Nothing you enter leaves it.", time: (ms) => `Answered in ${ms} ms.`, proof: "What is proven", none: "No claim about the quality of this model has been proven.", range: (low, high) => `between ${low} and ${high} with 90% probability`, empty: "(missing)", noLabel: "no label", loading: "Reading the model…", simd: "This browser has no WebAssembly with SIMD, which this model needs. Use Chrome or Edge 91, Firefox 89, Safari 16.4, or newer.", failed: (reason) => `The model could not be started: ${reason}`, draw: "Draw here, with the mouse or a finger", clear: "Clear", file: (name) => `An image file (${name})`, seen: "What the model is given", framed: (inner, side) => `A drawing is scaled to ${inner} of ${side} pixels and centred by its mass, as the images are that the model learned from.` },
    zh: { where: "答案就在这个标签页里算出，输入的内容不会离开这里。", time: (ms) => `用时 ${ms} 毫秒。`, proof: "已证明的结论", none: "没有关于这个模型质量的已证明的结论。", range: (low, high) => `以 90% 的概率在 ${low} 与 ${high} 之间`, empty: "（缺失）", noLabel: "没有标签", loading: "正在读取模型……", simd: "此浏览器不支持带 SIMD 的 WebAssembly，而本模型需要它。请使用 Chrome 或 Edge 91、Firefox 89、Safari 16.4 或更新的版本。", failed: (reason) => `模型无法启动：${reason}`, draw: "用鼠标或手指在这里书写", clear: "清除", file: (name) => `图像文件（${name}）`, seen: "送入模型的图像", framed: (inner, side) => `笔迹会缩放到 ${side} 像素中的 ${inner} 像素，并按重心居中，与训练所用的图像一致。` },
  };
  const asked = new URLSearchParams(location.search).get("lang") ?? navigator.language;
  const lang = asked.startsWith("zh") ? "zh" : "en", words = WORDS[lang];
  const at = (id) => document.getElementById(id);
  const make = (tag, className, text) => Object.assign(document.createElement(tag), { className, textContent: text });
  const model = globalThis.rung.open(globalThis.RUNG_MODEL), info = model.info;
  document.documentElement.lang = lang;
  at("where").textContent = words.where;
  at("proof").textContent = words.proof;
  at("claim").textContent = info.certificate?.claim ?? words.none;
  at("version").textContent = `${info.name} ${info.version} · ${info.rung} · rung ${info.rung_version}`;

  const shown = info.schema.inputs.filter((field) => !field.unused);
  const inputs = shown.map((field, i) => {
    if (field.kind === "image") return { field, ...globalThis.rungImageInput(field, info, words, answer) };
    const holder = make("div", "", ""), label = make("label", "", field.form && field.kind === "number" ? `${field.name} (${field.form})` : field.name);
    const words_ = info.words[field.name] ?? [];
    const input = document.createElement(field.kind === "text" ? "textarea" : field.kind === "category" && words_.length && words_.length <= 200 ? "select" : "input");
    if (input.tagName === "SELECT") {
      input.append(new Option(words.empty, ""));
      for (const word of words_) input.append(new Option(word, word));
    } else if (input.tagName === "INPUT") {
      input.type = field.kind === "time" ? "datetime-local" : "text";
      if (field.kind === "number") input.inputMode = "decimal";
    }
    input.id = `field-${i}`;
    label.htmlFor = input.id;
    holder.append(label, input);
    const value = () => (field.kind === "text" ? input.value : input.value || null);
    return { field, input, holder, value, isEmpty: () => !input.value.trim() };
  });
  at("form").className = inputs.length > 1 ? "fields" : "";
  at("form").append(...inputs.map(({ holder }) => holder));
  at("form").addEventListener("submit", (event) => event.preventDefault());
  const example = info.example ?? {};
  for (const { field, input } of inputs) if (input && example[field.name] !== undefined && example[field.name] !== null) input.value = String(example[field.name]);

  function bars(scores, best) {
    const order = Object.entries(scores).sort((a, b) => b[1] - a[1]).slice(0, 20);
    return order.map(([label, chance]) => {
      const row = make("div", best.includes(label) ? "bar best" : "bar", ""), meter = document.createElement("meter");
      meter.max = 1;
      meter.value = chance;
      meter.setAttribute("aria-label", label);
      row.append(make("span", "", label), meter, make("span", "", `${(100 * chance).toFixed(1)}%`));
      return row;
    });
  }

  // One answer at a time: what was entered meanwhile is answered next.
  let isBusy = false, isWaiting = false;
  async function answer() {
    isWaiting = isBusy;
    if (isBusy) return;
    isBusy = true;
    try {
      await show();
    } finally {
      isBusy = false;
    }
    if (isWaiting) setTimeout(answer, 0);
  }

  async function show() {
    const row = Object.fromEntries(inputs.map(({ field, value }) => [field.name, value()])), box = at("answer");
    at("time").textContent = "";
    if (inputs.every(({ isEmpty }) => isEmpty())) return box.replaceChildren();
    const begun = performance.now(), [found] = await model.predict([row]), spent = performance.now() - begun;
    at("time").textContent = found.error ? "" : words.time(Number(spent.toPrecision(2)));
    if (found.error) box.replaceChildren(make("p", "problem", found.error));
    else if (found.scores) {
      const best = found.labels ?? [found.label];
      box.replaceChildren(make("p", "value", best.join(", ") || words.noLabel), ...bars(found.scores, best));
    } else {
      const plain = (value) => Number(value.toPrecision(5)).toLocaleString(lang);
      box.replaceChildren(make("p", "value", plain(found.value)), make("p", "", words.range(plain(found.low), plain(found.high))));
    }
  }
  at("form").addEventListener("input", answer);
  if (model.isSlow) at("answer").append(make("p", "", words.loading));
  model.ready.then(answer, (error) => {
    at("answer").replaceChildren(make("p", "problem", globalThis.rung.NoSimd && error instanceof globalThis.rung.NoSimd ? words.simd : words.failed(error.message)));
  });
})();
