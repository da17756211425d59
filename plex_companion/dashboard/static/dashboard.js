// The server renders the page. This script applies the fragments that changed, advances times and positions between
// updates, and says when the server is unreachable. It never polls: updates arrive through /events.
"use strict";

const root = document.documentElement;
const lost = document.getElementById("lost");
const said = document.getElementById("said");
const SILENCE_MS = 13_000; // the server sends a heartbeat every 4 s
const HIDDEN_MS = 10_000; // a hidden page closes its connection after this: browsers allow six per host, and the next tab waits
const RETRY_MS = 2_000;

let source = null;
let silenceTimer = 0;
let retryTimer = 0;
let hiddenTimer = 0;
let asleep = false; // the page is hidden and has closed its connection
let tense = "whenLive";
let heardAt = Date.now();
let ahead = Number(root.dataset.now) - heardAt; // how far the server's clock is ahead of ours

// -- updates from the server

function connect() {
  if (!("EventSource" in window)) return showBanner("This browser can't receive updates. Reload the page to see what's new.");
  disconnect();
  source = new EventSource(`/events?parts=${root.dataset.live}`);
  source.addEventListener("hello", (message) => {
    // Another version of the program has other templates and scripts.
    if (JSON.parse(message.data).build !== root.dataset.build) location.reload();
  });
  source.addEventListener("part", (message) => applyPart(JSON.parse(message.data)));
  for (const kind of ["hello", "part", "beat", "message"]) source.addEventListener(kind, markAlive);
  source.onerror = () => {
    showLost();
    if (source.readyState === EventSource.CLOSED) reconnectLater();
  };
  restartSilenceTimer();
}

function disconnect() {
  clearTimeout(retryTimer);
  clearTimeout(silenceTimer);
  source?.close();
}

function markAlive() {
  heardAt = Date.now();
  asleep = false;
  hideLost();
  updateTense();
  restartSilenceTimer();
}

function restartSilenceTimer() {
  clearTimeout(silenceTimer);
  silenceTimer = setTimeout(() => {
    showLost();
    connect();
  }, SILENCE_MS);
}

// EventSource gives up for good after an HTTP error, so reconnecting is up to us. After a logout, reload to the login page.
function reconnectLater() {
  clearTimeout(retryTimer);
  retryTimer = setTimeout(async () => {
    try {
      const answer = await fetch("/api/", { method: "HEAD", cache: "no-store" });
      if (answer.status === 401 || answer.redirected) return location.reload();
    } catch {} // still unreachable
    connect();
  }, RETRY_MS);
}

function applyPart({ part, order, pieces, link, now }) {
  ahead = now - Date.now();
  root.dataset.link = link;
  const place = document.querySelector(`[data-part="${part}"]`);
  if (place) {
    syncChildren(place, order, pieces);
    localize(place);
  }
  refreshTimes();
}

function syncChildren(place, order, pieces) {
  const known = new Map([...place.children].map((child) => [child.dataset.key, child]));
  const wanted = new Set(order);
  for (const [key, child] of known) if (!wanted.has(key)) child.remove();
  let before = place.firstElementChild;
  for (const key of order) {
    const old = known.get(key);
    const fresh = key in pieces ? parseElement(pieces[key]) : null;
    if (!old && !fresh) continue;
    const said = old?.dataset.said;
    if (old && fresh) morph(old, fresh);
    const piece = old ?? fresh;
    if (piece === before) before = before.nextElementSibling;
    else place.insertBefore(piece, before);
    if (!said && piece.dataset.said) announce(piece.dataset.said); // a new session, as soon as its title and user are known
  }
}

function parseElement(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
}

// Make one tree equal to another and keep its nodes, so that focus, images, an open <details> or a dialog survive.
function morph(old, fresh) {
  Idiomorph.morph(old, fresh, {
    morphStyle: "outerHTML",
    ignoreActiveValue: true,
    callbacks: {
      beforeNodeMorphed: (node) => !node.matches?.("dialog:popover-open"),
      beforeAttributeUpdated: (name) => name !== "open",
    },
  });
}

function announce(sentence) {
  const line = document.createElement("p");
  line.textContent = sentence;
  said.replaceChildren(line);
}

// -- when plex-companion itself is unreachable

function showLost() {
  if ("lost" in root.dataset) return;
  root.dataset.lost = "";
  showBanner(`plex-companion isn't responding. This is the last known state, from ${formatClock(heardAt)}; it may be out of date.`);
  refreshTimes();
}

function showBanner(sentence) {
  lost.hidden = false;
  lost.textContent = sentence;
}

function hideLost() {
  if (!("lost" in root.dataset)) return;
  delete root.dataset.lost;
  lost.hidden = true;
  lost.textContent = "";
  refreshTimes();
}

// Use the present tense only while the state is current.
function updateTense() {
  const away = asleep || "lost" in root.dataset;
  const before = tense;
  tense = away ? "whenLost" : root.dataset.link === "live" ? "whenLive" : "whenBlind";
  for (const node of document.querySelectorAll("[data-when-live]")) {
    setText(node, node.dataset[tense] ?? node.dataset.whenLive);
  }
  if (before !== tense && tense !== "whenLive") said.replaceChildren();
  const summary = document.querySelector("[data-title]");
  const now = summary ? summary.dataset.title : root.dataset.page;
  const title = asleep ? (summary ? "" : now) : away ? "plex-companion not responding" : now;
  document.title = title ? `${title} – plex-companion` : "plex-companion";
}

// -- time

const formatClock = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

function formatDuration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, n) => (n ? String(part).padStart(2, "0") : part)).join(":");
}

function formatAgo(ms) {
  for (const [span, name] of [[86_400_000, "d"], [3_600_000, "h"], [60_000, "min"]]) {
    if (ms >= span) return `${Math.floor(ms / span).toLocaleString()} ${name} ago`;
  }
  return "just now";
}

function formatSize(bytes) {
  if (bytes < 1_000) return `${bytes.toLocaleString()} bytes`;
  const unit = Math.min(4, Math.floor(Math.log10(bytes) / 3));
  const digits = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
  return `${(bytes / 1_000 ** unit).toLocaleString(undefined, digits)} ${["", "kB", "MB", "GB", "TB"][unit]}`;
}

function formatLength(ms) {
  if (ms < 60_000) return `${Math.floor(ms / 1_000)} s`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor(ms / 60_000) % 60;
  if (!hours) return `${minutes} min`;
  return minutes && hours < 100 ? `${hours} h ${minutes} min` : `${hours.toLocaleString()} h`;
}

const STYLES = { // a formatter takes longer to make than to use a hundred times
  full: new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }),
  date: new Intl.DateTimeFormat(undefined, { dateStyle: "medium" }),
  clock: new Intl.DateTimeFormat(undefined, { timeStyle: "medium" }),
};

// Numbers, dates and times in the manner of the browser. The server wrote them in English and in its own time zone.
function localize(tree) {
  for (const node of tree.querySelectorAll("data[data-number]")) setText(node, Number(node.value).toLocaleString());
  for (const node of tree.querySelectorAll("data[data-size]")) setText(node, formatSize(Number(node.value)));
  for (const node of tree.querySelectorAll("data[data-duration]")) setText(node, formatLength(Number(node.value)));
  for (const node of tree.querySelectorAll("time[data-style]")) {
    const style = STYLES[node.dataset.style];
    if (style) setText(node, style.format(Number(node.dataset.at)));
  }
}

function refreshTimes() {
  const now = (asleep || "lost" in root.dataset ? heardAt : Date.now()) + ahead;
  for (const session of document.querySelectorAll(".session")) {
    const { offset, at, duration } = session.dataset;
    const moved = "moving" in session.dataset ? Math.max(0, now - at) : 0;
    const here = Math.min(Number(offset) + moved, duration ? Number(duration) : Infinity);
    setText(session.querySelector(".position"), formatDuration(here));
    if (duration) session.querySelector("progress").value = here;
  }
  for (const time of document.querySelectorAll("time[data-at]:not([data-style]), time[data-style=ago]")) {
    setText(time, formatAgo(Date.now() + ahead - time.dataset.at));
    time.title ||= new Date(Number(time.dataset.at)).toLocaleString();
  }
  updateTense();
}

function setText(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}

// -- user actions

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches(".alerts .alert form")) return;
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const answer = await fetch(form.action, { method: "POST", headers: { accept: "application/json" } });
    if (answer.status === 401) return location.reload();
    if (!answer.ok) announce(`That didn't work: plex-companion answered ${answer.status}.`);
  } catch {
    announce("That didn't work: plex-companion isn't responding.");
  }
  button.disabled = false;
});

document.addEventListener("visibilitychange", () => {
  clearTimeout(hiddenTimer);
  if (document.hidden) hiddenTimer = setTimeout(suspend, HIDDEN_MS);
  else if (!source || source.readyState === EventSource.CLOSED) connect();
  else refreshTimes();
});
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  suspend();
  connect();
});

function suspend() {
  disconnect();
  asleep = true;
  refreshTimes();
}

setInterval(refreshTimes, 1_000);
const showPictures = withholdPictures();
afterPaint(() => {
  showPictures();
  localize(document);
  refreshTimes();
  connect();
});

// Asking for twenty pictures takes as long as all the rest up to the first paint, so the text does not wait for them.
function withholdPictures() {
  const pictures = [...document.images].filter((image) => image.loading === "lazy" && !image.complete);
  const sources = pictures.map((image) => image.getAttribute("src"));
  for (const image of pictures) image.removeAttribute("src");
  return () => {
    for (const [n, image] of pictures.entries()) if (!image.hasAttribute("src")) image.setAttribute("src", sources[n]);
  };
}

// What the server wrote can be read already, so it is painted before anything changes it or takes the browser's time.
function afterPaint(work) {
  if (!PerformanceObserver.supportedEntryTypes?.includes("paint")) return setTimeout(work);
  new PerformanceObserver((_, observer) => {
    observer.disconnect();
    work();
  }).observe({ type: "paint", buffered: true });
}
