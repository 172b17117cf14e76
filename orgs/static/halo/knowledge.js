"use strict";

/* While a source is read, the part with [data-refresh] is fetched again every two seconds; when the reading has ended,
   the page is loaded anew, so that its buttons fit, unless somebody is typing into its form. */
(() => {
  const holder = () => document.getElementById("halo-progress");
  let touched = false;
  document.addEventListener("input", () => { touched = true; });

  const refresh = async () => {
    const part = holder() && holder().querySelector("[data-refresh]");
    if (!part) return;
    if (!document.hidden) {
      try {
        const answer = await fetch(part.dataset.refresh, { headers: { "X-Requested-With": "fetch" } });
        if (answer.redirected || !answer.ok) return;
        const open = holder().querySelector("details[open]") !== null;
        holder().innerHTML = await answer.text();
        const details = holder().querySelector("details");
        if (details && open) details.open = true;
        if (!holder().querySelector("[data-refresh]")) {
          if (!touched) window.location.reload();
          return;
        }
      } catch { /* the next time */ }
    }
    window.setTimeout(refresh, 2000);
  };
  document.addEventListener("DOMContentLoaded", () => window.setTimeout(refresh, 2000));
})();

/* A text field with [data-preview] gets its preview below: the server makes the HTML, from an allow-list of tags. */
document.addEventListener("DOMContentLoaded", () => {
  for (const field of document.querySelectorAll("textarea[data-preview]")) {
    const token = document.querySelector("input[name=csrfmiddlewaretoken]");
    const box = document.createElement("div");
    box.className = "halo-preview";
    const title = document.createElement("p");
    title.className = "halo-note";
    title.textContent = "Preview";
    const shown = document.createElement("div");
    shown.className = "halo-text halo-prose";
    box.append(title, shown);
    field.after(box);
    let last = 0;
    let timer = 0;
    const show = async () => {
      const number = ++last;
      box.hidden = field.value.trim() === "";
      if (box.hidden) return;
      const body = new URLSearchParams({ text: field.value });
      try {
        const answer = await fetch(field.dataset.preview, {
          method: "POST", body, headers: { "X-CSRFToken": token ? token.value : "" },
        });
        if (answer.ok && !answer.redirected && number === last) shown.innerHTML = await answer.text();
      } catch { /* the next time */ }
    };
    field.addEventListener("input", () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(show, 300);
    });
    show();
  }
});
