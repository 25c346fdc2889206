"use strict";
const parts = [...document.querySelectorAll("section[data-part]")];
const words = { p: "pass", f: "fail", a: "artifact" };
let current = null;
parts.forEach((part) => part.addEventListener("mouseenter", () => {
  if (current) current.classList.remove("current");
  current = part;
  part.classList.add("current");
}));
document.addEventListener("keydown", (event) => {
  if (!current || event.ctrlKey || event.metaKey || event.altKey) return;
  if (words[event.key]) current.dataset.mark = words[event.key];
  if (event.key === " ") {
    const figure = current.querySelector(".flicker");
    if (figure) { figure.classList.toggle("on"); event.preventDefault(); }
  }
});
document.getElementById("export").addEventListener("click", () => {
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
