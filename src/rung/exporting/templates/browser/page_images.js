// Images in the page: a file, or a drawing that is scaled and centred as the product's own images are.
"use strict";
globalThis.rungImageInput = (field, info, words, changed) => {
  const make = (tag, className, text) => Object.assign(document.createElement(tag), { className, textContent: text });
  const holder = make("div", "image", ""), seen = make("canvas", "seen", ""), pad = info.pad;
  let value = null;
  seen.hidden = true;

  // What is given to the model, shown at its own size.
  async function show() {
    seen.hidden = value === null;
    if (value === null) return;
    const picture = await globalThis.rung.loadImage(value, info.reading), { width, height, channels, data } = picture;
    Object.assign(seen, { width, height });
    const shown = new ImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      for (let k = 0; k < 3; k++) shown.data[4 * i + k] = data[i * channels + (channels > 1 ? k : 0)];
      shown.data[4 * i + 3] = 255;
    }
    seen.getContext("2d").putImageData(shown, 0, 0);
  }
  const give = (found) => {
    value = found;
    show().catch(() => { seen.hidden = true; });
    changed();
  };

  const file = make("input", "", ""), fileLabel = make("label", "", words.file(field.name));
  Object.assign(file, { type: "file", accept: "image/*", id: `file-${field.name}` });
  fileLabel.htmlFor = file.id;
  seen.setAttribute("role", "img");
  seen.setAttribute("aria-label", words.seen);
  file.addEventListener("change", async () => { if (file.files[0]) give(new Uint8Array(await file.files[0].arrayBuffer())); });
  for (const name of ["dragover", "drop"]) {
    document.addEventListener(name, async (event) => {
      event.preventDefault();
      const dropped = event.dataTransfer?.files[0];
      if (name === "drop" && dropped) give(new Uint8Array(await dropped.arrayBuffer()));
    });
  }
  holder.append(fileLabel, file, ...(pad ? padOf() : [seen]));

  function padOf() {
    const canvas = make("canvas", "pad", ""), clear = make("button", "", words.clear), label = make("p", "label", words.draw);
    Object.assign(canvas, { width: 280, height: 280 });
    canvas.setAttribute("aria-label", words.draw);
    clear.type = "button";
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    Object.assign(pen, { lineWidth: 22, lineCap: "round", lineJoin: "round", strokeStyle: "#000" });
    let last = null, isAsked = false;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width) * 280, ((event.clientY - box.top) / box.height) * 280];
    };
    const line = (to) => {
      pen.beginPath();
      pen.moveTo(...(last ?? to));
      pen.lineTo(...to);
      pen.stroke();
      last = to;
      if (isAsked) return;
      isAsked = true;
      requestAnimationFrame(() => {
        isAsked = false;
        give(framed(pen.getImageData(0, 0, 280, 280)));
      });
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      last = null;
      line(at(event));
    });
    canvas.addEventListener("pointermove", (event) => { if (last) line(at(event)); });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { last = null; });
    clear.addEventListener("click", () => {
      pen.clearRect(0, 0, 280, 280);
      give(null);
    });
    const row = make("div", "row", "");
    row.append(clear, seen);
    return [label, canvas, row, make("p", "hint", words.framed(pad.inner, pad.side))];
  }

  // A drawing as the product's images are: its longer side `inner` of `side` pixels, its centre of mass in the middle.
  function framed({ width, height, data }) {
    const ink = Uint8Array.from({ length: width * height }, (_, i) => data[4 * i + 3]);
    let [left, top, right, bottom] = [width, height, -1, -1];
    ink.forEach((level, i) => {
      if (!level) return;
      const x = i % width, y = Math.floor(i / width);
      [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
    });
    if (right < 0) return null;
    const wide = right + 1 - left, high = bottom + 1 - top, scale = pad.inner / Math.max(wide, high);
    const size = [Math.max(1, Math.round(wide * scale)), Math.max(1, Math.round(high * scale))];
    const small = globalThis.rung.resized({ width, height, channels: 1, data: ink }, size, "bilinear", [left, top, right + 1, bottom + 1]);
    let mass = 0, across = 0, down = 0;
    small.data.forEach((level, i) => {
      mass += level;
      across += level * ((i % size[0]) + 0.5);
      down += level * (Math.floor(i / size[0]) + 0.5);
    });
    const fit = (centre, own) => Math.min(pad.side - own, Math.max(0, Math.round(pad.side / 2 - centre)));
    const x = fit(across / mass, size[0]), y = fit(down / mass, size[1]);
    const found = new Uint8Array(pad.side * pad.side).fill(pad.paper);
    small.data.forEach((level, i) => {
      found[(y + Math.floor(i / size[0])) * pad.side + x + (i % size[0])] = Math.round(pad.paper + ((pad.ink - pad.paper) * level) / 255);
    });
    return { width: pad.side, height: pad.side, data: found };
  }

  return { holder, value: () => value, isEmpty: () => value === null };
};
