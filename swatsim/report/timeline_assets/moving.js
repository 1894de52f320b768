// Moving about.

function look(start, end) {
  const span = Math.min(Math.max(end - start, Math.min(16, total || 1)), Math.max(total, 1));
  view.start = Math.min(Math.max(start, 0), Math.max(total, 1) - span);
  view.end = view.start + span;
  redraw();
}

function zoom(factor, cycle = (view.start + view.end) / 2) {
  look(cycle - (cycle - view.start) * factor, cycle + (view.end - cycle) * factor);
}

function pan(part) {
  const by = (view.end - view.start) * part;
  look(view.start + by, view.end + by);
}

const cycleAt = (x) => view.start + ((x - GUTTER) / width) * (view.end - view.start);

function show(each, index) {
  const margin = Math.max(2, (each.ends[index] - each.starts[index]) * 0.04);
  look(each.starts[index] - margin, each.ends[index] + margin);
}

function select(each, index) {
  selected = each ? { row: each, index } : null;
  byId("selection").replaceChildren();
  if (each) facts(byId("selection"), sliceFacts(each, index));
  redraw();
}

// Select and bring into view, without a change of scale where it fits.
function visit(each, index) {
  select(each, index);
  if (each.starts[index] >= view.start && each.ends[index] <= view.end) return;
  const middle = (each.starts[index] + each.ends[index]) / 2, half = (view.end - view.start) / 2;
  if (each.ends[index] - each.starts[index] > 2 * half) show(each, index);
  else look(middle - half, middle + half);
}

function nextSlice(by) {
  const each = selected ? selected.row : rows[PASS_ROW];
  let index = selected ? selected.index + by : by > 0 ? firstAfter(each, view.start) : firstAfter(each, view.end) - 1;
  while (index >= 0 && index < each.starts.length && !isShown(each, index)) index += by;
  if (index >= 0 && index < each.starts.length) visit(each, index);
}

function nextRow(by) {
  if (!selected) return nextSlice(1);
  const cycle = selected.row.starts[selected.index];
  for (let at = rows.indexOf(selected.row) + by; at >= 0 && at < rows.length; at += by) {
    if (!rows[at].starts.length) continue;
    return visit(rows[at], Math.min(firstAfter(rows[at], cycle), rows[at].starts.length - 1));
  }
}

const KEYS = {
  "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1 / 0.6), "0": () => look(0, total), Home: () => look(0, total),
  ArrowLeft: () => pan(-0.15), ArrowRight: () => pan(0.15), ArrowUp: () => nextRow(-1), ArrowDown: () => nextRow(1),
  n: () => nextSlice(1), p: () => nextSlice(-1), Enter: () => selected && show(selected.row, selected.index), Escape: () => select(null),
};

// What is under the pointer: a slice, or the rest between two blocks.

function under(x, y) {
  const each = rows.find((candidate) => y >= candidate.y && y < candidate.y + candidate.height);
  if (!each || x < GUTTER || !each.starts.length) return null;
  const cycle = cycleAt(x), reach = (2 * (view.end - view.start)) / width;
  const index = firstAfter(each, cycle);
  if (index < each.starts.length && each.starts[index] <= cycle) return { row: each, index };
  const near = [index, index - 1].filter((i) => i >= 0 && i < each.starts.length);
  const found = near.find((i) => Math.max(each.starts[i] - cycle, cycle - each.ends[i]) < reach);
  if (found !== undefined) return { row: each, index: found };
  return each.kind === "block" && index < each.starts.length ? { row: each, index, rest: true } : null;
}

function sliceFacts(each, index, rest) {
  const pass = each.members(index)[0], start = each.starts[index], end = each.ends[index];
  if (rest) {
    const before = index ? each.ends[index - 1] : 0;
    return [`${each.engine} rests`, [["cycles", whole(start - before)], ["until", `${each.name(index)} of ${pass.layer} ${pass.name}`]]];
  }
  const title = [each.engine, each.kind === "step" || each.kind === "layer" ? "" : pass.layer, each.name(index)].filter(Boolean).join(" · ");
  return [title, [["cycles", whole(end - start)], ["time", time(end - start)], ["from", whole(start)], ["to", whole(end)], ...each.facts(index)]];
}

function facts(parent, [title, pairs]) {
  const box = add(parent, "div", "", { class: "facts" });
  add(box, "b", title);
  for (const [name, value] of pairs) {
    const pair = add(box, "span");
    add(pair, "em", name);
    pair.append(value);
  }
}

function hover(event) {
  const found = under(event.offsetX, event.offsetY);
  tip.hidden = !found;
  if (!found) return;
  tip.replaceChildren();
  facts(tip, sliceFacts(found.row, found.index, found.rest));
  const left = event.clientX + 14 + tip.offsetWidth > window.innerWidth ? event.clientX - 14 - tip.offsetWidth : event.clientX + 14;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, window.innerHeight - tip.offsetHeight - 4))}px`;
}

function dragging(target, moved) {
  let last = null;
  target.addEventListener("pointerdown", (event) => {
    last = event.clientX;
    target.setPointerCapture(event.pointerId);
    moved(0, event);
  });
  target.addEventListener("pointermove", (event) => {
    if (last === null) return;
    moved(event.clientX - last, event);
    last = event.clientX;
  });
  for (const kind of ["pointerup", "pointercancel"]) target.addEventListener(kind, () => (last = null));
}

function listenPointer() {
  let travelled = 0;
  dragging(canvas, (by, event) => {
    travelled = event.type === "pointerdown" ? 0 : travelled + Math.abs(by);
    if (by) pan(-by / width);
  });
  dragging(overview, (_, event) => {
    const half = (view.end - view.start) / 2, cycle = ((event.offsetX - GUTTER) / width) * total;
    look(cycle - half, cycle + half);
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode ? 16 : 1;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan(((event.deltaX || event.deltaY) * lines) / width);
    else zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY * lines * 0.002))), cycleAt(Math.max(GUTTER, event.offsetX)));
    hover(event);
  }, { passive: false });
  canvas.addEventListener("pointermove", hover);
  canvas.addEventListener("pointerleave", () => (tip.hidden = true));
  canvas.addEventListener("click", (event) => {
    if (travelled > 4) return;
    const found = under(event.offsetX, event.offsetY);
    select(found && !found.rest ? found.row : null, found?.index);
  });
  canvas.addEventListener("dblclick", () => KEYS.Enter());
}

function listenKeys() {
  canvas.addEventListener("keydown", (event) => {
    if (!KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    tip.hidden = true;
    KEYS[event.key]();
  });
  for (const button of document.querySelectorAll("[data-key]")) button.addEventListener("click", () => KEYS[button.dataset.key]());
}

function listenBeside() {
  byId("filter").addEventListener("input", (event) => {
    shown.text = event.target.value.toLowerCase();
    filter();
  });
  byId("filter").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    if (selected && selected.row !== rows[PASS_ROW]) selected = null;
    if (!selected) look(0, total);
    nextSlice(1);
    if (selected) show(selected.row, selected.index);
  });
  new ResizeObserver(redraw).observe(canvas);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colors = {};
    redraw();
  });
}

function filter() {
  passes.forEach((pass, i) => (shown.flags[i] = shown.kinds.has(pass.kind) && pass.layer.toLowerCase().includes(shown.text) ? 1 : 0));
  for (const line of byId("table").tBodies[0].rows) line.hidden = !shown.flags[line.dataset.pass];
  const count = sum([...shown.flags]);
  byId("matches").textContent = count < passes.length ? `${whole(count)} of ${whole(passes.length)} passes` : "";
  redraw();
}
