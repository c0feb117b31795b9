"use strict";
/* What a page does by itself: it looks for news while somebody looks at it, tells how long ago things were, copies ids. */
(() => {
  const FIRST = 2;
  let timer = 0;
  let away = null;

  /* -- Looks: the page asks the console what changed, and the console says when to ask again. ----------------------- */

  const look = () => document.getElementById("look");

  const lookIn = (seconds) => {
    clearTimeout(timer);
    if (look() && document.visibilityState === "visible") {
      timer = setTimeout(() => htmx.trigger(look(), "look"), seconds * 1000);
    }
  };

  const have = () =>
    Array.from(document.querySelectorAll("[data-part]"), (part) => `${part.dataset.part}:${part.dataset.digest}`).join();

  document.addEventListener("htmx:configRequest", (event) => {
    if (event.target === look()) event.detail.parameters.have = have();
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.target !== look()) return;
    const answer = event.detail.xhr;
    const answered = answer.status >= 200 && answer.status < 400;
    const forgotten = answer.status === 404; // it was started anew: nobody knows what this page was about
    showAway(!answered, forgotten);
    if (!forgotten) lookIn(answered ? Number(answer.getResponseHeader("X-Next-Look")) || FIRST : FIRST);
  });

  const showAway = (gone, forgotten) => {
    const banner = document.getElementById("console-away");
    for (const words of banner.querySelectorAll("[data-away]")) {
      words.hidden = (words.dataset.away === "anew") !== forgotten;
    }
    if (gone && away === null) {
      away = new Date();
      banner.querySelector("[data-away-since]").textContent = away.toLocaleTimeString();
    }
    if (!gone) away = null;
    banner.hidden = !gone;
  };

  document.addEventListener("visibilitychange", () => lookIn(0));
  window.addEventListener("pageshow", () => lookIn(0.2));
  window.addEventListener("pagehide", () => clearTimeout(timer));

  /* -- How long ago, in words; the exact time is in the title. ------------------------------------------------------ */

  const UNITS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

  const FAST = 600; // seconds by which the service's clock may be ahead: what has happened is not to come

  const ago = (moment, past) => {
    const seconds = (Date.now() - moment) / 1000;
    if (Math.abs(seconds) < 4.5 || (past && seconds < 0 && seconds > -FAST)) return "just now";
    for (const [unit, length] of UNITS) {
      if (Math.abs(seconds) >= length) return words.format(-Math.trunc(seconds / length), unit);
    }
    return words.format(-Math.trunc(seconds), "second");
  };

  const tellTimes = () => {
    for (const element of document.querySelectorAll("time")) {
      const text = ago(Date.parse(element.dateTime), "ago" in element.dataset);
      if (element.textContent !== text) element.textContent = text;
    }
  };

  document.addEventListener("htmx:oobAfterSwap", tellTimes);
  document.addEventListener("htmx:afterSwap", tellTimes);
  setInterval(() => document.visibilityState === "visible" && tellTimes(), 1000);

  /* -- Copying, and forms that are sent once. ------------------------------------------------------------------------ */

  const say = (text) => {
    document.getElementById("said").textContent = text;
  };

  const copy = async (button) => {
    try {
      let text = button.dataset.copy;
      if (text === undefined) {
        const answer = await fetch(button.dataset.copyFrom);
        if (!answer.ok) throw new Error(String(answer.status));
        text = await answer.text();
      }
      await navigator.clipboard.writeText(text);
      button.classList.add("done");
      setTimeout(() => button.classList.remove("done"), 1200);
      say("Copied");
    } catch {
      say("It could not be copied");
    }
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-copy-from]");
    if (button) copy(button);
  });

  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "1";
    event.target.querySelector("button")?.setAttribute("aria-disabled", "true");
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      form.querySelector("button")?.removeAttribute("aria-disabled");
    }
  });

  tellTimes();
})();
