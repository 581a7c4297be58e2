// Notebooks are downloaded from a page that was opened as a file, too.
//
// There a browser follows the link and shows the notebook's source. So the notebook also
// lies beside itself as a script, which gives its text to `saveNotebook`.
(() => {
  "use strict";

  if (location.protocol !== "file:") return;
  let name = "";

  window.saveNotebook = (text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[download]");
    if (!link?.href.endsWith(".ipynb") || link.protocol !== "file:") return;
    event.preventDefault();
    name = link.download || link.href.split("/").pop();
    const script = document.createElement("script");
    script.src = link.href.replace(/ipynb$/, "js");
    script.addEventListener("load", () => script.remove());
    document.head.append(script);
  });
})();
