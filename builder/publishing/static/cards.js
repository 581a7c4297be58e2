// A card beside a link within the page: the reference, equation or figure it leads to.
//
// It appears on hover or focus, can itself be hovered, and closes with Escape. Its content
// is on the page as well, so a reader without it misses nothing.
(() => {
  "use strict";

  const WAIT_MS = 200;
  const GAP = 8; // in pixels, from the link and the edges of the screen
  const SHOWN = ".references > li, .math-wrapper, div.math, figure";
  const card = document.createElement("div");
  card.id = "card";
  card.setAttribute("role", "tooltip");
  card.hidden = true;
  document.body.append(card);
  let link = null;
  let waiting = 0;

  function target(of) {
    const id = decodeURIComponent(of.hash.slice(1));
    return id && document.getElementById(id)?.closest(SHOWN);
  }

  function show() {
    const { top, bottom } = target(link).getBoundingClientRect();
    if (top >= 0 && bottom <= innerHeight) return; // already on screen
    const copy = target(link).cloneNode(true);
    copy.querySelectorAll(".uses, .headerlink, .figure-controls").forEach((e) => e.remove());
    copy.querySelectorAll("[id]").forEach((e) => e.removeAttribute("id"));
    const content = document.createElement("div");
    // Only the content of a list item: an item needs its list.
    if (copy.matches("li")) content.append(...copy.childNodes);
    else content.append(copy);
    copy.removeAttribute("id");
    card.replaceChildren(content);
    card.style.maxHeight = "";
    card.hidden = false;
    link.setAttribute("aria-describedby", card.id);
    place();
  }

  // Below the link, or above it if there is more room; never beyond the screen.
  function place() {
    const { left, top, bottom } = link.getClientRects()[0];
    const room = innerHeight - bottom - 2 * GAP;
    const above = card.offsetHeight > room && top > room;
    card.style.maxHeight = `${(above ? top : room) - GAP}px`;
    const { width, height } = card.getBoundingClientRect();
    const right = document.documentElement.clientWidth - width - GAP;
    card.style.left = `${scrollX + Math.max(GAP, Math.min(left, right))}px`;
    card.style.top = `${scrollY + (above ? top - height - GAP / 2 : bottom + GAP / 2)}px`;
  }

  function hide() {
    clearTimeout(waiting);
    link?.removeAttribute("aria-describedby");
    link = null;
    card.hidden = true;
  }

  function open(next, after) {
    if (next === link) {
      if (!card.hidden) clearTimeout(waiting); // otherwise it is about to appear
      return;
    }
    hide();
    link = next;
    waiting = setTimeout(show, after);
  }

  const within = document.querySelectorAll("article a.internal[href^='#']");
  const links = [...within].filter(target);
  for (const next of links) {
    next.removeAttribute("title"); // the browser's own tooltip, plain text
    next.addEventListener("pointerenter", ({ pointerType }) => {
      if (pointerType === "mouse") open(next, WAIT_MS);
    });
    next.addEventListener("focus", () => open(next, 0));
    next.addEventListener("blur", hide);
    next.addEventListener("click", hide);
  }
  // Between a link and its card the pointer is on neither for a moment.
  for (const element of [...links, card])
    element.addEventListener("pointerleave", () => {
      if (link === document.activeElement) return; // shown for the keyboard
      clearTimeout(waiting);
      waiting = setTimeout(hide, WAIT_MS);
    });
  card.addEventListener("pointerenter", () => clearTimeout(waiting));
  document.addEventListener("keydown", ({ key }) => {
    if (key === "Escape") hide();
  });
})();
