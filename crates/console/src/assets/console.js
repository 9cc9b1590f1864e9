"use strict";
// What script adds: local times, the keyboard, and word of what happens while somebody looks. Every page
// and every action works without it.

// Times in the browser's zone, unless the operator chose another; UTC stays in the title.
const localTimes = (root) => {
  if (document.documentElement.dataset.zone !== "browser") return;
  const two = (n) => String(n).padStart(2, "0");
  for (const time of root.querySelectorAll("time[datetime]")) {
    if (time.title) continue;
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    const minutes = `${two(at.getHours())}:${two(at.getMinutes())}`;
    const forms = { h: minutes, s: `${day} ${minutes}:${two(at.getSeconds())}` };
    time.title = time.dateTime.replace("T", " ").replace("Z", " UTC");
    time.textContent = forms[time.dataset.t] || `${day} ${minutes}`;
  }
};
(() => {
  localTimes(document);
  if (document.documentElement.dataset.zone !== "browser") return;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const told = document.getElementById("zone-now");
  if (told && zone) told.textContent = `Times are in ${zone}.`;
})();

// Rows of transfers open to what one looks for first, by a button before the number, which is a link to
// the whole of it. Whatever cannot be had is on that page, or said there.
(() => {
  const open = async (row, button) => {
    const below = document.createElement("tr");
    below.id = `details-${row.dataset.id}`;
    below.className = "details";
    const place = document.createElement("div");
    place.textContent = "…";
    const cell = below.insertCell();
    cell.colSpan = row.cells.length;
    cell.append(place);
    row.after(below);
    button.setAttribute("aria-expanded", "true");
    button.setAttribute("aria-controls", below.id);
    try {
      const answer = await fetch(`/console/transfers/${row.dataset.id}/details`);
      if (!answer.ok || answer.redirected) throw new Error("no details");
      place.innerHTML = await answer.text();
      localTimes(place);
    } catch {
      place.replaceChildren("This cannot be shown here now: open transfer ", row.querySelector("a").cloneNode(true));
    }
  };
  for (const row of document.querySelectorAll("table#rows tr[data-id]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "peek";
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-label", `Details of transfer ${row.dataset.id}`);
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-expanded") === "false") {
        open(row, button);
        return;
      }
      // What had the focus goes with it.
      button.focus();
      row.nextElementSibling.remove();
      button.setAttribute("aria-expanded", "false");
      button.removeAttribute("aria-controls");
    });
    row.querySelector("th a").before(button);
  }
})();

// The keyboard. Nothing happens while somebody writes, nor with a modifier held.
(() => {
  const list = document.getElementById("rows");
  const rows = () => (list ? [...(list.tBodies ? list.tBodies[0].rows : list.children)].filter((row) => row.className !== "details") : []);
  let at = -1;
  let led = false;

  const go = (to) => {
    const all = rows();
    if (!all.length) return;
    all[at]?.classList.remove("at");
    at = Math.max(0, Math.min(all.length - 1, to));
    const row = all[at];
    row.classList.add("at");
    row.querySelector("summary, .peek, a")?.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  };
  const open = () => {
    const row = rows()[at];
    const details = row?.querySelector("details");
    if (details) details.open = !details.open;
    else row?.querySelector(".peek, a")?.click();
  };
  const close = () => {
    const row = rows()[at];
    const opened = row?.querySelector("details[open] > summary, .peek[aria-expanded=true]");
    opened?.focus();
    opened?.click();
  };
  // The first press opens the row and goes to its button, whose sentence is read; the second does it.
  const choose = (key) => {
    const row = rows()[at];
    const scope = row || (list ? null : document.querySelector(".story, .acts"));
    const button = scope?.querySelector(`button[data-key="${key}"]`);
    if (!button || button.disabled) return;
    const details = row?.querySelector("details");
    if (document.activeElement === button && (!details || details.open)) {
      button.click();
      return;
    }
    if (details) details.open = true;
    button.focus();
    button.scrollIntoView({ block: "nearest" });
  };

  // Whoever moves with Tab or the pointer moves the row as well, so that no key acts on another one.
  document.addEventListener("focusin", (event) => {
    const all = rows();
    const within = event.target.closest("tr.details")?.previousElementSibling || event.target;
    const row = all.findIndex((one) => one.contains(within));
    if (row >= 0 && row !== at) {
      all[at]?.classList.remove("at");
      at = row;
      all[at].classList.add("at");
    }
  });

  // A link to one row opens it.
  const named = location.hash && document.getElementById(location.hash.slice(1));
  const inside = named && list?.contains(named) && named.querySelector("details");
  if (inside) {
    inside.open = true;
    inside.querySelector("summary").focus();
  }

  const keys = {
    j: () => go(at + 1),
    k: () => go(at - 1),
    c: () => choose("c"),
    x: () => choose("x"),
    t: () => choose("t"),
    r: () => location.reload(),
    Escape: close,
    "/": () => (document.querySelector("main input[type=search]") || document.getElementById("find"))?.focus(),
    "?": () => location.assign("/console/help"),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing) return;
    const target = event.target;
    if (target.closest("input, select, textarea")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    const was = led;
    led = false;
    if (was) {
      const link = [...document.querySelectorAll(".bar nav a")].find((a) => a.dataset.key === event.key);
      if (link) {
        event.preventDefault();
        link.click();
      }
      return;
    }
    if (event.key === "g") {
      led = true;
      return;
    }
    // Enter on a link, a button or a summary is the browser's own.
    if (event.key === "Enter" && !target.closest("a, button, summary")) {
      open();
      return;
    }
    const act = keys[event.key];
    if (act) {
      event.preventDefault();
      act();
    }
  });
})();

// A form is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

// What happens while somebody looks. Rows never move: there is a line that says what is new, and a row
// that is out of date can no longer be acted upon.
(() => {
  const news = document.getElementById("news");
  if (!news || !window.EventSource) return;
  const shown = [...document.querySelectorAll("[data-v]")];
  const find = (id) => shown.find((one) => one.dataset.id === id);
  const fresh = new Set();
  // What is said, the most important first; one thing at a time.
  const said = new Set();
  const say = () => {
    const words = {
      deaf: "No longer live",
      behind: "Much has happened",
      story: "This transfer has changed",
      new: `${fresh.size} new`,
      changed: "Some of this has changed",
      perhaps: "There may be new ones",
      moved: "Transfers have moved on",
    };
    const first = Object.keys(words).find((what) => said.has(what));
    news.hidden = !first;
    const text = first ? `${words[first]} · ` : "";
    if (news.firstChild?.textContent === text) return;
    const link = document.createElement("a");
    link.href = location.href;
    link.textContent = first === "deaf" ? "Load again" : "Show";
    link.addEventListener("click", (event) => {
      event.preventDefault();
      location.reload();
    });
    news.replaceChildren(text, link);
  };
  const changed = (event) => {
    const one = find(event.data);
    if (!one) return;
    one.classList.add("stale");
    for (const button of one.querySelectorAll(".acts button")) button.disabled = true;
    const place = one.querySelector(".taken");
    if (place) place.textContent = "Changed meanwhile";
    said.add(one.classList.contains("story") ? "story" : "changed");
  };
  const me = document.querySelector(".who a")?.textContent;
  // Who takes a row stands in it at once, and nothing else about it changes.
  const tookOrLeft = (event) => {
    const [id, until, ...name] = event.data.split(" ");
    const row = find(id);
    const place = row?.querySelector(".taken");
    if (!place || row.classList.contains("stale")) return;
    place.replaceChildren();
    if (!until) return;
    const at = new Date(until);
    const local = document.documentElement.dataset.zone === "browser";
    const hour = local ? [at.getHours(), at.getMinutes()] : [at.getUTCHours(), at.getUTCMinutes()];
    const time = hour.map((n) => String(n).padStart(2, "0")).join(":") + (local ? "" : " UTC");
    const badge = document.createElement("span");
    const mine = name.join(" ") === me;
    badge.className = mine ? "badge info" : "badge taken";
    badge.textContent = mine ? `Yours until ${time}` : `${name.join(" ")} until ${time}`;
    place.append(badge);
  };
  // A page that nobody sees keeps no connection, and catches up when it is seen again.
  const address = new URL(news.dataset.live, location.href);
  address.searchParams.set("rows", shown.map((one) => `${one.dataset.id}.${one.dataset.v}`).join("-"));
  let source;
  let later;
  const listen = () => {
    clearTimeout(later);
    source?.close();
    source = undefined;
    if (document.hidden) return;
    const mine = new EventSource(address);
    source = mine;
    const on = (what, hear) => mine.addEventListener(what, (event) => {
      hear(event);
      say();
    });
    on("open", () => said.delete("deaf"));
    // A browser does not come again by itself where it was refused: the session has ended, there is no
    // place, or the service is away.
    on("error", () => {
      if (mine.readyState !== EventSource.CLOSED) return;
      said.add("deaf");
      later = setTimeout(listen, 30000);
    });
    on("changed", changed);
    on("new", (event) => said.add("new") && fresh.add(event.data));
    on("perhaps", () => said.add("perhaps"));
    on("moved", () => said.add("moved"));
    on("behind", () => said.add("behind"));
    for (const what of ["at", "behind"]) on(what, (event) => address.searchParams.set("after", event.lastEventId));
    on("taken", tookOrLeft);
  };
  document.addEventListener("visibilitychange", listen);
  window.addEventListener("pagehide", () => source?.close());
  listen();
})();
