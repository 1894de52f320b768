"use strict";
// Names are anyone's text: they become text nodes, never markup.

const tip = document.getElementById("tip");

function add(parent, tag, text = "") {
  const child = parent.appendChild(document.createElement(tag));
  child.textContent = text;
  return child;
}

// What is said of the thing under the pointer: a title, then a name and a value on each line.
function showTip(event) {
  const found = event.target.closest?.("[data-tip]");
  tip.hidden = !found;
  if (!found) return;
  const [title, ...lines] = found.dataset.tip.split("\n");
  tip.replaceChildren();
  const box = add(tip, "div");
  box.className = "facts";
  add(box, "b", title);
  for (const line of lines) {
    const [name, value] = line.split("\t"), pair = add(box, "span");
    add(pair, "em", name);
    pair.append(value);
  }
  const left = event.clientX + 14 + tip.offsetWidth > window.innerWidth ? event.clientX - 14 - tip.offsetWidth : event.clientX + 14;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, window.innerHeight - tip.offsetHeight - 4))}px`;
}

function sortable(table) {
  const body = table.tBodies[0], lines = [...body.rows], first = new Map(lines.map((line, place) => [line, place]));
  // A number where the cell has one; what has nothing comes last, whatever the order.
  const value = (line, column) => {
    const cell = line.cells[column];
    return cell.dataset.v !== undefined ? Number(cell.dataset.v) : cell.textContent === "–" ? null : cell.textContent;
  };
  const compare = (a, b) => (typeof a === typeof b ? (a > b) - (a < b) : typeof a === "number" ? -1 : 1);
  [...table.tHead.rows[0].cells].forEach((cell, column) => {
    const name = cell.textContent;
    cell.textContent = "";
    const button = add(cell, "button", name);
    button.type = "button";
    button.addEventListener("click", () => {
      const numbers = lines.some((line) => typeof value(line, column) === "number");
      const [one, other] = numbers ? ["descending", "ascending"] : ["ascending", "descending"];
      const order = cell.getAttribute("aria-sort") === one ? other : one, sign = order === "ascending" ? 1 : -1;
      for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", order);
      lines.sort((a, b) => {
        const [x, y] = [value(a, column), value(b, column)];
        if (x === null || y === null) return (x === null) - (y === null) || first.get(a) - first.get(b);
        return sign * compare(x, y) || first.get(a) - first.get(b);
      });
      body.append(...lines);
    });
  });
}

function filterable(table) {
  const lines = [...table.tBodies[0].rows], input = document.getElementById("filter");
  const buttons = [...document.querySelectorAll("button[data-kind]")];
  const texts = new Map(lines.map((line) => [line, [...line.cells].map((cell) => cell.textContent).join("\t").toLowerCase()]));
  function filter() {
    const wanted = input.value.toLowerCase();
    const hidden = new Set(buttons.filter((button) => button.getAttribute("aria-pressed") === "false").map((button) => button.dataset.kind));
    let count = 0;
    for (const line of lines) {
      line.hidden = hidden.has(line.dataset.kind) || !texts.get(line).includes(wanted);
      count += !line.hidden;
    }
    document.getElementById("matches").textContent = count < lines.length ? `${count.toLocaleString("en-US")} of ${lines.length.toLocaleString("en-US")} rows` : "";
  }
  input.addEventListener("input", filter);
  for (const button of buttons) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") === "false");
      filter();
    });
  }
  filter();
}

document.documentElement.classList.add("script");
const table = document.getElementById("table");
sortable(table);
filterable(table);
document.addEventListener("pointermove", showTip);
document.addEventListener("pointerdown", showTip);
document.addEventListener("pointerleave", () => (tip.hidden = true));
document.addEventListener("scroll", () => (tip.hidden = true), { capture: true, passive: true });
