"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const byId = (name) => document.getElementById(name);

// ratings: a key on the section under the pointer, or focused
const parts = all("section[data-part]");
const words = { p: "pass", f: "fail", a: "artifact" };
let current = null;
const choose = (part) => {
  if (current) current.classList.remove("current");
  current = part;
  part.classList.add("current");
};
parts.forEach((part) => {
  part.addEventListener("mouseenter", () => choose(part));
  part.addEventListener("focusin", () => choose(part));
});
byId("export").addEventListener("click", () => {
  const participant = document.body.dataset.participant;
  const lines = [JSON.stringify(participant) + ":"];
  parts.filter((part) => part.dataset.mark).forEach((part) =>
    lines.push("  " + JSON.stringify(part.dataset.part) + ": " + part.dataset.mark));
  if (lines.length === 1) lines[0] += " {}";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/yaml" }));
  link.download = participant + "_marks.yml";
  link.click();
});

// how pictures are shown
const root = document.documentElement;
["brightness", "contrast"].forEach((name) => byId(name).addEventListener("input", (event) =>
  root.style.setProperty("--" + name, event.target.value + "%")));
const toggles = { lines: "no-lines", letters: "no-letters" };
Object.entries(toggles).forEach(([name, style]) => byId(name).addEventListener("change", (event) =>
  document.body.classList.toggle(style, !event.target.checked)));
const flip = (name) => { byId(name).checked = !byId(name).checked; byId(name).dispatchEvent(new Event("change")); };
all(".mix input").forEach((input) => input.addEventListener("input", () =>
  input.closest("section").style.setProperty("--mix", input.value / 100)));

// an enlarged picture, and its neighbours
const large = byId("large");
let shown = null;
const enlarge = (frame) => {
  shown = frame;
  const copy = frame.cloneNode(true);
  const figure = frame.closest(".view");
  const place = large.querySelector("div");
  place.style.cssText = figure.style.cssText;
  place.style.setProperty("--mix", getComputedStyle(figure).getPropertyValue("--mix") || 0);
  place.replaceChildren(...copy.childNodes);
  large.querySelector("p").textContent = figure.querySelector("figcaption").textContent;
  if (!large.open) large.showModal();
};
const step = (by) => {
  const frames = all(".frame", shown.closest("section"));
  const next = frames[frames.indexOf(shown) + by];
  if (next) enlarge(next);
};
all(".frame").forEach((frame) => frame.addEventListener("click", () => enlarge(frame)));
large.addEventListener("close", () => shown && shown.focus());
all("dialog").forEach((dialog) => dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.tagName === "BUTTON") dialog.close();
}));
byId("help").addEventListener("click", () => byId("keys").showModal());

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input[type=range]")) return;
  const key = event.key;
  if (key === "o") flip("lines");
  else if (key === "l") flip("letters");
  else if (key === "?") byId("keys").showModal();
  else if (large.open && key === "ArrowRight") step(1);
  else if (large.open && key === "ArrowLeft") step(-1);
  else if (current && words[key]) current.dataset.mark = words[key];
  else if (current && key === " " && !event.target.matches("button, input, a")) {
    const slider = current.querySelector(".mix input");
    if (!slider) return;
    slider.value = slider.value > 50 ? 0 : 100;
    slider.dispatchEvent(new Event("input"));
    event.preventDefault();
  }
});
