"use strict";
// Charts of the report: SVG drawn from the numbers in #data, in colours that report.css names.

const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const MARGIN = {left: 46, right: 16, top: 10, bottom: 42};
const DASHES = ["", "6 4", "2 3"];
const SHAPES = [
  r => `M${-r} 0A${r} ${r} 0 1 1 ${r} 0A${r} ${r} 0 1 1 ${-r} 0`,
  r => `M${-r} ${-r}H${r}V${r}H${-r}Z`,
  r => `M0 ${-1.3 * r}L${1.3 * r} 0L0 ${1.3 * r}L${-1.3 * r} 0Z`,
];

function add(parent, tag, attributes = {}, text = "") {
  const node = parent.appendChild(document.createElementNS(SVG, tag));
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
}

const round = value => String(Number(value.toPrecision(3)));
const known = values => values.filter(value => value !== null && value !== undefined);

// --- scales: at(value) in pixels, and ticks as [value, text] ---

function steps(low, high, wanted) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(digit => digit * power).find(size => size >= rough);
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({length: count}, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

function logSteps(low, high) {
  const powers = Array.from({length: 25}, (_, i) => 10 ** (i - 12));
  const within = digits => powers.flatMap(p => digits.map(d => Number((d * p).toPrecision(3))))
    .filter(value => value >= low && value <= high);
  const dense = within([1, 2, 5]);
  if (dense.length < 4) return steps(low, high, 8);
  return dense.length > 9 ? within([1]) : dense;
}

function scale(values, log, from, to, pad) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (log) {
    const factor = high > low ? (high / low) ** pad : 1.5;
    [low, high] = [low / factor, high * factor];
  } else {
    const room = high > low ? pad * (high - low) : Math.max(1, 0.05 * Math.abs(high));
    [low, high] = [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
  }
  const way = log ? Math.log : Number;
  const at = value => from + (to - from) * (way(value) - way(low)) / (way(high) - way(low));
  const ticks = log ? logSteps(low, high) : steps(low, high, Math.abs(to - from) > 450 ? 8 : 5);
  return {at, ticks: ticks.map(value => [value, value.toLocaleString("en", {maximumSignificantDigits: 4})])};
}

function categories(names, from, to) {
  const width = (to - from) / names.length;
  const at = name => from + (names.indexOf(name) + 0.5) * width;
  return {at, ticks: names.map(name => [name, name])};
}

// --- a frame with axes, and the box that says what is pointed at ---

function frame(box, label) {
  box.replaceChildren();
  const width = Math.max(260, box.clientWidth), height = Number(box.dataset.height);
  const svg = add(box, "svg", {
    viewBox: `0 0 ${width} ${height}`, width, height, role: "img", tabindex: 0, "aria-label": label,
  });
  const area = {
    left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom,
  };
  return {svg, area};
}

function axes(svg, area, x, y, title) {
  for (const [value, text] of y.ticks) {
    add(svg, "line", {class: "grid", x1: area.left, x2: area.right, y1: y.at(value), y2: y.at(value)});
    add(svg, "text", {x: area.left - 8, y: y.at(value) + 4, "text-anchor": "end"}, text);
  }
  let free = -Infinity;
  for (const [value, text] of x.ticks) {
    const half = 4 * text.length;
    if (x.at(value) - half < free) continue;  // it would touch the one before
    free = x.at(value) + half;
    add(svg, "line", {class: "tick", x1: x.at(value), x2: x.at(value), y1: area.bottom, y2: area.bottom + 4});
    add(svg, "text", {x: x.at(value), y: area.bottom + 18, "text-anchor": "middle"}, text);
  }
  add(svg, "line", {class: "axis", x1: area.left, x2: area.right, y1: area.bottom, y2: area.bottom});
  add(svg, "text", {class: "title", x: (area.left + area.right) / 2, y: area.bottom + 37, "text-anchor": "middle"}, title);
}

function tooltip(box) {
  const tip = box.appendChild(document.createElement("div"));
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  return (lines, x, y) => {
    tip.hidden = !lines;
    if (!lines) return;
    tip.replaceChildren(...lines.map(([text, model, strong]) => {
      const line = document.createElement(strong ? "b" : "div");
      if (model !== null) line.append(mark(model));
      line.append(text);
      return line;
    }));
    const left = x + 14 + tip.offsetWidth > box.clientWidth ? x - 14 - tip.offsetWidth : x + 14;
    tip.style.left = `${Math.max(0, left)}px`;
    tip.style.top = `${Math.max(0, y - tip.offsetHeight / 2)}px`;
  };
}

function mark(model) {
  const span = document.createElement("span");
  span.className = "mark";
  span.style.color = `var(--c${data.models[model].colour})`;
  span.textContent = "●■◆"[data.models[model].shape] + " ";
  return span;
}

// Calls show(place) for the nearest place under the pointer or by arrow keys, show(null) on leaving.
function pointing(svg, count, nearest, show) {
  let place = null;
  const go = next => show(place = next);
  svg.addEventListener("pointermove", event => {
    const area = svg.getBoundingClientRect();
    go(nearest(event.clientX - area.left, event.clientY - area.top));
  });
  svg.addEventListener("pointerleave", () => go(null));
  svg.addEventListener("blur", () => go(null));
  svg.addEventListener("keydown", event => {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!step) return;
    event.preventDefault();
    go(place === null ? 0 : (place + step + count) % count);
  });
}

const interval = (low, high, note) =>
  low === null || low === undefined ? "" : ` [${round(low)}, ${round(high)}]${note ? " " + note : ""}`;
const smallest = values => values.indexOf(Math.min(...values));

// --- lines: one a model ---

function drawLines(box, chart) {
  const {svg, area} = frame(box, `${chart.title}; point or use the arrow keys to read values`);
  const places = [...new Set(chart.series.flatMap(s => s.x))];
  const x = typeof places[0] === "string"
    ? categories(places, area.left, area.right) : scale(places, false, area.left, area.right, 0.02);
  const drawn = s => known([...s.y, ...(chart.band && s.low ? [...s.low, ...s.high] : [])]);
  const y = scale(chart.series.flatMap(drawn), chart.log, area.bottom, area.top, 0.06);
  axes(svg, area, x, y, chart.x);
  const guide = add(svg, "line", {class: "guide", y1: area.top, y2: area.bottom, visibility: "hidden"});
  for (const s of chart.series) {
    const {colour, shape} = data.models[s.model];
    const group = add(svg, "g", {style: `--c: var(--c${colour})`});
    const path = values => values.map((v, i) => v === null ? null : [x.at(s.x[i]), y.at(v)]);
    if (chart.band && s.low) {
      const edge = [...path(s.high), ...path(s.low).reverse()];
      add(group, "polygon", {class: "band", points: edge.join(" ")});
    }
    const points = path(s.y);
    const d = points.map((p, i) => p && `${i && points[i - 1] ? "L" : "M"}${p[0]} ${p[1]}`).join("");
    add(group, "path", {class: "series", d, "stroke-dasharray": DASHES[shape]});
    if (s.x.length > 24) continue;
    for (const p of known(points)) add(group, "path", {class: "dot", d: SHAPES[shape](3), transform: `translate(${p})`});
  }
  const tell = tooltip(box);
  pointing(svg, places.length, px => smallest(places.map(p => Math.abs(x.at(p) - px))), i => {
    guide.setAttribute("visibility", i === null ? "hidden" : "visible");
    if (i === null) return tell(null);
    guide.setAttribute("x1", x.at(places[i]));
    guide.setAttribute("x2", x.at(places[i]));
    const rows = chart.series.map(s => [s, s.x.indexOf(places[i])]).filter(([s, k]) => k >= 0 && s.y[k] !== null)
      .sort(([a, k], [b, l]) => b.y[l] - a.y[k]);
    const lines = rows.map(([s, k]) =>
      [`${round(s.y[k])}${interval(s.low?.[k], s.high?.[k], s.note)}  ${data.models[s.model].name}`, s.model]);
    const head = `${chart.x} ${places[i].toLocaleString("en", {maximumFractionDigits: 0})}`;
    const note = chart.notes[i] ? [[chart.notes[i], null]] : [];
    tell([[head, null, true], ...note, ...lines], x.at(places[i]), (area.top + area.bottom) / 2);
  });
}

// --- mIoU against a cost ---

const LOG_SCALE = {en: "log scale", ko: "로그 척도"};

function drawCost(box, field) {
  const {title, scale: kind, front} = data.cost.axes[field];
  const points = data.cost.points;
  const {svg, area} = frame(box, `mIoU against ${title}; the first table holds the numbers`);
  const x = scale(points.map(p => p.cost[field]), kind === "log", area.left, area.right, 0.12);
  const y = scale(known(points.flatMap(p => [p.miou, p.low, p.high])), false, area.bottom, area.top, 0.08);
  axes(svg, area, x, y, kind === "log" ? `${title} (${LOG_SCALE[document.documentElement.lang]})` : title);
  add(svg, "text", {class: "title", x: area.left + 6, y: area.top + 10}, "mIoU, %");
  const corner = (p, i) => `${i ? `H${x.at(p.cost[field])}V` : `M${x.at(p.cost[field])} `}${y.at(p.miou)}`;
  add(svg, "path", {class: "front", d: front.map((k, i) => corner(points[k], i)).join("")});
  const spots = points.map(p => [x.at(p.cost[field]), y.at(p.miou)]);
  points.forEach((p, i) => {
    const {colour, shape} = data.models[p.model];
    const group = add(svg, "g", {class: "point", style: `--c: var(--c${colour})`});
    if (p.low !== null) add(group, "line", {class: "whisker", x1: spots[i][0], x2: spots[i][0], y1: y.at(p.low), y2: y.at(p.high)});
    add(group, "path", {class: "spot", d: SHAPES[shape](6), transform: `translate(${spots[i]})`});
  });
  names(svg, area, spots);
  const tell = tooltip(box);
  const distances = (px, py) => spots.map(([a, b]) => Math.hypot(a - px, b - py));
  pointing(svg, points.length, (px, py) => smallest(distances(px, py)), i => {
    if (i === null) return tell(null);
    const p = points[i];
    tell([
      [data.models[p.model].name, p.model, true],
      [`mIoU ${p.miou.toFixed(1)} %${p.low === null ? "" : ` [${p.low.toFixed(1)}, ${p.high.toFixed(1)}]`}`, null],
      [`${title} ${round(p.cost[field])}`, null],
      [`${p.cost.params_m.toFixed(2)} M parameters`, null],
    ], ...spots[i]);
  });
}

// A name beside each point where there is room; the tooltip has the others.
function names(svg, area, spots) {
  const taken = spots.map(([a, b]) => ({left: a - 8, right: a + 8, top: b - 8, bottom: b + 8}));
  const meets = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  spots.forEach(([a, b], i) => {
    const text = add(svg, "text", {class: "name"}, data.models[data.cost.points[i].model].name);
    const width = text.getComputedTextLength();
    const places = [[a + 12, b + 4], [a - 12 - width, b + 4], [a - width / 2, b - 14], [a - width / 2, b + 22]];
    const found = places.map(([left, base]) => ({left, right: left + width, top: base - 11, bottom: base + 3}))
      .find(r => r.left > area.left && r.right < area.right + 12 && !taken.some(other => meets(r, other)));
    if (!found) return text.remove();
    taken.push(found);
    text.setAttribute("x", found.left);
    text.setAttribute("y", found.bottom - 3);
  });
}

function drawAll() {
  const axis = document.getElementById("axis");
  if (axis) drawCost(document.getElementById("chart-cost"), axis.value);
  for (const chart of data.charts) drawLines(document.getElementById(`chart-${chart.id}`), chart);
}

drawAll();
document.getElementById("axis")?.addEventListener("change", drawAll);
let width = innerWidth;
addEventListener("resize", () => {
  if (width !== innerWidth) drawAll();
  width = innerWidth;
});
