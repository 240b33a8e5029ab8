// The page's only script: no framework, nothing from elsewhere. Names of classes are put in as text.
"use strict";

const at = (id) => document.getElementById(id);
const SHOWN = 20; // of a thousand classes, the others share what is left
let model = null;
let asked = 0; // only the last question's answer is shown

async function reply(response) {
  if (response.ok) return response.json();
  let words = `the server answered with status ${response.status}`;
  try { words = (await response.json()).error.message; } catch { /* no JSON: the status has to do */ }
  const wait = response.headers.get("retry-after");
  throw new Error(wait ? `${words} (in ${wait} s)` : words);
}

function tell(words, failed = false) {
  at("status").textContent = words;
  at("status").classList.toggle("failed", failed);
}

async function explain(blob, what) {
  const mine = ++asked;
  tell(`Asking about ${what} ...`);
  try {
    if (model && blob.size > model.limits.bytes) {
      throw new Error(`${what} has ${blob.size.toLocaleString()} bytes; the limit is ${model.limits.bytes.toLocaleString()}`);
    }
    const found = await reply(await fetch("/explain", {
      method: "POST", body: blob, headers: { "content-type": "application/octet-stream" },
    }));
    if (mine === asked) await show(found, what);
  } catch (error) {
    if (mine !== asked) return;
    at("found").hidden = true;
    tell(`No answer: ${error.message}`, true);
  }
}

async function show(found, what) {
  const { prediction, occlusion } = found;
  const seen = await picture(found.seen);
  at("found").hidden = false;
  drawSeen(at("seen"), seen);
  drawMap(at("map"), seen, occlusion);
  at("warning").hidden = !prediction.warning;
  at("warning").textContent = prediction.warning ? `This image is ${prediction.warning}.` : "";
  at("decided").textContent = inWords(prediction, occlusion);
  fill(prediction);
  tell(`${what}: ${prediction.class}, probability ${prediction.probability.toFixed(3)}`);
  if (matchMedia("(max-width: 44rem)").matches) at("answer").scrollIntoView();
}

function fill(prediction) {
  const ranked = Object.entries(prediction.probabilities).sort((a, b) => b[1] - a[1]);
  at("rows").replaceChildren(...ranked.slice(0, SHOWN).map(([name, share]) => {
    const row = document.createElement("tr");
    row.classList.toggle("best", name === prediction.class);
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    const bar = document.createElement("meter");
    bar.max = 1;
    bar.value = share;
    bar.setAttribute("aria-label", name);
    const cells = [document.createElement("td"), document.createElement("td")];
    cells[0].append(bar);
    cells[1].className = "number";
    cells[1].textContent = share.toFixed(3);
    row.append(head, ...cells);
    return row;
  }));
  const rest = ranked.slice(SHOWN);
  at("more").hidden = rest.length === 0;
  at("more").textContent = `${rest.length} other classes together: ${rest.reduce((sum, [, share]) => sum + share, 0).toFixed(3)}`;
}

function picture(url) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("the browser cannot show the image"));
    image.src = url;
  });
}

function drawSeen(canvas, image) {
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  canvas.getContext("2d", { willReadFrequently: true }).drawImage(image, 0, 0);
}

// Each pixel takes the mean of the windows that covered it.
function drawMap(canvas, image, { window: [height, width], drops }) {
  drawSeen(canvas, image);
  const [W, H] = [canvas.width, canvas.height];
  const sum = new Float64Array(W * H), count = new Float64Array(W * H);
  drops.forEach((row, i) => row.forEach((drop, j) => {
    const top = placed(i, drops.length, H - height), left = placed(j, row.length, W - width);
    for (let y = top; y < top + height; y++) {
      for (let x = left; x < left + width; x++) { sum[y * W + x] += drop; count[y * W + x] += 1; }
    }
  }));
  const mean = sum.map((value, k) => value / Math.max(1, count[k]));
  const most = mean.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-3); // less than 0.001 is nothing
  const context = canvas.getContext("2d");
  const pixels = context.getImageData(0, 0, W, H);
  mean.forEach((value, k) => {
    const strength = 0.85 * Math.min(1, Math.abs(value) / most);
    const colour = value > 0 ? [214, 70, 20] : [30, 100, 200];
    for (let c = 0; c < 3; c++) {
      pixels.data[4 * k + c] = pixels.data[4 * k + c] * (1 - strength) + colour[c] * strength;
    }
  });
  context.putImageData(pixels, 0, 0);
}

const placed = (index, count, room) => (count > 1 ? Math.round(index * room / (count - 1)) : 0);

function inWords(prediction, { drops, evaluations }) {
  let [most, row, column] = [-Infinity, 0, 0];
  drops.forEach((line, i) => line.forEach((drop, j) => {
    if (drop > most) [most, row, column] = [drop, i, j];
  }));
  const where = place(row, drops.length, "top", "bottom") + " " + place(column, drops[0].length, "left", "right");
  if (most < 0.001) return `No covered part moves "${prediction.class}" by a thousandth (${evaluations} evaluations).`;
  const name = where.trim().replace("middle middle", "middle");
  return `Covering the ${name} takes the most from "${prediction.class}": ${most.toFixed(3)} (${evaluations} evaluations).`;
}

function place(index, count, low, high) {
  const share = count > 1 ? index / (count - 1) : 0.5;
  return share < 1 / 3 ? low : share > 2 / 3 ? high : "middle";
}

// --- drawing -----------------------------------------------------------------------------------

const pen = { x: 140, y: 140, isDown: false, isDrawn: false };

function ink() {
  const ground = model ? model.background : [0, 0, 0];
  const isDark = ground[0] * 0.299 + ground[1] * 0.587 + ground[2] * 0.114 < 128;
  return { ground: `rgb(${ground.join()})`, stroke: isDark ? "#fff" : "#000" };
}

function clear() {
  const context = at("pad").getContext("2d");
  context.fillStyle = ink().ground;
  context.fillRect(0, 0, 280, 280);
  pen.isDrawn = false;
}

function line(x, y) {
  const context = at("pad").getContext("2d");
  context.strokeStyle = ink().stroke;
  context.lineWidth = 20;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  context.moveTo(pen.x, pen.y);
  context.lineTo(x, y);
  context.stroke();
  pen.isDrawn = true;
}

function listenToPen() {
  const pad = at("pad");
  const where = (event) => {
    const box = pad.getBoundingClientRect();
    return [280 * (event.clientX - box.left) / box.width, 280 * (event.clientY - box.top) / box.height];
  };
  pad.addEventListener("pointerdown", (event) => {
    pad.setPointerCapture(event.pointerId);
    [pen.x, pen.y] = where(event);
    line(pen.x, pen.y);
  });
  pad.addEventListener("pointermove", (event) => {
    if (!pad.hasPointerCapture(event.pointerId)) return;
    const [x, y] = where(event);
    line(x, y);
    [pen.x, pen.y] = [x, y];
  });
  pad.addEventListener("pointerup", (event) => pad.releasePointerCapture(event.pointerId));
  pad.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, -10], ArrowDown: [0, 10] }[event.key];
    if (event.key === " ") {
      pen.isDown = !pen.isDown;
      if (pen.isDown) line(pen.x, pen.y);
    } else if (step) {
      const inside = (value) => Math.min(270, Math.max(10, value));
      const [x, y] = [inside(pen.x + step[0]), inside(pen.y + step[1])];
      if (pen.isDown) line(x, y);
      [pen.x, pen.y] = [x, y];
    } else return;
    event.preventDefault();
    at("pen").textContent = `Pen ${pen.isDown ? "down" : "up"}, ${Math.round(pen.x / 2.8)} % from the left, ${Math.round(pen.y / 2.8)} % from the top.`;
  });
  at("clear").addEventListener("click", () => { clear(); at("pen").textContent = "Cleared."; });
  at("classify").addEventListener("click", () => {
    if (!pen.isDrawn) { tell("Nothing was drawn yet.", true); return; }
    pad.toBlob((blob) => explain(blob, "Your drawing"), "image/png");
  });
}

// --- files and samples -------------------------------------------------------------------------

function listenToFiles() {
  const drop = at("drop");
  at("file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) explain(file, file.name);
    event.target.value = ""; // the same file may be chosen again
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    // Anywhere on the page: a browser would otherwise leave it and open the file.
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      const file = kind === "drop" && event.dataTransfer.files[0];
      if (file) explain(file, file.name);
    });
  }
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file) explain(file, "The pasted image");
  });
}

function listSamples() {
  at("sampling").hidden = model.samples.length === 0;
  at("samples").replaceChildren(...model.samples.map(({ number, label }) => {
    const name = label ?? `sample ${number + 1}`;
    const image = document.createElement("img");
    image.src = `/samples/${number}`;
    image.alt = "";
    image.loading = "lazy";
    const button = document.createElement("button");
    button.type = "button";
    button.append(image, name);
    button.addEventListener("click", async () => {
      try {
        const response = await fetch(image.src);
        if (!response.ok) await reply(response);
        await explain(await response.blob(), `Sample (${name})`);
      } catch (error) { tell(`No answer: ${error.message}`, true); }
    });
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
}

async function begin() {
  listenToPen();
  listenToFiles();
  clear();
  try {
    model = await reply(await fetch("/model"));
  } catch (error) {
    tell(`No answer: ${error.message}`, true);
    return;
  }
  clear();
  listSamples();
  const [height, width, channels] = model.size;
  const low = model.accuracy_interval;
  at("name").textContent = document.title = `Try the model: ${model.name}`;
  at("about").textContent = `${model.class_names.length} classes, ${model.parameters.toLocaleString()} parameters, images of ${height} x ${width}, ${channels === 1 ? "grey" : "colour"}`
    + (model.accuracy === null ? "." : `; validation accuracy ${model.accuracy.toFixed(4)} (${low[0].toFixed(4)} to ${low[1].toFixed(4)}).`);
}

begin();
