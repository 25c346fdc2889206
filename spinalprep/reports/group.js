"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const byId = (name) => document.getElementById(name);
const figures = all("main figure");
const large = byId("large");
let current = null, shown = null;

// captions
const tell = (text) => { byId("told").textContent = text; };
const copy = async (figure) => {
  const text = figure.querySelector("figcaption .words").textContent.replace(/\s+/g, " ").trim();
  try {
    await navigator.clipboard.writeText(text);
  } catch { // no permission, or an old browser
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  tell("caption copied: " + text.slice(0, 60) + (text.length > 60 ? " ..." : ""));
};

// an enlarged figure, and its neighbours
const enlarge = (figure) => {
  shown = figure;
  large.querySelector("div").replaceChildren(figure.querySelector("svg").cloneNode(true));
  large.querySelector("p").textContent = figure.querySelector("figcaption .words").textContent;
  if (!large.open) large.showModal();
};
const step = (by) => {
  const next = figures[figures.indexOf(shown) + by];
  if (next) enlarge(next);
};
figures.forEach((figure) => {
  ["mouseenter", "focusin"].forEach((name) => figure.addEventListener(name, () => { current = figure; }));
  figure.querySelector(".copy").addEventListener("click", () => copy(figure));
  figure.querySelector(".enlarge").addEventListener("click", () => enlarge(figure));
});
large.addEventListener("close", () => shown && shown.querySelector(".enlarge").focus());
all("dialog").forEach((dialog) => dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.tagName === "BUTTON") dialog.close();
}));
byId("help").addEventListener("click", () => byId("keys").showModal());

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const figure = large.open ? shown : current;
  if (event.key === "?") byId("keys").showModal();
  else if (large.open && event.key === "ArrowRight") step(1);
  else if (large.open && event.key === "ArrowLeft") step(-1);
  else if (figure && event.key === "c") copy(figure);
  else if (figure && !large.open && event.key === "e") enlarge(figure);
});
