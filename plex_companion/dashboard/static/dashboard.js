// The page is drawn by the server. This takes in the pieces that changed, lets time pass between them, and says when
// nobody is heard any more. It asks for nothing by itself: what is new comes through /events.
"use strict";

const root = document.documentElement;
const lost = document.getElementById("lost");
const said = document.getElementById("said");
const SILENCE_MS = 40_000; // the server says something at least every 15 s
const HIDDEN_MS = 60_000; // a page that nobody sees for so long leaves its connection to others
const AGAIN_MS = 2_000;

let source = null;
let silence = 0;
let again = 0;
let hidden = 0;
let asleep = false; // nobody listens for a page that nobody sees
let tense = "whenLive";
let heardAt = Date.now();
let ahead = Number(root.dataset.now) - heardAt; // how far the server's clock is ahead of ours

// -- what the server tells

function connect() {
  disconnect();
  source = new EventSource("/events?parts=all");
  source.addEventListener("hello", (message) => {
    // Another version of the program has other pages.
    if (JSON.parse(message.data).build !== root.dataset.build) location.reload();
  });
  source.addEventListener("part", (message) => take(JSON.parse(message.data)));
  for (const kind of ["hello", "part", "beat", "message"]) source.addEventListener(kind, heard);
  source.onerror = () => {
    lose();
    if (source.readyState === EventSource.CLOSED) later();
  };
  watch();
}

function disconnect() {
  clearTimeout(again);
  clearTimeout(silence);
  source?.close();
}

function heard() {
  heardAt = Date.now();
  asleep = false;
  found();
  tell();
  watch();
}

function watch() {
  clearTimeout(silence);
  silence = setTimeout(() => {
    lose();
    connect();
  }, SILENCE_MS);
}

// A browser gives up a stream that was refused; whoever must log in again is shown where.
function later() {
  clearTimeout(again);
  again = setTimeout(async () => {
    try {
      const answer = await fetch("/api/", { method: "HEAD", cache: "no-store" });
      if (answer.status === 401 || answer.redirected) return location.reload();
    } catch {} // not there yet
    connect();
  }, AGAIN_MS);
}

function take({ part, order, pieces, link, now }) {
  ahead = now - Date.now();
  root.dataset.link = link;
  const place = document.querySelector(`[data-part="${part}"]`);
  if (place) arrange(place, order, pieces);
  pass();
}

function arrange(place, order, pieces) {
  const known = new Map([...place.children].map((child) => [child.dataset.key, child]));
  const wanted = new Set(order);
  for (const [key, child] of known) if (!wanted.has(key)) child.remove();
  let before = place.firstElementChild;
  for (const key of order) {
    const old = known.get(key);
    const fresh = key in pieces ? element(pieces[key]) : null;
    if (!old && !fresh) continue;
    const said = old?.dataset.said;
    if (old && fresh) become(old, fresh);
    const piece = old ?? fresh;
    if (piece === before) before = before.nextElementSibling;
    else place.insertBefore(piece, before);
    if (!said && piece.dataset.said) say(piece.dataset.said); // what begins, once it is known what it is
  }
}

function element(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
}

// Make one tree like another without taking its nodes away: focus, pictures and open details stay.
function become(old, fresh) {
  if (old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const news = [...fresh.childNodes];
  [...old.childNodes].slice(news.length).forEach((node) => node.remove());
  const olds = [...old.childNodes];
  news.forEach((node, n) => (olds[n] ? become(olds[n], node) : old.append(node)));
}

function say(sentence) {
  const line = document.createElement("p");
  line.textContent = sentence;
  said.replaceChildren(line);
}

// -- when the companion itself is away

function lose() {
  if (!lost.hidden) return;
  root.dataset.lost = "";
  lost.hidden = false;
  lost.textContent = `The companion does not answer. What you see is the last known, of ${clock(heardAt)}; it may be over.`;
  pass();
}

function found() {
  if (lost.hidden) return;
  delete root.dataset.lost;
  lost.hidden = true;
  lost.textContent = "";
  pass();
}

// What is in the present tense holds only while it is known to be so.
function tell() {
  const away = asleep || !lost.hidden;
  const before = tense;
  tense = away ? "whenLost" : root.dataset.link === "live" ? "whenLive" : "whenBlind";
  for (const node of document.querySelectorAll("[data-when-live]")) {
    put(node, node.dataset[tense] ?? node.dataset.whenLive);
  }
  if (before !== tense && tense !== "whenLive") said.replaceChildren();
  const title = asleep ? "" : away ? "Companion not heard" : document.querySelector("[data-title]")?.dataset.title;
  document.title = title ? `${title} – plex-companion` : "plex-companion";
}

// -- time

const clock = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

function length(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, n) => (n ? String(part).padStart(2, "0") : part)).join(":");
}

function ago(ms) {
  for (const [span, name] of [[86_400_000, "d"], [3_600_000, "h"], [60_000, "min"]]) {
    if (ms >= span) return `${Math.floor(ms / span)} ${name} ago`;
  }
  return "just now";
}

function pass() {
  const now = (asleep || !lost.hidden ? heardAt : Date.now()) + ahead;
  for (const session of document.querySelectorAll(".session")) {
    const { offset, at, duration } = session.dataset;
    const moved = "moving" in session.dataset ? Math.max(0, now - at) : 0;
    const here = Math.min(Number(offset) + moved, duration ? Number(duration) : Infinity);
    put(session.querySelector(".position"), length(here));
    if (duration) session.querySelector("progress").value = here;
  }
  for (const time of document.querySelectorAll("time[data-at]")) {
    put(time, ago(Date.now() + ahead - time.dataset.at));
    time.title ||= new Date(Number(time.dataset.at)).toLocaleString();
  }
  tell();
}

function put(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}

// -- what a person does

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches(".alert form")) return;
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const answer = await fetch(form.action, { method: "POST", headers: { accept: "application/json" } });
    if (answer.status === 401) return location.reload();
    if (!answer.ok) say(`Not done: the companion answered ${answer.status}.`);
  } catch {
    say("Not done: the companion does not answer.");
  }
  button.disabled = false;
});

document.addEventListener("visibilitychange", () => {
  clearTimeout(hidden);
  if (document.hidden) hidden = setTimeout(sleep, HIDDEN_MS);
  else if (!source || source.readyState === EventSource.CLOSED) connect();
  else pass();
});
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  sleep();
  connect();
});

function sleep() {
  disconnect();
  asleep = true;
  pass();
}

setInterval(pass, 1_000);
pass();
connect();
