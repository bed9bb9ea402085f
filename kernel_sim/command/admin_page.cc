#include "kernel_sim/command/admin_page.h"

namespace ktlsim::command {

// In two pieces: a literal has at most 64 KiB, and style and script are read apart.
namespace {

constexpr std::string_view kAdminPage = R"page(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>ktlsim serve</title>
<style>
:root {
  --ground: #f7f7f5; --card: #fff; --ink: #1c1d1f; --soft: #63666b; --line: #dcdcd8;
  --s0: #1f5fa8; --s1: #c2571a; --s2: #2e7d4f; --s3: #8a3f8f; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #15171a; --card: #1e2125; --ink: #e8e8e6; --soft: #9ba0a6; --line: #34383e;
    --s0: #6ea8ec; --s1: #f0955a; --s2: #6cc492; --s3: #cd8ad2; --bad: #f2837b;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 16px; max-width: 1200px; background: var(--ground);
  color: var(--ink); font: 15px/1.4 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: baseline; }
h1 { font-size: 20px; margin: 0; }
h2 { font-size: 14px; margin: 0 0 2px; }
p { margin: 0; color: var(--soft); font-size: 13px; }
#state { font-weight: 600; }
#state.bad { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 10px;
  margin: 14px 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr));
  gap: 10px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: 10px 12px; min-width: 0; overflow-x: auto; }
.value { font-size: 22px; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: 130px; margin-top: 6px; }
svg text { fill: var(--soft); font-size: 11px; }
svg .grid { stroke: var(--line); }
svg path { fill: none; stroke-width: 1.8; }
.keys { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 13px; }
.keys i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 5px; }
table { border-collapse: collapse; width: 100%; font-size: 13px; margin-top: 4px; }
td, th { text-align: right; padding: 2px 0 2px 10px; font-variant-numeric: tabular-nums;
  border-top: 1px solid var(--line); font-weight: 400; }
td, th { white-space: nowrap; }
td:first-child, th:first-child { text-align: left; padding-left: 0; white-space: normal;
  overflow-wrap: anywhere; min-width: 9em; }
th { color: var(--soft); border: 0; }
</style>
<header><h1>ktlsim serve</h1><span id="state">asking</span><p id="since"></p></header>
<section class="tiles" id="tiles"></section>
<section class="charts" id="charts"></section>
<noscript><p>This page draws with a script; <a href="/metrics">/metrics</a> has the figures.</p></noscript>
)page"
                                        R"page(<script>
"use strict";
const kSeconds = 120;
const byId = id => document.getElementById(id);
const make = (tag, text, parent, className) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  if (parent) parent.append(element);
  return element;
};

// The text format of Prometheus: name -> [{labels, value}].
function parse(text) {
  const families = new Map();
  const line = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
  const label = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)",?/g;
  const plain = value => value.replace(/\\(.)/g, (_, c) => c === "n" ? "\n" : c);
  for (const row of text.split("\n")) {
    const match = row[0] === "#" ? null : line.exec(row);
    if (!match) continue;
    const labels = {};
    for (const [, name, value] of (match[2] || "").matchAll(label)) labels[name] = plain(value);
    if (!families.has(match[1])) families.set(match[1], []);
    families.get(match[1]).push({labels, value: Number(match[3])});
  }
  return families;
}
function sum(families, name, wanted = {}) {
  let total = 0;
  for (const {labels, value} of families.get(name) || []) {
    if (Object.entries(wanted).every(([key, text]) => labels[key] === text)) total += value;
  }
  return total;
}
function classes(families, name, wanted) {
  const found = new Map();
  for (const {labels, value} of families.get(name + "_bucket") || []) {
    if (!Object.entries(wanted).every(([key, text]) => labels[key] === text)) continue;
    const end = labels.le === "+Inf" ? Infinity : Number(labels.le);
    found.set(end, (found.get(end) || 0) + value);
  }
  return found;
}
// Between two answers, an upper bound in seconds; null: nothing was measured.
function quantile(share, now, before, name, wanted = {}) {
  const ends = [...classes(now, name, wanted)].sort((a, b) => a[0] - b[0]);
  const old = classes(before, name, wanted);
  const counts = ends.map(([end, calls]) => [end, calls - (old.get(end) || 0)]);
  const all = counts.length ? counts[counts.length - 1][1] : 0;
  if (all <= 0) return null;
  const hit = counts.find(([, calls]) => calls >= share * all);
  return hit[0] === Infinity ? counts[counts.length - 2][0] : hit[0];
}

const units = (value, steps, base) => {
  let i = 0;
  while (i + 1 < steps.length && Math.abs(value) >= base) { value /= base; ++i; }
  return (value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toPrecision(3)) + steps[i];
};
const count = value => units(value, ["", " k", " M", " G"], 1000);
const bytes = value => units(value, [" B", " KiB", " MiB", " GiB"], 1024);
const time = value => value === null ? "–" : value === 0 ? "0" :
  value < 1e-3 ? (value * 1e6).toPrecision(3) + " µs" :
  value < 1 ? (value * 1e3).toPrecision(3) + " ms" : value.toPrecision(3) + " s";
const share = value => (value * 100).toFixed(0) + " %";

const rate = (name, wanted) => (now, before, seconds) =>
  Math.max(0, sum(now, name, wanted) - sum(before, name, wanted)) / seconds;
const late = (p, name, wanted) => (now, before) => quantile(p, now, before, name, wanted);
const charts = [
  {title: "Handshakes per second", unit: count, series: [
    ["full", rate("ktlsim_handshakes_total", {resumed: "no"})],
    ["resumed", rate("ktlsim_handshakes_total", {resumed: "yes"})],
    ["failed", rate("ktlsim_failures_total")]]},
  {title: "Handshake latency", note: "from accepting to established", unit: time, series: [
    ["p50", late(0.5, "ktlsim_handshake_duration_seconds")],
    ["p99", late(0.99, "ktlsim_handshake_duration_seconds")]]},
  {title: "Plaintext per second", unit: bytes, series: [
    ["received", rate("ktlsim_plaintext_bytes_total", {direction: "received"})],
    ["sent", rate("ktlsim_plaintext_bytes_total", {direction: "sent"})]]},
  {title: "Wait in the queue, p99 by lane", note: "of a sample of the calls", unit: time, series: [
    ["record", late(0.99, "ktlsim_call_queue_wait_seconds", {lane: "record"})],
    ["handshake", late(0.99, "ktlsim_call_queue_wait_seconds", {lane: "handshake"})]]},
  {title: "Service, p99 by lane", note: "from the first run to the status", unit: time, series: [
    ["record", late(0.99, "ktlsim_call_service_seconds", {lane: "record"})],
    ["handshake", late(0.99, "ktlsim_call_service_seconds", {lane: "handshake"})]]},
  {title: "Notification, p99 by lane", note: "from the status to the callback", unit: time, series: [
    ["record", late(0.99, "ktlsim_call_notification_seconds", {lane: "record"})],
    ["handshake", late(0.99, "ktlsim_call_notification_seconds", {lane: "handshake"})]]},
  {title: "Rings, per second", unit: count, series: [
    ["SQEs", rate("ktlsim_ring_submissions_total")],
    ["CQEs", rate("ktlsim_ring_completions_total")],
    ["enters", rate("ktlsim_ring_enters_total")],
    ["overflows", rate("ktlsim_ring_completion_overflow_total")]]},
  {title: "CPU of the processors", note: "100 % is one of them, busy", unit: share, series: [
    ["all together", rate("ktlsim_processor_cpu_seconds_total")]]},
];
const tiles = [
  ["open connections", now => count(sum(now, "ktlsim_open_connections"))],
  ["open handshakes", now => count(sum(now, "ktlsim_open_handshakes"))],
  ["handshakes in all", now => count(sum(now, "ktlsim_handshakes_total"))],
  ["handshake p99", (now, before) => time(late(0.99, "ktlsim_handshake_duration_seconds")(now, before))],
  ["calls in flight", now => count(sum(now, "ktlsim_calls_in_flight"))],
  ["failures in all", now => count(sum(now, "ktlsim_failures_total"))],
];

const kWidth = 340, kHeight = 130, kLeft = 56, kBottom = 16, kTop = 8;
function draw(chart) {
  const kept = chart.points;
  const highest = Math.max(...kept.flatMap(point => point.values.filter(v => v !== null)), 0);
  const top = highest > 0 ? highest * 1.1 : 1;
  const end = kept[kept.length - 1].at;
  const x = at => kLeft + (kWidth - kLeft - 4) * (1 - (end - at) / kSeconds);
  const y = value => kTop + (kHeight - kTop - kBottom) * (1 - value / top);
  let out = "";
  for (const part of [0, 0.5, 1]) {
    const at = y(top * part).toFixed(1);
    out += `<line class="grid" x1="${kLeft}" x2="${kWidth - 4}" y1="${at}" y2="${at}"/>` +
      `<text x="${kLeft - 5}" y="${Number(at) + 4}" text-anchor="end">${chart.unit(top * part)}</text>`;
  }
  out += `<text x="${kLeft}" y="${kHeight - 2}">2 min ago</text>` +
    `<text x="${kWidth - 4}" y="${kHeight - 2}" text-anchor="end">now</text>`;
  chart.series.forEach((_, i) => {
    let path = "", pen = "M";
    for (const {at, values} of kept) {
      if (values[i] === null) { pen = "M"; continue; }
      path += `${pen}${x(at).toFixed(1)} ${y(values[i]).toFixed(1)}`;
      pen = "L";
    }
    if (path && !path.includes("L")) path += "h1";
    out += `<path d="${path}" stroke="var(--s${i})"/>`;
  });
  chart.svg.innerHTML = out;  // numbers and our own words only
  chart.series.forEach(([name], i) => {
    chart.values[i].textContent = `${name} ${chart.unit(kept[kept.length - 1].values[i])}`;
  });
}
for (const chart of charts) {
  const card = make("div", undefined, byId("charts"), "card");
  make("h2", chart.title, card);
  if (chart.note) make("p", chart.note, card);
  chart.svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  chart.svg.setAttribute("viewBox", `0 0 ${kWidth} ${kHeight}`);
  chart.svg.setAttribute("role", "img");
  chart.svg.setAttribute("aria-label", chart.title);
  card.append(chart.svg);
  const keys = make("div", undefined, card, "keys");
  chart.values = chart.series.map(([name], i) => {
    const key = make("span", undefined, keys);
    make("i", undefined, key).style.background = `var(--s${i})`;
    return make("span", name, key);
  });
  chart.points = [];
}
for (const tile of tiles) {
  const card = make("div", undefined, byId("tiles"), "card");
  make("p", tile[0], card);
  tile.push(make("div", "–", card, "value"));
}

// Rows of what is not zero.
const tables = [
  ["Listeners", ["listener", "open", "accepted", "handshakes", "received", "sent"], now =>
    (now.get("ktlsim_listener_connections_total") || []).map(({labels, value}) => {
      const of = {listener: labels.listener};
      return [`${labels.listener} (${labels.mode})`, count(sum(now, "ktlsim_listener_open_connections", of)),
        count(value), count(sum(now, "ktlsim_listener_handshakes_total", of)),
        bytes(sum(now, "ktlsim_listener_received_bytes_total", of)),
        bytes(sum(now, "ktlsim_listener_sent_bytes_total", of))];
    })],
  ["Negotiated", ["version, suite, group", "resumed", "handshakes", "mean"], now =>
    (now.get("ktlsim_handshake_duration_seconds_count") || []).map(({labels, value}) =>
      [`TLS ${labels.version} ${labels.suite} ${labels.group}`, labels.resumed, count(value),
        time(value ? sum(now, "ktlsim_handshake_duration_seconds_sum", labels) / value : null)])],
  ["Failures and alerts", ["what", "times"], now => [
    ...(now.get("ktlsim_failures_total") || []).map(({labels, value}) => [labels.class, value]),
    ...(now.get("ktlsim_alerts_total") || []).map(({labels, value}) =>
      [`alert ${labels.direction}: ${labels.alert}`, value])]
    .filter(([, value]) => value > 0).map(([what, value]) => [what, count(value)])],
  ["Ends of connections", ["reason", "times"], now =>
    (now.get("ktlsim_connections_ended_total") || []).filter(({value}) => value > 0)
      .map(({labels, value}) => [labels.reason, count(value)])],
];
for (const table of tables) {
  const card = make("div", undefined, byId("charts"), "card");
  make("h2", table[0], card);
  table.push(make("table", undefined, card));
}
function fill([, heads, rowsOf, table], now) {
  const rows = rowsOf(now);
  table.replaceChildren();
  const head = make("tr", undefined, table);
  for (const text of heads) make("th", text, head);
  if (!rows.length) make("td", "none", make("tr", undefined, table));
  for (const row of rows) {
    const line = make("tr", undefined, table);
    for (const text of row) make("td", text, line);
  }
}

let before = null, asked = 0;
function show(now, at) {
  const draining = sum(now, "ktlsim_draining") === 1;
  const ready = sum(now, "ktlsim_ready") === 1;
  byId("state").textContent = draining ? "draining" : ready ? "ready" : "starting";
  byId("state").className = ready ? "" : "bad";
  const build = (now.get("ktlsim_build_info") || [{labels: {version: ""}}])[0].labels.version;
  const since = new Date(sum(now, "ktlsim_start_time_seconds") * 1000);
  byId("since").textContent = `version ${build}, since ${since.toLocaleString()}`;
  for (const table of tables) fill(table, now);
  const old = before || {now, at: at - 1};
  for (const tile of tiles) tile[2].textContent = tile[1](now, old.now);
  for (const chart of charts) {
    const seconds = Math.max(at - old.at, 0.001);
    chart.points.push({at, values: chart.series.map(([, value]) => value(now, old.now, seconds))});
    chart.points = chart.points.filter(point => at - point.at <= kSeconds);
    draw(chart);
  }
  before = {now, at};
}
async function ask() {
  try {
    const answer = await fetch("/metrics", {cache: "no-store"});
    if (!answer.ok) throw new Error(answer.status);
    show(parse(await answer.text()), performance.now() / 1000);
    document.documentElement.dataset.answers = ++asked;
  } catch {
    byId("state").textContent = "no answer";
    byId("state").className = "bad";
  }
  setTimeout(ask, 1000);
}
ask();
</script>
</html>
)page";

}  // namespace

std::string_view AdminPage() { return kAdminPage; }

}  // namespace ktlsim::command
