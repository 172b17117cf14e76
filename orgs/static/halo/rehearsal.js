"use strict";

/* Asks every second whether the try-out has come back, and then loads the page that shows it. */
const waiting = document.querySelector("[data-poll]");
const say = (text) => { waiting.querySelector("[data-say]").textContent = text; };

async function look() {
  try {
    const answer = await fetch(waiting.dataset.poll, { headers: { Accept: "application/json" }, cache: "no-store" });
    if (answer.ok && (await answer.json()).state === "waiting") {
      setTimeout(look, 1000);
    } else if (answer.status === 503) {
      say("The server cannot look at the moment: Redis does not answer.");
      setTimeout(look, 3000);
    } else {
      window.location.reload();
    }
  } catch {
    say("The server does not answer.");
    setTimeout(look, 3000);
  }
}

if (waiting) setTimeout(look, 700);
