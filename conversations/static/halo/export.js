"use strict";

/* The file is an ordinary download; meanwhile the page asks every second how far it has come. */
document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("form[data-progress]");
  if (!form) return;
  const box = document.getElementById("halo-export-progress");
  const said = box.querySelector("[role=status]");
  const bar = box.querySelector("progress");
  const number = new Intl.NumberFormat("en");
  let latest = "";

  const show = (found, what) => {
    const of = found.total === null ? "" : ` of ${number.format(Math.max(found.total, found.done))}`;
    said.textContent = found.state === "done" ? `Done: ${number.format(found.done)} ${what}.`
      : found.state === "lost" ? `Broken off after ${number.format(found.done)} ${what}. Export again.`
        : `${number.format(found.done)}${of} ${what}`;
    if (found.state === "done") { bar.max = 1; bar.value = 1; }
    else if (found.total) { bar.max = Math.max(found.total, found.done); bar.value = found.done; }
    else bar.removeAttribute("value");
  };

  const follow = async (key, what, unknown) => {
    if (key !== latest) return;
    try {
      const query = new URLSearchParams({ org: form.elements.org.value, key });
      const answer = await fetch(`${form.dataset.progress}?${query}`);
      if (answer.redirected) return;
      const found = await answer.json();
      if (key !== latest) return;
      if (found.state === "unknown") unknown += 1;
      else show(found, what);
      if (found.state === "done" || found.state === "lost") return;
    } catch { unknown += 1; }
    /* Nothing was begun, or Redis is away: the download goes on by itself. */
    if (unknown > 30) { box.hidden = true; return; }
    window.setTimeout(() => follow(key, what, unknown), 1000);
  };

  form.addEventListener("submit", () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    latest = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    form.elements.key.value = latest;
    said.textContent = "Counting…";
    bar.removeAttribute("value");
    box.hidden = false;
    const what = form.elements.what.value === "conversations" ? "conversations" : "messages";
    window.setTimeout(() => follow(latest, what, 0), 400);
  });
});
