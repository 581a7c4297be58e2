// Whatever scrolls sideways can be reached by keyboard, as long as it does.
(() => {
  "use strict";

  const observer = new ResizeObserver((entries) => {
    for (const { target } of entries)
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
  });
  for (const element of document.querySelectorAll("article pre, .table-wrapper"))
    observer.observe(element);
})();
