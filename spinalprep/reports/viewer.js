"use strict";
const byId = (name) => document.getElementById(name);
const { runs, shared, colours } = JSON.parse(byId("data").textContent);
const AXIAL = 0, CORONAL = 1, SAGITTAL = 2;
const ACROSS = { [AXIAL]: [0, 1, 2], [CORONAL]: [0, 2, 1], [SAGITTAL]: [1, 2, 0] }; // axes to the right, up, and through a plane
const DASHED = ["automatic", "template"];
const LEVEL = "#ffd24d", HALF = 127.5, CROSS = 0.2;
const scene = byId("scene"), drawn = byId("drawn");
let run = null, masks = {}, numbers = null, map = null, people = null, hidden = new Set(), nv = null;

// a plane of a mask between two slices
const plane = (mask, view, frac) => {
  const [u, v, w] = ACROSS[view];
  const size = mask.size, step = [1, size[0], size[0] * size[1]];
  const at = Math.min(Math.max(frac * size[w] - 0.5, 0), size[w] - 1);
  const low = Math.floor(at), share = at - low, more = low + 1 < size[w] ? step[w] : 0;
  const values = new Float32Array((size[u] + 2) * (size[v] + 2)); // a rim of zeros closes every outline
  for (let j = 0; j < size[v]; j++) for (let i = 0; i < size[u]; i++) {
    const n = i * step[u] + j * step[v] + low * step[w];
    values[(j + 1) * (size[u] + 2) + i + 1] = mask.values[n] * (1 - share) + mask.values[n + more] * share;
  }
  return { values, width: size[u] + 2, height: size[v] + 2 };
};

// where a plane lies on the canvas: pixels of a voxel's centre
const placed = (tile, view) => {
  let [left, top, width, height] = nv.screenSlices[tile].leftTopWidthHeight;
  if (width < 0) [left, width] = [left + width, -width]; // mirrored
  const [u, v] = ACROSS[view];
  const at = (share) => nv.screenXY2TextureFrac(left + share * width, top + share * height, tile, false);
  const a = at(0.25), b = at(0.75); // inside: at the rim it answers -1
  const x = (voxel, n) => left + width * (0.25 + (0.5 * ((voxel + 0.5) / n - a[u])) / (b[u] - a[u]));
  const y = (voxel, n) => top + height * (0.25 + (0.5 * ((voxel + 0.5) / n - a[v])) / (b[v] - a[v]));
  return { left, top, width, height, x, y };
};

// marching squares at one half
const outline = (pen, grid, place, size) => {
  const { values, width, height } = grid;
  const x = (i) => place.x(i - 1, size[0]), y = (j) => place.y(j - 1, size[1]);
  const between = (p, q) => (HALF - p) / (q - p);
  pen.beginPath();
  for (let j = 0; j + 1 < height; j++) for (let i = 0; i + 1 < width; i++) {
    const n = j * width + i;
    const a = values[n], b = values[n + 1], c = values[n + width + 1], d = values[n + width];
    const inside = (a > HALF) + (b > HALF) + (c > HALF) + (d > HALF);
    if (!inside || inside === 4) continue;
    const cuts = [];
    if (a > HALF !== b > HALF) cuts.push([x(i + between(a, b)), y(j)]);
    if (b > HALF !== c > HALF) cuts.push([x(i + 1), y(j + between(b, c))]);
    if (d > HALF !== c > HALF) cuts.push([x(i + between(d, c)), y(j + 1)]);
    if (a > HALF !== d > HALF) cuts.push([x(i), y(j + between(a, d))]);
    for (let k = 0; k + 1 < cuts.length; k += 2) {
      pen.moveTo(...cuts[k]);
      pen.lineTo(...cuts[k + 1]);
    }
  }
  pen.stroke();
};

const box = (k) => (k - run.first + 0.5) / run.thick - 0.5; // slice of the image to slice of the page
const levelAt = (k) => (run.levels.find((level) => level.low <= k && k <= level.high) || { name: "" }).name;

const drawLevels = (pen, place, depth) => {
  pen.fillStyle = pen.strokeStyle = LEVEL;
  const size = Math.max(11, Math.min(15, place.height / 32)) * devicePixelRatio;
  pen.font = `${size}px sans-serif`;
  run.levels.forEach((level) => {
    const top = place.y(box(level.high + 0.5), depth), bottom = place.y(box(level.low - 0.5), depth);
    pen.globalAlpha = 0.55;
    pen.beginPath(); pen.moveTo(place.left, top); pen.lineTo(place.left + place.width, top);
    pen.moveTo(place.left, bottom); pen.lineTo(place.left + place.width, bottom); pen.stroke();
    pen.globalAlpha = 1;
    pen.fillText(level.name, place.left + 20 * devicePixelRatio, (top + bottom) / 2 + size / 3);
  });
};

// 10 mm at the lower right
const drawBar = (pen, place, size, spacing) => {
  const long = Math.abs(place.x(1, size) - place.x(0, size)) * (10 / spacing), unit = devicePixelRatio;
  const right = place.left + place.width - 8 * unit, y = place.top + place.height - 8 * unit;
  pen.strokeStyle = pen.fillStyle = "white";
  pen.lineWidth = 2 * unit;
  pen.beginPath(); pen.moveTo(right - long, y); pen.lineTo(right, y); pen.stroke();
  pen.font = `${11 * unit}px sans-serif`; pen.textAlign = "right";
  pen.fillText("10 mm", right, y - 5 * unit);
};

const redraw = () => {
  if (!run || !nv.screenSlices) return;
  drawn.width = scene.width; drawn.height = scene.height;
  const pen = drawn.getContext("2d");
  const frac = nv.scene.crosshairPos;
  nv.screenSlices.forEach((slice, tile) => {
    const view = slice.axCorSag;
    if (!(view in ACROSS)) return;
    const place = placed(tile, view), [u, v, w] = ACROSS[view];
    pen.save();
    pen.beginPath(); pen.rect(place.left, place.top, place.width, place.height); pen.clip();
    pen.lineWidth = 1.3 * devicePixelRatio;
    if (view !== AXIAL && byId("levels").checked) drawLevels(pen, place, run.size[2]);
    pen.globalAlpha = 1;
    drawBar(pen, place, run.size[u], run.spacing[u]);
    pen.lineWidth = 1.3 * devicePixelRatio;
    Object.entries(masks).forEach(([name, mask]) => {
      if (hidden.has(name)) return;
      pen.strokeStyle = colours[name];
      outline(pen, plane(mask, view, frac[w]), place, [mask.size[u], mask.size[v]]);
    });
    pen.restore();
  });
  tell();
};

const tell = () => {
  const frac = nv.scene.crosshairPos, mm = nv.frac2mm(frac, 0, true);
  const voxel = run.size.map((n, axis) => Math.min(n - 1, Math.max(0, Math.floor(frac[axis] * n))));
  const k = Math.round((voxel[2] + 0.5) * run.thick - 0.5) + run.first;
  const side = (value, more, less) => `${value < 0 ? less : more} ${Math.abs(value).toFixed(1)}`;
  const said = [`${side(mm[0], "R", "L")}, ${side(mm[1], "A", "P")}, ${side(mm[2], "S", "I")} mm`, `slice ${k}`];
  if (levelAt(k)) said.push(levelAt(k));
  if (run.doubtful.includes(k)) said.push("outline doubtful");
  const at = voxel[0] + run.size[0] * (voxel[1] + run.size[1] * voxel[2]);
  if (map) said.push(readout(map.values[at]));
  if (people) said.push(`n = ${people.values[at]}`);
  const n = numbers ? numbers.values[at] : 0;
  if (n) said.push(`lesion ${n}`);
  byId("where").textContent = said.join(" · ");
};

// 8 bits of a map: 0 stands for no value, 1 to 255 for low to high
const readout = (code) => {
  if (!code) return run.scale.none;
  const value = run.scale.low + ((code - 1) / 254) * (run.scale.high - run.scale.low);
  return run.scale.percent ? `${(100 * value).toFixed(1)} %` : value.toPrecision(2);
};

const scale = () => {
  const { R, G, B, I } = run.scale.colours, bar = document.createElement("i");
  const stops = I.slice(1).map((code, n) => `rgb(${R[n + 1]},${G[n + 1]},${B[n + 1]}) ${(100 * (code - 1)) / 254}%`);
  bar.style.background = `linear-gradient(to right, ${stops.join(",")})`;
  byId("scale").replaceChildren(readout(1), " ", bar, " ", readout(255), ` · no colour: ${run.scale.none}`);
};

const arrange = () => {
  const wide = scene.clientWidth > scene.clientHeight;
  nv.setCustomLayout(wide
    ? [{ sliceType: SAGITTAL, position: [0, 0, 0.3, 1] }, { sliceType: CORONAL, position: [0.3, 0, 0.3, 1] }, { sliceType: AXIAL, position: [0.6, 0, 0.4, 1] }]
    : [{ sliceType: SAGITTAL, position: [0, 0, 0.5, 0.6] }, { sliceType: CORONAL, position: [0.5, 0, 0.5, 0.6] }, { sliceType: AXIAL, position: [0, 0.6, 1, 0.4] }]);
};

const grey = () => {
  const [low, high] = run.window, middle = (low + high) / 2 + (50 - byId("brightness").value) * 2.5;
  const half = ((high - low) / 2) * 2 ** ((50 - byId("contrast").value) / 20);
  nv.volumes[0].cal_min = middle - half;
  nv.volumes[0].cal_max = middle + half;
  nv.updateGLVolume();
};

const buttons = () => {
  byId("masks").replaceChildren(...Object.keys(masks).map((name) => {
    const label = document.createElement("label"), tick = document.createElement("input"), sign = document.createElement("i");
    tick.type = "checkbox"; tick.checked = !hidden.has(name); tick.dataset.mask = name;
    sign.style.borderColor = colours[name]; sign.className = DASHED.includes(name) ? "dashed" : "";
    tick.addEventListener("change", () => { hidden[tick.checked ? "delete" : "add"](name); redraw(); });
    label.append(tick, " ", sign, " ", name);
    return label;
  }));
  byId("lesions").replaceChildren(...run.lesions.map(({ number, voxel }) => {
    const button = document.createElement("button"), k = Math.round((voxel[2] + 0.5) * run.thick - 0.5) + run.first;
    button.textContent = `lesion ${number}${levelAt(k) ? ` (${levelAt(k)})` : ""}`;
    button.addEventListener("click", () => go(voxel));
    return button;
  }));
};

const go = (voxel) => {
  run.size.forEach((n, axis) => { nv.scene.crosshairPos[axis] = (voxel[axis] + 0.5) / n; });
  nv.drawScene();
};

const read = async (base64, name) => {
  const image = await niivue.NVImage.loadFromBase64({ base64, name: name + ".nii.gz" });
  return { image, size: [1, 2, 3].map((axis) => image.hdr.dims[axis]), values: image.img };
};

const show = async (number) => {
  const found = {}, chosen = { ...shared, ...runs[number] }, before = run && nv.scene.crosshairPos.slice();
  for (const [name, base64] of Object.entries({ ...shared.volumes, ...runs[number].volumes })) found[name] = await read(base64, name);
  const { image, numbers: counted = null, map: overlay = null, people: counts = null, ...outlined } = found;
  run = null; // nothing is drawn on the way
  while (nv.volumes.length) nv.removeVolume(nv.volumes[0]);
  nv.addVolume(image.image);
  run = { ...chosen, size: image.size, spacing: [1, 2, 3].map((axis) => image.image.hdr.pixDims[axis]) };
  masks = outlined; numbers = counted; map = overlay; people = counts;
  if (map) {
    nv.addColormap("map" + number, run.scale.colours);
    Object.assign(map.image, { cal_min: 0, cal_max: 255, opacity: byId("opacity").value / 100 });
    map.image.colormap = "map" + number;
    nv.addVolume(map.image);
    scale();
  }
  buttons();
  byId("note").textContent = run.note;
  grey();
  if (before && shared.volumes) { nv.scene.crosshairPos = before; nv.drawScene(); } // another map of the same place
  else go(run.lesions.length ? run.lesions[0].voxel : run.start);
};

const start = async () => {
  if (!document.createElement("canvas").getContext("webgl2")) {
    const said = document.createElement("p");
    said.className = "fail"; said.setAttribute("role", "alert");
    said.textContent = "The viewer needs WebGL 2, which this browser does not offer (graphics acceleration may be switched off); the report shows the same image as pictures.";
    document.querySelector("main").replaceChildren(said);
    return;
  }
  nv = new niivue.Niivue({
    logLevel: "error", dragAndDropEnabled: false, isRadiologicalConvention: true, sagittalNoseLeft: true,
    backColor: [0, 0, 0, 1], crosshairColor: [0.55, 0.77, 0.94, 0.8], crosshairWidth: CROSS, crosshairWidthUnit: "percent", fontColor: [1, 1, 1, 1],
    showAllOrientationMarkers: true, multiplanarShowRender: 0, loadingText: "", viewModeHotKey: "", clipPlaneHotKey: "", cycleClipPlaneHotKey: "",
  });
  await nv.attachToCanvas(scene, true);
  const draw = nv.drawScene.bind(nv);
  nv.drawScene = () => { const done = draw(); redraw(); return done; };
  arrange();
  new ResizeObserver(arrange).observe(scene);
  ["brightness", "contrast"].forEach((name) => byId(name).addEventListener("input", grey));
  if (byId("opacity")) byId("opacity").addEventListener("input", (event) => { nv.setOpacity(1, event.target.value / 100); });
  byId("levels").addEventListener("change", redraw);
  byId("cross").addEventListener("change", (event) => { nv.setCrosshairWidth(event.target.checked ? CROSS : 0); });
  byId("run").addEventListener("change", (event) => show(event.target.selectedIndex));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select")) return;
    const steps = { ArrowUp: [0, 0, 1], ArrowDown: [0, 0, -1], ArrowLeft: [1, 0, 0], ArrowRight: [-1, 0, 0], PageUp: [0, 1, 0], PageDown: [0, -1, 0] };
    if (event.key in steps) nv.moveCrosshairInVox(...steps[event.key]);
    else if (event.key === "o") {
      const all = Object.keys(masks), some = all.some((name) => !hidden.has(name));
      all.forEach((name) => hidden[some ? "add" : "delete"](name));
      buttons(); redraw();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
  await show(0);
  document.body.dataset.ready = "yes";
};
start();
