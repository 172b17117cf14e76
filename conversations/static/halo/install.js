"use strict";

/* Samples by language: without this script all of them stand below one another. */
document.addEventListener("DOMContentLoaded", () => {
  for (const tabs of document.querySelectorAll("[data-tabs]")) {
    const buttons = [...tabs.querySelectorAll("[role=tab]")];
    const show = (chosen) => {
      for (const button of buttons) {
        const on = button === chosen;
        button.setAttribute("aria-selected", String(on));
        button.tabIndex = on ? 0 : -1;
        document.getElementById(button.getAttribute("aria-controls")).hidden = !on;
      }
    };
    for (const button of buttons) button.addEventListener("click", () => show(button));
    tabs.addEventListener("keydown", (event) => {
      const at = buttons.indexOf(document.activeElement);
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (at < 0 || !step) return;
      const next = buttons[(at + step + buttons.length) % buttons.length];
      next.focus();
      show(next);
    });
    tabs.hidden = false;
    show(buttons[0]);
  }

  /* What arrives is asked for every three seconds while somebody looks; a screen reader is told of a new verdict only. */
  const holder = document.getElementById("halo-arrivals");
  const said = document.getElementById("halo-said");
  if (!holder) return;
  const verdict = () => holder.querySelector("[data-tone]").dataset.tone;
  const refresh = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(holder.dataset.from, { headers: { "X-Requested-With": "fetch" } });
        if (answer.redirected) return;
        if (answer.ok) {
          const before = verdict();
          /* The server's own HTML, in which all that came from outside is escaped. */
          holder.innerHTML = await answer.text();
          if (verdict() !== before) said.textContent = holder.querySelector(".halo-verdict").textContent;
        }
      } catch { /* the next time */ }
    }
    window.setTimeout(refresh, 3000);
  };
  window.setTimeout(refresh, 3000);
});
