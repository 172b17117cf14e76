"use strict";

/* A button with data-copy="#field" copies that field or text; where the browser refuses, it is selected instead. */
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const field = document.querySelector(button.dataset.copy);
  if (field.select) field.select();
  else getSelection().selectAllChildren(field);
  try {
    await navigator.clipboard.writeText("value" in field ? field.value : field.textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl+C";
  }
});

/* A field that is searched in has the name of its label, also where nothing is chosen yet; whenever it comes to be. */
document.addEventListener("DOMContentLoaded", () => {
  const name = () => {
    for (const box of document.querySelectorAll(".select2-selection[aria-labelledby]")) {
      const field = box.closest(".select2").previousElementSibling;
      const label = field?.labels?.[0]?.textContent.trim() || field?.getAttribute("aria-label");
      if (!label) continue;
      for (const part of [box, ...box.querySelectorAll("[role=textbox]")]) {
        part.removeAttribute("aria-labelledby");
        part.setAttribute("aria-label", label);
      }
    }
  };
  new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
});
