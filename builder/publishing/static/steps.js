// Drawings that build up: buttons below them show one step after the other.
//
// A drawing's parts have `data-step`, and one of each step says in `data-title` what it
// shows. Without the script, and on paper, all parts are there.
(() => {
  "use strict";

  for (const drawing of document.querySelectorAll("svg.drawing:has([data-step])")) {
    const parts = [...drawing.querySelectorAll("[data-step]")];
    const count = Math.max(...parts.map((part) => part.dataset.step));
    const controls = document.createElement("div");
    controls.className = "figure-controls";
    controls.setAttribute("role", "group");
    controls.setAttribute("aria-label", "Step by step");
    controls.innerHTML = `<button type="button">Back</button>
      <button type="button">Next</button><output></output>`;
    const [back, next, output] = controls.children;
    output.value = `Press Next to build it up in ${count} steps.`;
    let step = count;

    // From the last step to the first, and back.
    function go(by) {
      step = ((step - 1 + by + count) % count) + 1;
      for (const part of parts)
        part.classList.toggle("to-come", part.dataset.step > step);
      const { title } = parts.find(
        (part) => part.dataset.step == step && part.dataset.title,
      ).dataset;
      output.value = `${step} of ${count}: ${title}`;
    }

    back.addEventListener("click", () => go(-1));
    next.addEventListener("click", () => go(1));
    drawing.after(controls);
  }
})();
