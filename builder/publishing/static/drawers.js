// What narrow pages put away, the book's contents and the page's, by keyboard as well.
//
// The theme opens such a drawer by a label, which no key reaches: a button takes its
// place. The focus goes into the drawer and comes back; what is put away has none.
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
    const tell = () => buttons.forEach((b) => (b.ariaExpanded = toggle.checked));
    const seen = (elements) => [...elements].find((e) => e.checkVisibility());

    function putAway() {
      toggle.checked = false;
      tell();
    }

    // By a button, by the overlay or by Escape.
    toggle.addEventListener("change", () => {
      tell();
      seen(toggle.checked ? drawer.querySelectorAll("a") : buttons)?.focus();
    });
    document.addEventListener("keydown", ({ key }) => {
      if (key === "Escape" && toggle.checked) toggle.click();
    });
    // The reader has gone on, by a link or with the Tab key.
    drawer.addEventListener("click", ({ target }) => {
      if (target.closest("a")) putAway();
    });
    drawer.addEventListener("focusout", ({ relatedTarget: next }) => {
      if (next && !drawer.contains(next)) putAway();
    });
    addEventListener("pageshow", tell); // browsers keep what was open
    tell();
  }

  for (const [id, name] of [["__navigation", "book"], ["__toc", "page"]]) {
    const drawer = document.getElementById(`${name}-drawer`);
    if (drawer) set(document.getElementById(id), drawer);
  }
  document.documentElement.classList.add("with-drawers");
})();
