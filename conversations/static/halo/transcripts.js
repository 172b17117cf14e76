"use strict";

/* Keys of transcripts. Nothing happens while somebody writes, or holds a modifier. */
(() => {
  const rows = [...document.querySelectorAll("[data-row]")];
  const search = document.querySelector("[data-search]");

  function step(by) {
    const at = rows.indexOf(document.activeElement);
    const next = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1)];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }

  function follow(selector) {
    const link = document.querySelector(selector);
    if (link) link.click();
    return Boolean(link);
  }

  function move(by) {
    if (rows.length) step(by);
    else follow(by > 0 ? "a[rel=next]" : "a[rel=prev]");
  }

  const KEYS = {
    j: () => move(1),
    k: () => move(-1),
    n: () => follow("a[rel=next]"),
    p: () => follow("a[rel=prev]"),
    u: () => follow("[data-up]"),
    "/": () => (search ? search.focus() : follow("[data-up]")),
    "?": () => document.querySelector("#keys").showModal(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const act = KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) document.querySelector(opener.dataset.dialog).showModal();
  });
})();
