"use strict";
/* What a page does by itself: it looks for changes while it is visible, shows how long ago things were, copies ids. */
(() => {
  let away = null;
  const timers = new Map();

  /* -- Looks: the page asks the console what changed, while it is visible. ------------------------------------------ */

  const looks = () => document.querySelectorAll("[data-look]");

  const lookIn = (element, seconds) => {
    clearTimeout(timers.get(element));
    element.dataset.due = String(Date.now() + seconds * 1000);
    if (document.visibilityState !== "visible") return;
    timers.set(element, setTimeout(() => htmx.trigger(element, "look"), seconds * 1000));
  };

  const resume = () => {
    for (const element of looks()) lookIn(element, Math.max(0, (Number(element.dataset.due) - Date.now()) / 1000));
  };

  const pause = () => {
    for (const timer of timers.values()) clearTimeout(timer);
  };

  const have = () =>
    Array.from(document.querySelectorAll("[data-part]"), (part) => `${part.dataset.part}:${part.dataset.digest}`).join();

  document.addEventListener("htmx:configRequest", (event) => {
    if (event.target.dataset.look === undefined) return;
    const parameters = event.detail.parameters;
    parameters.have = have();
    parameters.look = event.target.dataset.look;
    parameters.as_of = document.querySelector("[data-as-of]")?.dataset.asOf ?? "";
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.target.dataset.look === undefined) return;
    const answer = event.detail.xhr;
    const answered = answer.status >= 200 && answer.status < 400;
    const forgotten = answer.status === 404; // the console was restarted and does not know this page
    showAway(!answered, forgotten);
    if (!forgotten) lookIn(event.target, (answered && Number(answer.getResponseHeader("X-Next-Look"))) || 3);
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

  document.addEventListener("visibilitychange", () => (document.visibilityState === "visible" ? resume() : pause()));
  window.addEventListener("pageshow", resume);
  window.addEventListener("pagehide", pause);
  for (const element of looks()) lookIn(element, Number(element.dataset.every));

  /* -- How long ago, in words; the exact time is in the title. ------------------------------------------------------ */

  const UNITS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

  const FAST = 600; // seconds by which the service's clock may be ahead: past events are not shown as future ones

  const ago = (moment, past) => {
    const seconds = (Date.now() - moment) / 1000;
    if (Math.abs(seconds) < 4.5 || (past && seconds < 0 && seconds > -FAST)) return "just now";
    for (const [unit, length] of UNITS) {
      if (Math.abs(seconds) >= length) return words.format(-Math.trunc(seconds / length), unit);
    }
    return words.format(-Math.trunc(seconds), "second");
  };

  const lasting = (moment) => {
    const seconds = Math.max(0, Math.trunc((Date.now() - moment) / 1000));
    const pair = (length, unit, below, smaller) =>
      `for ${Math.trunc(seconds / length)} ${unit} ${Math.trunc((seconds % length) / below)} ${smaller}`;
    if (seconds >= 86400) return pair(86400, "d", 3600, "h");
    if (seconds >= 3600) return pair(3600, "h", 60, "min");
    return seconds >= 60 ? pair(60, "min", 1, "s") : `for ${seconds} s`;
  };

  const showTimes = () => {
    for (const element of document.querySelectorAll("time")) {
      const moment = Date.parse(element.dateTime);
      if (Number.isNaN(moment) || Math.abs(moment) > 6e13) continue; // as the service sent it
      const text = "for" in element.dataset ? lasting(moment) : ago(moment, "ago" in element.dataset);
      if (element.textContent !== text) element.textContent = text;
    }
  };

  document.addEventListener("htmx:oobAfterSwap", showTimes);
  document.addEventListener("htmx:afterSwap", showTimes);
  setInterval(() => document.visibilityState === "visible" && showTimes(), 1000);

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

  showTimes();
})();
