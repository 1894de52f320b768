"use strict";
// Names in the data are anyone's text: they become text nodes or canvas text, never markup.

const ENGINES = ["load", "compute", "store"];
const GUTTER = 118, AXIS = 38, ROW = 18, STALLS = 54, GAP = 12;
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const whole = (number) => Math.round(number).toLocaleString("en-US");
const share = (part, all) => (all ? `${((100 * part) / all).toFixed(1)} %` : "–");
const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);

const UNITS = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];

function time(cycles) {
  const seconds = cycles / data.clock_hz;
  const [size, unit] = UNITS.find(([least]) => seconds >= least) ?? UNITS[3];
  return `${Number((seconds / size).toPrecision(4))} ${unit}`;
}

// The data: cycles of the step. Spans are stored as differences, start and end of block after block. What is loaded ahead
// stands before the loads: a slice of its own, of block 0.

function absolute(differences, start) {
  let cycle = start;
  return Float64Array.from(differences, (difference) => (cycle += difference));
}

function engineSpans(each, engine) {
  const spans = absolute(each[engine], each.start_cycle), [start, end] = each.ahead;
  return engine === "load" && start < end ? Float64Array.from([start + each.start_cycle, end + each.start_cycle, ...spans]) : spans;
}

const aheadOf = (pass, engine) => (engine === "load" ? pass.ahead : 0);

const passes = data.passes.map((each, number) => ({
  number,
  kind: each.pass,
  layer: data.layers[each.layer],
  name: data.pass_names[each.pass],
  start: each.start_cycle,
  end: each.start_cycle + each.cycles,
  cycles: each.cycles,
  compute: each.compute_cycles,
  stalled: sum(each.stalls),
  stalls: each.stalls,
  prefetched: each.prefetched_cycles,
  blocks: each.compute.length / 2,
  ahead: each.ahead[0] < each.ahead[1] ? 1 : 0, // slices before the loads
  spans: Object.fromEntries(ENGINES.map((engine) => [engine, engineSpans(each, engine)])),
}));
const total = passes.length ? passes[passes.length - 1].end : 0;
const layers = []; // passes of one layer that follow each other
for (const pass of passes) {
  const last = layers[layers.length - 1];
  if (last && last[0].layer === pass.layer) last.push(pass);
  else layers.push([pass]);
  pass.place = layers.length - 1;
}

// Rows: slices that do not overlap, in order; slice i reaches from starts[i] to ends[i] and belongs to members(i).

function row(label, kind, slices, more) {
  return { label, kind, starts: Float64Array.from(slices, (each) => each[0]), ends: Float64Array.from(slices, (each) => each[1]), ...more };
}

function stepRows() {
  const step = row("step", "step", passes.length ? [[0, total]] : [], {
    name: () => data.trace, members: () => passes, color: () => "--step", facts: () => passFacts(passes) });
  const layer = row("layer", "layer", layers.map((own) => [own[0].start, own[own.length - 1].end]), {
    name: (i) => layers[i][0].layer, members: (i) => layers[i], color: (i) => layerColor(layers[i][0]), facts: (i) => passFacts(layers[i]) });
  const each = row("pass", "pass", passes.map((pass) => [pass.start, pass.end]), {
    name: (i) => passes[i].name, members: (i) => [passes[i]], color: (i) => passColor(passes[i]), facts: (i) => passFacts([passes[i]]) });
  const stalls = { ...each, label: "stalls", kind: "stalls" };
  return [step, layer, each, stalls];
}

// What an engine does for some passes: from its first to its last work.
function envelope(members, engine) {
  let start = Infinity, end = -Infinity, busy = 0, blocks = 0;
  for (const pass of members) {
    const spans = pass.spans[engine], before = aheadOf(pass, engine);
    for (let i = 0, last = -1; i < spans.length; i += 2) {
      if (spans[i] === spans[i + 1]) continue;
      start = Math.min(start, spans[i]);
      end = Math.max(end, spans[i + 1]);
      busy += spans[i + 1] - spans[i];
      const block = Math.max(0, i / 2 - before);
      if (block !== last) blocks++; // block 0 once, though it may be loaded in two slices
      last = block;
    }
  }
  return { members, start, end, busy, blocks };
}

function envelopeRow(label, engine, groups, more) {
  const works = groups.map((members) => envelope(members, engine)).filter((work) => work.blocks);
  return row(label, label, works.map((work) => [work.start, work.end]), {
    engine, members: (i) => works[i].members, ...more(works),
    facts: (i) => [["busy", cyclesOf(works[i].busy)], ["of the span", share(works[i].busy, works[i].end - works[i].start)], ["blocks", whole(works[i].blocks)]] });
}

function engineRows(engine) {
  const layer = envelopeRow("layer", engine, layers, (works) => ({
    name: (i) => works[i].members[0].layer, color: (i) => layerColor(works[i].members[0]) }));
  const each = envelopeRow("pass", engine, passes.map((pass) => [pass]), (works) => ({
    name: (i) => works[i].members[0].name, color: (i) => passColor(works[i].members[0]) }));
  return [layer, each, blockRow(engine)];
}

function blockRow(engine) {
  const count = sum(passes.map((pass) => pass.spans[engine].length / 2));
  const starts = new Float64Array(count), ends = new Float64Array(count), owner = new Int32Array(count), number = new Int32Array(count);
  let used = 0;
  for (const pass of passes) {
    const spans = pass.spans[engine], before = aheadOf(pass, engine);
    for (let i = 0; i < spans.length; i += 2) {
      if (spans[i] === spans[i + 1]) continue;
      starts[used] = spans[i];
      ends[used] = spans[i + 1];
      owner[used] = pass.number;
      number[used++] = i / 2 - before; // -1: ahead
    }
  }
  return {
    label: "block", kind: "block", engine, starts: starts.subarray(0, used), ends: ends.subarray(0, used),
    name: (i) => (number[i] < 0 ? "block 0, ahead" : `block ${number[i]}`), members: (i) => [passes[owner[i]]], color: (i) => passColor(passes[owner[i]]),
    facts: (i) => [["pass", passes[owner[i]].name], ...engineFacts(passes[owner[i]], Math.max(0, number[i]))],
  };
}

// The first slice that ends after a cycle.
function firstAfter(each, cycle) {
  let low = 0, high = each.ends.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (each.ends[middle] > cycle) high = middle;
    else low = middle + 1;
  }
  return low;
}

const layerColor = (pass) => `--layer-${pass.place % 2}`;
const passColor = (pass) => `--pass-${pass.kind % 8}`;
const cyclesOf = (cycles) => `${whole(cycles)} cycles`;

function passFacts(members) {
  const cycles = sum(members.map((pass) => pass.cycles));
  const stalls = data.causes.map((cause, i) => [cause, sum(members.map((pass) => pass.stalls[i]))]).filter(([, waited]) => waited);
  const compute = sum(members.map((pass) => pass.compute));
  return [
    ["computation", `${cyclesOf(compute)} (${share(compute, cycles)})`],
    ...stalls.map(([cause, waited]) => [`stalls: ${cause}`, `${cyclesOf(waited)} (${share(waited, cycles)})`]),
    ["loaded ahead", cyclesOf(sum(members.map((pass) => pass.prefetched)))],
    ["blocks", whole(sum(members.map((pass) => pass.blocks)))],
  ];
}

function engineFacts(pass, block) {
  const slice = (engine, at) => {
    const [start, end] = pass.spans[engine].subarray(2 * at, 2 * at + 2);
    return start === end ? "nothing" : `${whole(start)} – ${whole(end)}`;
  };
  const ahead = pass.ahead && block === 0 ? [["loaded ahead", slice("load", 0)]] : [];
  return [...ahead, ...ENGINES.map((engine) => [engine, slice(engine, block + aheadOf(pass, engine))])];
}
