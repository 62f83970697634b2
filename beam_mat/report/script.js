"use strict";
// Filters the sample records. Without this script, the page shows all of them.
const at = (id) => document.getElementById(id);
const form = at("filter");
const cards = [...document.querySelectorAll(".card")];
const fields = { search: at("search"), kind: at("kind"), tool: at("tool"), reason: at("reason") };
const words = new Map();

function text(card) {
  // The text includes the reason of a rejected record and the tools of an accepted one.
  if (!words.has(card)) words.set(card, `${card.dataset.id} ${card.textContent}`.toLowerCase());
  return words.get(card);
}

function matches(card) {
  const { kind, tools, reason } = card.dataset;
  if (fields.kind.value && fields.kind.value !== kind) return false;
  if (fields.tool.value && !tools.split(" ").includes(fields.tool.value)) return false;
  if (fields.reason.value && fields.reason.value !== reason) return false;
  return fields.search.value.toLowerCase().split(/\s+/).every((word) => text(card).includes(word));
}

// Shows only the first matching records at first. A button shows the others.
const FEW = 18;
const more = at("more");

function show(most) {
  const matching = new Set(cards.filter(matches));
  const shown = new Set([...matching].slice(0, most));
  for (const card of cards) card.hidden = !shown.has(card);
  at("shown").textContent = `${matching.size} of ${cards.length} records`;
  at("none").hidden = matching.size > 0;
  more.hidden = shown.size === matching.size;
  more.textContent = `Show ${matching.size - shown.size} more`;
}

const filter = () => { show(FEW); };

more.addEventListener("click", () => {
  const next = cards.filter(matches)[FEW];
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
