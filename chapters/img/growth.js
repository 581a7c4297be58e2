// A dense block and its transition: readers choose c, k, n and θ with sliders.
//
// Changes growth.svg, which shows the first values until then; growth.py draws the same.
(() => {
  "use strict";

  const SLIDERS = [
    ["c", "channels that come in", 8, 256, 8, 64],
    ["k", "growth rate", 4, 64, 4, 32],
    ["n", "layers", 1, 24, 1, 4],
    ["θ", "share that the transition keeps", 0.1, 1, 0.1, 0.5],
  ];
  const COLOURS = [
    'fill="#17406d"',
    'fill="#ec9c24"',
    'fill="#04694a"',
    'fill="#c680aa"',
    'fill="#f0d95a" stroke="#a88600"',
  ];
  const FLOOR = 226;
  const HIGH = 180;
  const PIXELS = 24 * 24 * 128; // of a minibatch of 128 images

  const figure = document.currentScript.closest("figure");
  const drawing = figure.querySelector("svg");
  const controls = document.createElement("div");
  controls.className = "figure-controls";
  controls.innerHTML =
    SLIDERS.map(
      ([name, words, min, max, step, value]) => `<label for="growth-${name}">
        <i>${name}</i>, ${words}</label>
        <input type="range" id="growth-${name}" min="${min}" max="${max}"
          step="${step}" value="${value}" autocomplete="off">
        <output for="growth-${name}"></output>`,
    ).join("") + `<output class="heard"></output>`;
  const inputs = [...controls.querySelectorAll("input")];
  const heard = controls.querySelector(".heard");

  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const mib = (numbers) => Math.floor((numbers * PIXELS * 4) / 2 ** 20 + 0.5);
  const written = (value) => value.toLocaleString("en-US");
  const number = (value) => Math.floor(10 * value + 0.5) / 10;

  // What the block and its transition compute; `read` is what each layer reads.
  function count(c, k, n, theta) {
    const read = Array.from({ length: n }, (_, i) => c + i * k);
    const out = c + n * k;
    const left = Math.floor(theta * out);
    return {
      out,
      left,
      // Batch normalization, a 3x3 convolution with biases; then the same with 1x1.
      block: sum(read.map((width) => 2 * width + 9 * width * k + k)),
      transition: 2 * out + out * left + left,
      copies: mib(2 * sum(read) + out), // concatenated and normalized
      features: mib(out),
    };
  }

  function column(x, wide, start, high) {
    const [left, floor, w, h] = [x, FLOOR - start, wide, high].map(number);
    return `M${left} ${floor}h${w}v${-h}h${-w}z`;
  }

  function columns(c, k, n, left, scale) {
    const pitch = 260 / n;
    const unit = HIGH / scale;
    const places = Array.from({ length: n }, (_, i) => [20 + i * pitch, pitch - 4, i]);
    places.push([306, 50, n]);
    const paths = COLOURS.map((_, colour) =>
      places.flatMap(([x, wide, layers]) => {
        if (!colour) return column(x, wide, 0, c * unit);
        const own = Array.from({ length: layers }, (_, layer) => layer);
        return own
          .filter((layer) => layer % 4 === colour - 1)
          .map((layer) => column(x, wide, (c + layer * k) * unit, k * unit));
      }),
    );
    paths.push([column(402, 50, 0, left * unit)]);
    return paths
      .map((d, i) => `<path d="${d.join("")}" ${COLOURS[i % 5]}/>`)
      .join("");
  }

  function show() {
    const [c, k, n, theta] = inputs.map((input) => Number(input.value));
    const counted = count(c, k, n, theta);
    const { out, left, block, transition, copies, features } = counted;
    const scale = [256, 512, 1024, 2048].find((most) => most >= out);
    const values = { ...counted, scale: `${written(scale)} channels` };
    values.chosen = inputs
      .map((input, i) => `${SLIDERS[i][0]} = ${input.value}`)
      .join(", ");
    values.copies = `${written(copies)} MiB`;
    values.features = `${written(features)} MiB`;
    for (const [name, value] of Object.entries(values))
      drawing.querySelector(`[data-value=${name}]`).textContent =
        typeof value === "number" ? written(value) : value;
    drawing.querySelector("[data-value=columns]").innerHTML = columns(c, k, n, left, scale);
    for (const input of inputs) input.nextElementSibling.value = input.value;
    heard.value = `${out} channels from the block, ${left} from the transition.
      ${written(block)} and ${written(transition)} parameters.
      Memory: ${values.copies} for copies, ${values.features} for features.`;
  }

  controls.addEventListener("input", show);
  drawing.after(controls);
  show();
})();
