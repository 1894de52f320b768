// Where each row stands. Stalls are a bar per pass, its width the cycles, its parts' heights their shares.
const rows = [];
let height = AXIS;
for (const group of [stepRows(), ...ENGINES.map(engineRows)]) {
  for (const each of group) {
    rows.push({ ...each, y: height, height: each.kind === "stalls" ? STALLS : ROW });
    height += rows[rows.length - 1].height + 2;
  }
  height += GAP;
}
const PASS_ROW = 2;

const view = { start: 0, end: Math.max(total, 1) };
const shown = { text: "", kinds: new Set(data.pass_names.keys()), flags: new Uint8Array(passes.length).fill(1) };
let selected = null; // {row, index}
const canvas = byId("timeline"), overview = byId("overview"), tip = byId("tip");
let width = 0, colors = {}, pending = 0;

const isShown = (each, i) => each.members(i).some((pass) => shown.flags[pass.number]);

function color(name) {
  return (colors[name] ??= getComputedStyle(document.documentElement).getPropertyValue(name).trim());
}

// Slices narrower than a pixel are gathered: the pixel is as opaque as it is busy.
function drawSlices(context, each, area, range) {
  const scale = area.width / (range.end - range.start);
  let pixel = -1, busy = 0, widest = 0, style = "", lit = false;
  const flush = () => {
    if (busy > 0) paint(context, style, (lit ? 1 : 0.18) * Math.max(0.2, Math.min(1, busy)), area.x + pixel, area.y, 1, area.height);
    busy = widest = 0;
  };
  for (let i = firstAfter(each, range.start); i < each.starts.length && each.starts[i] < range.end; i++) {
    const left = (each.starts[i] - range.start) * scale, size = (each.ends[i] - each.starts[i]) * scale;
    if (size < 1) {
      const at = Math.max(0, Math.floor(left));
      if (at !== pixel) flush();
      pixel = at;
      busy += size;
      if (size > widest) [widest, style, lit] = [size, color(each.color(i)), isShown(each, i)];
      continue;
    }
    flush();
    const from = Math.max(0, left), to = Math.min(area.width, left + size);
    const alpha = isShown(each, i) ? 1 : 0.18;
    paint(context, color(each.color(i)), alpha, area.x + from, area.y, Math.max(1, to - from - (to - from > 3 ? 1 : 0)), area.height);
    if (area.labels && to - from > 26) label(context, each.name(i), each.color(i), alpha, area.x + from, area.y, to - from);
  }
  flush();
}

function paint(context, style, alpha, x, y, w, h) {
  context.globalAlpha = alpha;
  context.fillStyle = style;
  context.fillRect(x, y, w, h);
}

function label(context, text, background, alpha, x, y, room) {
  let shownText = text;
  const size = context.measureText(text).width;
  if (size > room - 8) shownText = `${text.slice(0, Math.floor((text.length * (room - 14)) / size))}…`;
  if (shownText.length < 6 && shownText !== text) return;
  context.globalAlpha = Math.max(alpha, 0.4);
  context.fillStyle = background.startsWith("--pass") && alpha === 1 ? "#fff" : color("--text");
  context.fillText(shownText, x + 4, y + ROW / 2 + 0.5);
}

function drawStalls(context, each, range) {
  const scale = width / (range.end - range.start);
  const parts = new Float64Array(data.causes.length + 1);
  let pixel = -1, gathered = 0, lit = false;
  const bar = (x, w, alpha) => {
    let y = each.y + each.height;
    const cycles = sum([...parts]);
    parts.forEach((part, i) => {
      const size = (part / cycles) * each.height;
      y -= size;
      if (part) paint(context, color(i ? `--cause-${(i - 1) % 10}` : "--compute"), alpha, GUTTER + x, y, w, size);
    });
  };
  const flush = () => {
    if (gathered > 0) bar(pixel, 1, (lit ? 1 : 0.18) * Math.max(0.2, Math.min(1, gathered)));
    gathered = 0;
    lit = false;
    parts.fill(0);
  };
  for (let i = firstAfter(each, range.start); i < passes.length && passes[i].start < range.end; i++) {
    const pass = passes[i], left = (pass.start - range.start) * scale, size = pass.cycles * scale;
    const at = Math.max(0, Math.floor(left));
    if (size >= 1 || at !== pixel) flush();
    [pass.compute, ...pass.stalls].forEach((cycles, part) => (parts[part] += cycles));
    pixel = at;
    gathered += size;
    lit ||= shown.flags[i] === 1;
    if (size < 1) continue;
    const from = Math.max(0, left), to = Math.min(width, left + size);
    bar(from, Math.max(1, to - from - (to - from > 3 ? 1 : 0)), lit ? 1 : 0.18);
    gathered = 0;
    flush();
  }
  flush();
}

// As many digits as tell a tick from the next.
function timeAt(cycle, step) {
  const [size, unit] = UNITS.find(([seconds]) => view.end / data.clock_hz >= seconds) ?? UNITS[3];
  const digits = 1 - Math.floor(Math.log10(step / data.clock_hz / size));
  return `${(cycle / data.clock_hz / size).toFixed(Math.min(12, Math.max(0, digits)))} ${unit}`;
}

function drawAxis(context) {
  const span = view.end - view.start, scale = width / span;
  let step = Math.max(1, 10 ** Math.floor(Math.log10((span * 110) / width)));
  for (const factor of [2, 2.5, 2]) if (step * scale < 110) step = Math.ceil(step * factor);
  context.textAlign = "left";
  for (let cycle = Math.ceil(view.start / step) * step; cycle <= view.end; cycle += step) {
    const x = GUTTER + (cycle - view.start) * scale;
    paint(context, color("--line"), 1, Math.round(x), 0, 1, height);
    if (x > GUTTER + width - 60) continue;
    context.fillStyle = color("--text");
    context.fillText(whole(cycle), x + 4, 10);
    context.fillStyle = color("--faint");
    context.fillText(timeAt(cycle, step), x + 4, 25);
  }
}

function drawGutter(context) {
  context.clearRect(0, 0, GUTTER, height);
  for (const each of rows) {
    context.textAlign = "right";
    context.globalAlpha = 1;
    context.fillStyle = color("--faint");
    context.fillText(each.label, GUTTER - 8, each.y + each.height / 2);
    if (each.kind !== "layer" || !each.engine) continue;
    context.textAlign = "left";
    context.fillStyle = color("--text");
    context.fillText(each.engine, 8, each.y + ROW / 2);
    context.fillStyle = color("--faint");
    if (each.engine !== "compute") context.fillText(data.channel.slice(0, 9), 8, each.y + ROW * 1.5 + 2);
  }
}

function prepared(target, cssHeight) {
  const ratio = window.devicePixelRatio || 1, cssWidth = target.clientWidth;
  if (target.width !== Math.round(cssWidth * ratio) || target.height !== Math.round(cssHeight * ratio)) {
    target.width = Math.round(cssWidth * ratio);
    target.height = Math.round(cssHeight * ratio);
  }
  const context = target.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, cssWidth, cssHeight);
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  return context;
}

function draw() {
  pending = 0;
  width = Math.max(50, canvas.clientWidth - GUTTER - 1);
  const context = prepared(canvas, height);
  drawAxis(context);
  context.textAlign = "left";
  for (const each of rows) {
    if (each.kind === "stalls") drawStalls(context, each, view);
    else drawSlices(context, each, { x: GUTTER, y: each.y, width, height: ROW, labels: true }, view);
  }
  if (selected) outline(context);
  drawGutter(context);
  drawOverview();
}

function outline(context) {
  const { row: each, index } = selected, scale = width / (view.end - view.start);
  const from = Math.max(-2, (each.starts[index] - view.start) * scale);
  const to = Math.min(width + 2, (each.ends[index] - view.start) * scale);
  if (to < 0 || from > width) return;
  context.globalAlpha = 1;
  context.lineWidth = 2;
  context.strokeStyle = color("--focus");
  context.strokeRect(GUTTER + from - 1, each.y - 1, Math.max(3, to - from + 1), each.height + 2);
}

function drawOverview() {
  const context = prepared(overview, 30), end = Math.max(total, 1);
  drawSlices(context, rows[PASS_ROW], { x: GUTTER, y: 6, width, height: ROW }, { start: 0, end });
  const from = GUTTER + (view.start / end) * width, to = GUTTER + (view.end / end) * width;
  paint(context, color("--veil"), 1, GUTTER, 4, from - GUTTER, ROW + 4);
  paint(context, color("--veil"), 1, to, 4, GUTTER + width - to, ROW + 4);
  context.strokeStyle = color("--focus");
  context.lineWidth = 1.5;
  context.strokeRect(Math.min(from, GUTTER + width - 3), 4, Math.max(3, to - from), ROW + 4);
}

function redraw() {
  pending ||= requestAnimationFrame(draw);
}
