// The drawers of narrow pages, the book's contents and the page's, by keyboard as well.
//
// The theme opens a drawer by a label, which no key reaches: a button replaces it. Focus
// moves into the drawer and back; nothing in a closed drawer can have it.
(() => {
  "use strict";

  function set(toggle, drawer) {
    const labels = document.querySelectorAll(`label[for="${toggle.id}"]:not(.overlay)`);
    const buttons = [...labels].map((label) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = label.className;
      button.setAttribute("aria-label", drawer.getAttribute("aria-label"));
      button.setAttribute("aria-controls", drawer.id);
      button.append(...label.childNodes);
      button.addEventListener("click", () => toggle.click());
      label.replaceWith(button);
      return button;
    });
    const announce = () => buttons.forEach((b) => (b.ariaExpanded = toggle.checked));
    const visible = (elements) => [...elements].find((e) => e.checkVisibility());

    function close() {
      toggle.checked = false;
      announce();
    }

    // With a button, the overlay or Escape.
    toggle.addEventListener("change", () => {
      announce();
      visible(toggle.checked ? drawer.querySelectorAll("a") : buttons)?.focus();
    });
    document.addEventListener("keydown", ({ key }) => {
      if (key === "Escape" && toggle.checked) toggle.click();
    });
    // The reader moved on, by a link or with the Tab key.
    drawer.addEventListener("click", ({ target }) => {
      if (target.closest("a")) close();
    });
    drawer.addEventListener("focusout", ({ relatedTarget: next }) => {
      if (next && !drawer.contains(next)) close();
    });
    addEventListener("pageshow", announce); // browsers restore an open drawer
    announce();
  }

  for (const [id, name] of [["__navigation", "book"], ["__toc", "page"]]) {
    const drawer = document.getElementById(`${name}-drawer`);
    if (drawer) set(document.getElementById(id), drawer);
  }
  document.documentElement.classList.add("with-drawers");
})();
