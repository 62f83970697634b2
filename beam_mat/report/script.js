"use strict";
// Without this the page shows all that it has; with it the records can be filtered.
const at = (id) => document.getElementById(id);
const form = at("filter");
const cards = [...document.querySelectorAll(".card")];
const fields = { search: at("search"), kind: at("kind"), tool: at("tool"), reason: at("reason") };
const words = new Map();

function text(card) {
  // A rejected record is searched for its reason too, and an accepted one for its tools.
  if (!words.has(card)) words.set(card, `${card.dataset.id} ${card.textContent}`.toLowerCase());
  return words.get(card);
}

function fits(card) {
  const { kind, tools, reason } = card.dataset;
  if (fields.kind.value && fields.kind.value !== kind) return false;
  if (fields.tool.value && !tools.split(" ").includes(fields.tool.value)) return false;
  if (fields.reason.value && fields.reason.value !== reason) return false;
  return fields.search.value.toLowerCase().split(/\s+/).every((word) => text(card).includes(word));
}

// The first of those that fit; a button shows the others.
const FEW = 18;
const more = at("more");

function show(most) {
  const fitting = new Set(cards.filter(fits));
  const shown = new Set([...fitting].slice(0, most));
  for (const card of cards) card.hidden = !shown.has(card);
  at("shown").textContent = `${fitting.size} of ${cards.length} records`;
  at("none").hidden = fitting.size > 0;
  more.hidden = shown.size === fitting.size;
  more.textContent = `Show ${fitting.size - shown.size} more`;
}

const filter = () => { show(FEW); };

more.addEventListener("click", () => {
  const next = cards.filter(fits)[FEW];
  show(cards.length);
  next.querySelector("summary").focus({ preventScroll: true });
});

form.hidden = false;
form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(filter));
filter();

for (const field of ["tool", "reason"]) {
  const key = field === "tool" ? "showTool" : "showReason";
  for (const link of document.querySelectorAll(`[data-show-${field}]`)) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      form.reset();
      fields[field].value = link.dataset[key];
      filter();
      at("records").scrollIntoView();
      fields[field].focus({ preventScroll: true });
    });
  }
}

for (const link of document.querySelectorAll('a[href^="#system-"]')) {
  link.addEventListener("click", () => { at(link.hash.slice(1)).open = true; });
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    at("records").scrollIntoView();
    fields.search.focus({ preventScroll: true });
  } else if (event.key === "Escape" && typing) {
    form.reset();
  }
});

const pairs = (list) => new Map(list.trim().split(" ").map((pair) => pair.split(":")));
const cutoff = at("cutoff");
cutoff?.addEventListener("change", () => {
  for (const box of document.querySelectorAll(".tokens")) {
    const marker = box.querySelector(".marker");
    const x = pairs(marker.dataset.places).get(cutoff.value);
    marker.setAttribute("transform", `translate(${x} 0)`);
    for (const bar of box.querySelectorAll(".bar")) {
      bar.classList.toggle("beyond", Number(bar.dataset.least) >= Number(cutoff.value));
    }
    const number = (value) => Number(value).toLocaleString("en-US");
    box.querySelector(".over").textContent = number(pairs(box.dataset.over).get(cutoff.value));
    box.querySelector(".at").textContent = number(cutoff.value);
  }
});
