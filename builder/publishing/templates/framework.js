// One choice of framework for the whole book, remembered for the next visit.
//
// Runs in the head: each tab set gets the chosen tab while the page is being parsed, so
// that no other flashes first. Without JavaScript the tabs are plain radio buttons.
(() => {
  "use strict";

  const KEY = "d2lext-framework";
  const ALIASES = { pytorch: "torch", tf: "tensorflow" };
  const frameworks = document
    .querySelector("meta[name=frameworks]")
    .content.split(" ");

  // If the browser forbids storage, a choice lasts as long as the page.
  function stored() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  }

  function store() {
    try {
      localStorage.setItem(KEY, choice);
    } catch {}
  }

  function inAddress() {
    const name = new URLSearchParams(location.search).get("framework");
    return ALIASES[name?.toLowerCase()] ?? name?.toLowerCase();
  }

  const known = (name) => frameworks.includes(name);
  let choice = [inAddress(), stored(), frameworks[0]].find(known);
  if (known(inAddress())) store();

  // A label follows its radio button. A tab set without the chosen framework shows only
  // its labels: its content is about other frameworks.
  function select(label) {
    label.previousElementSibling.checked = label.dataset.syncId === choice;
  }

  function show() {
    document.querySelectorAll(".sd-tab-label[data-sync-id]").forEach(select);
    for (const control of document.querySelectorAll(".frameworks input"))
      control.checked = control.value === choice;
    for (const text of document.querySelectorAll("[data-framework]"))
      text.hidden = text.dataset.framework !== choice;
  }

  function choose(name, control) {
    const before = control.getBoundingClientRect().top;
    choice = name;
    store();
    show();
    const address = new URL(location);
    if (address.searchParams.has("framework")) {
      address.searchParams.set("framework", choice);
      history.replaceState(history.state, "", address);
    }
    // Tab sets above may have grown or shrunk: keep the clicked control in place.
    const moved = control.getBoundingClientRect().top - before;
    scrollBy({ top: moved, behavior: "instant" });
  }

  // A link into another tab or a closed solution shows its target, this once.
  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const tab = target?.closest(".sd-tab-content");
    const solution = target?.closest("details:not([open])");
    if (tab) {
      choice = tab.previousElementSibling.dataset.syncId;
      show();
    }
    if (solution) solution.open = true;
    if (tab || solution) target.scrollIntoView();
  }

  document.documentElement.classList.add("follows-framework");
  const reading = new MutationObserver(show);
  reading.observe(document.documentElement, { childList: true, subtree: true });
  document.addEventListener("DOMContentLoaded", () => {
    reading.disconnect();
    show();
    reveal();
  });
  addEventListener("hashchange", reveal);
  // Back on a page that the browser kept: the choice may have changed elsewhere.
  addEventListener("pageshow", (event) => {
    if (!event.persisted || !known(stored())) return;
    choice = stored();
    show();
  });
  document.addEventListener("change", ({ target }) => {
    const label = target.nextElementSibling;
    if (target.matches(".frameworks input")) choose(target.value, target);
    else if (target.matches(".sd-tab-set > input") && label.dataset.syncId)
      choose(label.dataset.syncId, target);
  });
})();
