// What stands beside the drawing: figures, legends, and every pass as a line of a table.

function add(parent, tag, text = "", attributes = {}) {
  const child = parent.appendChild(document.createElement(tag));
  child.textContent = text;
  for (const [name, value] of Object.entries(attributes)) child.setAttribute(name, value);
  return child;
}

function head() {
  byId("title").textContent = `${data.trace} on ${data.architecture}`;
  document.title = `${data.trace} on ${data.architecture} – timeline`;
  byId("origin").textContent = `swatsim ${data.swatsim}, trace ${data.digest}, ${whole(data.clock_hz)} Hz`;
  const compute = sum(passes.map((pass) => pass.compute)), stalled = sum(passes.map((pass) => pass.stalled));
  const figures = [
    ["Step", whole(total), `cycles, ${time(total)}`],
    ["Computation", share(compute, total), cyclesOf(compute)],
    ["Stalls", share(stalled, total), cyclesOf(stalled)],
    ...["load", "store"].map((engine) => {
      const { busy } = envelope(passes, engine);
      return [`${data.channel} busy with ${engine}s`, share(busy, total), cyclesOf(busy)];
    }),
    ["Blocks", whole(sum(passes.map((pass) => pass.blocks))), `in ${whole(passes.length)} passes`],
  ];
  for (const [name, value, more] of figures) {
    const box = add(byId("figures"), "div");
    add(box, "dt", name);
    add(add(box, "dd", value), "small", more);
  }
  canvas.setAttribute("aria-label", `Timeline of ${whole(passes.length)} passes, ${whole(total)} cycles; the table below lists the passes`);
  canvas.style.height = `${height}px`;
}

function legends() {
  data.pass_names.forEach((name, kind) => {
    if (!passes.some((pass) => pass.kind === kind)) return;
    const button = add(byId("passes"), "button", "", { type: "button", "aria-pressed": "true" });
    add(button, "i").style.background = `var(${passColor({ kind })})`;
    button.append(name);
    button.addEventListener("click", () => {
      if (!shown.kinds.delete(kind)) shown.kinds.add(kind);
      button.setAttribute("aria-pressed", shown.kinds.has(kind));
      filter();
    });
  });
  const parts = [["computation", "--compute", sum(passes.map((pass) => pass.compute))]];
  data.causes.forEach((cause, i) => parts.push([`stalls: ${cause}`, `--cause-${i % 10}`, sum(passes.map((pass) => pass.stalls[i]))]));
  for (const [name, variable, cycles] of parts) {
    if (!cycles) continue;
    const item = add(byId("causes"), "li");
    add(item, "i").style.background = `var(${variable})`;
    item.append(`${name} ${share(cycles, total)}`);
  }
}

function table() {
  const causes = [...data.causes.keys()].filter((i) => passes.some((pass) => pass.stalls[i]));
  const columns = [
    ["layer", (pass) => pass.layer], ["pass", (pass) => pass.name], ["start", (pass) => pass.start], ["cycles", (pass) => pass.cycles],
    ["computation", (pass) => pass.compute], ["stalls", (pass) => pass.stalled], ...causes.map((i) => [data.causes[i], (pass) => pass.stalls[i]]),
    ["loaded ahead", (pass) => pass.prefetched], ["blocks", (pass) => pass.blocks],
  ];
  const header = byId("table").createTHead().insertRow(), body = byId("table").createTBody();
  const lines = passes.map((pass) => {
    const line = body.insertRow();
    line.dataset.pass = pass.number;
    const button = add(add(line, "th", "", { scope: "row" }), "button", pass.layer, { type: "button", title: "Show in the timeline" });
    button.addEventListener("click", () => {
      select(rows[PASS_ROW], pass.number);
      show(rows[PASS_ROW], pass.number);
      canvas.scrollIntoView({ block: "nearest" });
    });
    for (const [, read] of columns.slice(1)) add(line, "td", typeof read(pass) === "number" ? whole(read(pass)) : read(pass));
    return line;
  });
  columns.forEach(([name, read]) => {
    const cell = add(header, "th", "", { scope: "col" });
    add(cell, "button", name, { type: "button" }).addEventListener("click", () => {
      const first = typeof read(passes[0] ?? { start: 0 }) === "number" ? "descending" : "ascending";
      const opposite = first === "descending" ? "ascending" : "descending";
      const order = cell.getAttribute("aria-sort") === first ? opposite : first, sign = order === "ascending" ? 1 : -1;
      for (const other of header.cells) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", order);
      const value = (line) => read(passes[line.dataset.pass]);
      lines.sort((a, b) => sign * (value(a) > value(b) ? 1 : value(a) < value(b) ? -1 : 0) || a.dataset.pass - b.dataset.pass);
      body.append(...lines);
    });
  });
}

head();
legends();
table();
listenPointer();
listenKeys();
listenBeside();
draw();
