"use strict";

/* Light, dark, or as the system has it: before the first paint, and by what was chosen in the admin. */
(() => {
  const KEY = "adminTheme";
  const WORDS = { auto: "as the system has them", light: "light", dark: "dark" };
  const NEXT = { auto: "light", light: "dark", dark: "auto" };

  function chosen() {
    try {
      const kept = JSON.parse(localStorage.getItem(KEY));
      return kept in WORDS ? kept : "auto";
    } catch {
      return "auto";
    }
  }

  function apply(theme) {
    document.documentElement.classList.toggle("dark", theme === "dark");
    document.documentElement.classList.toggle("light", theme === "light");
    for (const button of document.querySelectorAll("[data-theme-switch]")) {
      button.title = `Colours: ${WORDS[theme]}`;
      button.setAttribute("aria-label", button.title);
    }
  }

  apply(chosen());
  document.addEventListener("DOMContentLoaded", () => apply(chosen()));
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-switch]")) return;
    const theme = NEXT[chosen()];
    try {
      localStorage.setItem(KEY, JSON.stringify(theme));
    } catch { /* Then it holds for this page. */ }
    apply(theme);
  });
})();
