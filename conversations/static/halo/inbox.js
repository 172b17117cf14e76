"use strict";

/* The inbox as it changes. The server renders every part; here it is only said when to read one again. */
(() => {
  const root = document.querySelector("[data-inbox]");
  if (!root) return;
  const page = JSON.parse(root.dataset.inbox);
  const composer = document.getElementById("composer");
  const words = document.getElementById("words");
  const token = document.querySelector("[name=csrfmiddlewaretoken]");
  const HERE_SECONDS = 10, TYPING_SECONDS = 3, AGAIN_SECONDS = 15, PRESS_SECONDS = 5;

  const query = (more = {}) => new URLSearchParams({ org: page.org, view: page.view, most: page.most, at: page.at, ...more });

  /* --- Reading parts again --- */
  const reading = {};

  // What lies under a pressed button stays until that was let go: pressed here and let go there is no click.
  let press = null;
  root.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    press?.end();
    const now = press = {};
    now.over = new Promise((end) => { now.end = end; });
    setTimeout(now.end, PRESS_SECONDS * 1000);
  }, true);
  // Behind the click, which comes after these.
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { if (press) setTimeout(press.end); }, true);

  async function read(name, address, put) {
    // One at a time; what is asked for meanwhile is read once more behind it.
    if (reading[name]) { reading[name] = "again"; return; }
    reading[name] = "now";
    try {
      const answer = await fetch(address, { headers: { "X-Requested-With": "fetch" }, credentials: "same-origin" });
      if (answer.redirected) { location.reload(); return; }
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      await press?.over;
      put(fresh);
    } catch { /* The next look brings it. */ } finally {
      const again = reading[name] === "again";
      delete reading[name];
      if (again) read(name, address, put);
    }
  }

  function readList() {
    read("list", `${page.list}?${query()}`, (fresh) => {
      const list = document.getElementById("list");
      const open = document.getElementById("views")?.open;
      const at = document.activeElement?.dataset?.row;
      const scrolled = list.scrollTop;
      list.replaceChildren(...fresh.body.childNodes);
      if (open) document.getElementById("views").open = true;
      if (at) list.querySelector(`[data-row="${CSS.escape(at)}"]`)?.focus();
      list.scrollTop = scrolled;
      localise(list);
      entitle();
    });
  }

  function readOpen() {
    if (!page.part) return;
    read("open", `${page.part}?${query({ pass: page.pass })}`, (fresh) => {
      const talk = document.getElementById("talk");
      const atEnd = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 80;
      for (const id of ["head", "talk"]) replace(id, fresh);
      // Not under somebody's hands.
      if (!document.getElementById("side").contains(document.activeElement) || !isField(document.activeElement)) replace("side", fresh);
      const seen = fresh.getElementById("seen");
      if (atEnd && seen) document.getElementById("seen").value = seen.value;
      const now = fresh.getElementById("composer");
      if (now.dataset.with !== composer.dataset.with || now.dataset.reply !== composer.dataset.reply) renew(now);
      if (atEnd) talk.scrollTop = talk.scrollHeight;
    });
  }

  function replace(id, fresh) {
    const old = document.getElementById(id), now = fresh.getElementById(id);
    if (!old || !now || old.innerHTML === now.innerHTML) return;
    const scrolled = old.scrollTop;
    const held = old.contains(document.activeElement) ? document.activeElement : null;
    old.replaceChildren(...now.childNodes);
    old.scrollTop = scrolled;
    // Who goes by keys goes on from where they were.
    if (held) [...old.querySelectorAll(held.localName)].find((one) => one.textContent === held.textContent && one.name === held.name)?.focus({ preventScroll: true });
    localise(old);
  }

  function renew(now) {
    // Who has the conversation has changed: other things can be written, the words stay.
    for (const name of ["reply", "whisper", "with"]) {
      if (now.dataset[name] === undefined) delete composer.dataset[name];
      else composer.dataset[name] = now.dataset[name];
    }
    composer.querySelector(".inbox-modes").replaceWith(now.querySelector(".inbox-modes"));
    choose(composer.dataset[mode] ? mode : firstMode());
  }

  /* --- What one writes: a reply, a note, a hint --- */
  const MODES = {
    reply: { placeholder: "Your answer. A slash brings the replies that are kept ready.", most: 20000 },
    note: { placeholder: "A note that staff alone read", send: "Keep the note", hint: "No visitor reads this.", most: 10000 },
    whisper: { placeholder: "What the agent should know or do in its next answer", send: "Give the hint", hint: "The agent heeds it in its next answer; the visitor never reads it.", most: 2000 },
  };
  let mode = "note";

  const firstMode = () => (composer.dataset.reply ? "reply" : "note");

  function choose(name) {
    if (!composer?.dataset[name]) return;
    mode = name;
    const looks = MODES[name];
    const by = { me: "Send", other: "Send", agent: "Take over and send" }[composer.dataset.with];
    const hint = { me: "The visitor reads this at once.", other: "A colleague has this conversation: both of you may answer.", agent: "Sending this takes the conversation over." }[composer.dataset.with];
    composer.action = composer.dataset[name];
    composer.className = `inbox-composer ${name}`;
    words.placeholder = looks.placeholder;
    words.maxLength = looks.most;
    document.getElementById("send").textContent = looks.send || by;
    document.getElementById("hint").textContent = looks.hint || hint;
    for (const button of composer.querySelectorAll("[data-mode]")) button.setAttribute("aria-pressed", String(button.dataset.mode === name));
    closeCanned();
  }

  function grow() {
    words.style.height = "auto";
    words.style.height = `${Math.min(words.scrollHeight + 2, window.innerHeight * 0.4)}px`;
  }

  /* What was begun in a conversation is there when one comes back to it, for as long as the tab lives. */
  const draftKey = `halo-inbox-${page.at}`;
  const keepDraft = () => { try { sessionStorage.setItem(draftKey, words.value); } catch { /* Then it is not kept. */ } };
  const draft = () => { try { return sessionStorage.getItem(draftKey) || ""; } catch { return ""; } };

  /* --- Replies that are kept ready --- */
  let ready = null, found = [], chosen = 0;
  const box = document.getElementById("canned");

  const nameAsked = () => (mode === "reply" ? words.value.slice(0, words.selectionStart).match(/(?:^|\s)\/([\w-]*)$/u) : null);

  async function offer() {
    if (!nameAsked()) { closeCanned(); return; }
    try {
      ready ??= (await (await fetch(`${page.canned}?org=${page.org}`)).json()).replies;
    } catch { return; }
    // Somebody may have chosen, or sent, while they came.
    const asked = nameAsked();
    if (!asked) return;
    const part = asked[1].toLowerCase();
    found = ready.filter((one) => one.name.toLowerCase().includes(part)).slice(0, 20);
    chosen = 0;
    if (!found.length) { closeCanned(); return; }
    box.replaceChildren(...found.map((one, place) => {
      const item = document.createElement("li"), text = document.createElement("small");
      item.role = "option";
      item.id = `canned-${place}`;
      item.textContent = `/${one.name}`;
      text.textContent = one.text;
      item.append(text);
      item.addEventListener("mousedown", (event) => { event.preventDefault(); insert(one); });
      return item;
    }));
    box.hidden = false;
    mark();
  }

  function mark() {
    [...box.children].forEach((item, place) => item.setAttribute("aria-selected", String(place === chosen)));
    words.setAttribute("aria-activedescendant", `canned-${chosen}`);
    box.children[chosen]?.scrollIntoView({ block: "nearest" });
  }

  function closeCanned() {
    if (!box) return;
    box.hidden = true;
    words.removeAttribute("aria-activedescendant");
  }

  function insert(one) {
    const before = words.value.slice(0, words.selectionStart).replace(/\/[\w-]*$/u, "");
    const after = words.value.slice(words.selectionStart);
    words.value = before + one.text + after;
    words.selectionStart = words.selectionEnd = before.length + one.text.length;
    closeCanned();
    words.focus();
    words.dispatchEvent(new Event("input"));
  }

  /* --- Sending forms --- */
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!root.contains(form) || form.method !== "post") return;
    event.preventDefault();
    const button = event.submitter;
    if (button?.dataset.sure && !window.confirm(button.dataset.sure)) return;
    if (form.dataset.busy) return;
    form.dataset.busy = "yes";
    const data = new FormData(form, button);
    for (const field of form.querySelectorAll("[data-utc]")) {
      if (field.value) data.set(field.name, new Date(field.value).toISOString().slice(0, 16));
    }
    // Only what was changed here: the rest may have been changed by others since it was read.
    for (const choice of form.querySelectorAll("select")) {
      const first = [...choice.options].find((option) => option.defaultSelected) || choice.options[0];
      if (choice.value === first.value) data.delete(choice.name);
    }
    say("");
    try {
      const answer = await fetch(form.action, { method: "POST", body: data, headers: { Accept: "application/json" }, credentials: "same-origin" });
      const told = answer.headers.get("Content-Type")?.startsWith("application/json") ? await answer.json() : {};
      if (!answer.ok) {
        say(told.error || "That did not work. Load the page again and try once more.");
        if (told.code === "answered_meanwhile") toEnd();
      } else if (form === composer) {
        words.value = "";
        keepDraft();
        grow();
        toEnd();
      }
    } catch {
      say("Halo cannot be reached at the moment. Your words are still here.");
    } finally {
      delete form.dataset.busy;
    }
    form.closest("details.menu")?.removeAttribute("open");
    if (document.activeElement !== words) document.activeElement?.blur?.();
    readOpen();
    readList();
  });

  function say(text) {
    const wrong = document.getElementById("wrong");
    wrong.textContent = text;
    wrong.hidden = !text;
  }

  function toEnd() {
    const talk = document.getElementById("talk");
    talk.scrollTop = talk.scrollHeight;
  }

  /* --- Who is here --- */
  let typedAt = 0;

  function here(state) {
    if (!page.here || !token) return;
    const data = new FormData();
    data.set("state", state);
    data.set("csrfmiddlewaretoken", token.value);
    const address = `${page.here}?org=${page.org}`;
    if (state === "left") navigator.sendBeacon(address, data);
    else fetch(address, { method: "POST", body: data, credentials: "same-origin" }).catch(() => {});
  }

  function typing() {
    keepDraft();
    grow();
    if (Date.now() - typedAt < TYPING_SECONDS * 1000 || !words.value.trim()) return;
    typedAt = Date.now();
    here(mode === "reply" ? "replying" : "writing");
  }

  function show(people) {
    const line = document.getElementById("here");
    const writing = people.filter((one) => one.writes);
    const names = (some) => some.map((one) => one.name).join(" and ");
    line.hidden = !people.length;
    line.classList.toggle("writes", writing.length > 0);
    line.textContent = writing.length
      ? `${names(writing)} ${writing.length > 1 ? "are" : "is"} writing here right now.`
      : people.length ? `${names(people)} ${people.length > 1 ? "are" : "is"} looking at this too.` : "";
  }

  /* --- What happens --- */
  let source = null;

  function listen() {
    source?.close();
    source = new EventSource(`${page.events}?${query()}`);
    source.addEventListener("list", readList);
    source.addEventListener("thread", readOpen);
    source.addEventListener("here", (event) => show(JSON.parse(event.data).people));
    source.addEventListener("error", () => {
      // A browser connects again by itself, unless it was refused.
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(() => { readList(); readOpen(); listen(); }, AGAIN_SECONDS * 1000);
    });
    let first = true;
    source.addEventListener("open", () => {
      // What happened between two connections was told to neither.
      if (!first) { readList(); readOpen(); }
      first = false;
    });
  }

  /* --- Keys --- */
  const isField = (element) => Boolean(element?.closest?.("input, select, textarea, [contenteditable]"));

  function step(by) {
    const rows = [...document.querySelectorAll("#rows [data-row]")];
    if (!rows.length) return;
    const at = rows.findIndex((row) => row === document.activeElement);
    const current = at < 0 ? rows.findIndex((row) => row.ariaCurrent) : at;
    rows[Math.max(0, Math.min(rows.length - 1, current + by))].focus();
  }

  document.addEventListener("keydown", (event) => {
    if (event.target === words) {
      if (!box.hidden && ["ArrowDown", "ArrowUp"].includes(event.key)) {
        event.preventDefault();
        chosen = (chosen + (event.key === "ArrowDown" ? 1 : found.length - 1)) % found.length;
        mark();
      } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        closeCanned();
        composer.requestSubmit(document.getElementById("send"));
      } else if (!box.hidden && ["Enter", "Tab"].includes(event.key)) {
        event.preventDefault();
        insert(found[chosen]);
      } else if (!box.hidden && event.key === "Escape") {
        closeCanned();
      } else if (event.key === "Escape") {
        words.blur();
      }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isField(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === "?") { document.getElementById("keys").showModal(); return; }
    if (event.key === "j" || event.key === "k") { step(event.key === "j" ? 1 : -1); return; }
    if (event.key === "Escape" && page.at && !document.querySelector("details.menu[open]")) { document.querySelector(".inbox-back").click(); return; }
    const button = document.querySelector(`#thread [data-key="${CSS.escape(event.key.toLowerCase())}"]`);
    if (!button) return;
    event.preventDefault();
    button.click();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-mode]");
    if (button) { choose(button.dataset.mode); words.focus(); }
    if (event.target.closest("[data-keys]")) document.getElementById("keys").showModal();
  });

  /* --- Times as the reader's clock has them --- */
  const TODAY = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
  const OTHER = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

  function localise(where) {
    for (const time of where.querySelectorAll("time[data-local]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      time.title = at.toLocaleString();
      time.textContent = (at.toDateString() === new Date().toDateString() ? TODAY : OTHER).format(at);
    }
    for (const field of where.querySelectorAll("[data-utc]")) {
      if (!field.value) continue;
      const at = new Date(`${field.value}Z`);
      field.value = new Date(at.getTime() - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
    }
  }

  const title = document.title;
  function entitle() {
    const waiting = document.querySelectorAll("#rows .waits").length;
    document.title = waiting ? `(${waiting}) ${title}` : title;
  }

  localise(root);
  entitle();
  if (composer) {
    words.value = words.value || draft();
    choose(firstMode());
    grow();
    toEnd();
    words.addEventListener("input", () => { typing(); offer(); });
    words.addEventListener("blur", () => setTimeout(closeCanned, 150));
    here("looking");
    setInterval(() => {
      if (document.visibilityState === "visible" && Date.now() - typedAt > TYPING_SECONDS * 1000) here("looking");
    }, HERE_SECONDS * 1000);
    addEventListener("pagehide", () => here("left"));
  }
  listen();
})();
