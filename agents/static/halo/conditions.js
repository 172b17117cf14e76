"use strict";

/* Rows of conditions: adds and removes them, and shows only the fields that a row needs. Without it there are blank
   rows to fill in, and the server ignores what a row does not need. */
(() => {
  const KEYS = { page: "url, host, path or title", request: "mode, verified, user_id …", company: "name, plan …", user: "plan, role …" };

  const fit = (row) => {
    const [source, key, op, value] = row.querySelectorAll("select, input");
    key.classList.toggle("halo-unused", source.value === "message");
    value.classList.toggle("halo-unused", ["exists", "missing"].includes(op.value));
    key.placeholder = KEYS[source.value] || "key";
    value.placeholder = { in: "one, two, three", matches: "/billing/*" }[op.value] || "value";
  };
  const isBlank = (row) => {
    const [source, key, , value] = row.querySelectorAll("select, input");
    return !source.value && !key.value && !value.value;
  };
  const settle = (box) => {
    const full = box.querySelectorAll(".halo-rows > .halo-row").length >= Number(box.dataset.most);
    box.querySelector(".halo-add").disabled = full;
  };

  document.addEventListener("DOMContentLoaded", () => {
    for (const box of document.querySelectorAll("[data-conditions]")) {
      for (const row of box.querySelectorAll(".halo-rows > .halo-row")) {
        if (isBlank(row)) row.remove();
        else fit(row);
      }
      for (const button of box.querySelectorAll("button[hidden]")) button.hidden = false;
      settle(box);
    }
  });
  document.addEventListener("change", (event) => {
    const row = event.target.closest(".halo-conditions .halo-row");
    if (row) fit(row);
  });
  document.addEventListener("click", (event) => {
    const box = event.target.closest("[data-conditions]");
    if (!box) return;
    if (event.target.closest(".halo-remove")) {
      event.target.closest(".halo-row").remove();
      box.querySelector(".halo-add").focus();
    } else if (event.target.closest(".halo-add")) {
      const count = box.querySelector("input[type=hidden]");
      const shell = document.createElement("div");
      shell.innerHTML = box.querySelector("template").innerHTML.replaceAll("__n__", count.value);
      const row = shell.firstElementChild;
      row.querySelector("button").hidden = false;
      box.querySelector(".halo-rows").append(row);
      count.value = Number(count.value) + 1;
      fit(row);
      row.querySelector("select").focus();
    }
    settle(box);
  });
})();
