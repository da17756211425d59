// Draws the charts. Each is a table, which a chart without script is too: its first column is the axis, every other column
// with a `data-color` in its head is drawn. Cells carry plain numbers in `data-value`, or a `data` element that does.
"use strict";

const library = document.currentScript.dataset.library; // uPlot, which is fetched once the page is painted
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const dark = matchMedia("(prefers-color-scheme: dark)");
const HEIGHT = 180;
const HOUR_MS = 3_600_000;

function readTable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...table.tBodies[0].rows];
  const drawn = heads.map((_, n) => n).filter((n) => n > 0 && "color" in heads[n].dataset);
  return {
    axisName: heads[0].textContent.trim(),
    marks: rows.map((row) => row.cells[0].dataset.label ?? row.cells[0].textContent.trim()),
    series: drawn.map((n) => ({
      name: heads[n].textContent.trim(),
      color: heads[n].dataset.color,
      values: rows.map((row) => readValue(row.cells[n])),
      labels: rows.map((row) => row.cells[n].textContent.trim()),
    })),
  };
}

function readValue(cell) {
  if ("value" in cell.dataset) return Number(cell.dataset.value);
  const { value, dataset } = cell.querySelector("data");
  return "duration" in dataset ? value / HOUR_MS : Number(value);
}

function drawChart(figure) {
  const place = figure.querySelector(".canvas");
  const { axisName, marks, series } = readTable(figure.querySelector("details table"));
  place.replaceChildren();
  place.hidden = !marks.length || !series.length;
  if (place.hidden) return;
  const bars = figure.dataset.chart === "bars";
  const paint = (name) => css(`--${name}`);
  const axis = { stroke: paint("soft"), grid: { stroke: paint("edge"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  const paths = bars ? uPlot.paths.bars({ size: [0.7, 40], radius: 0.15 }) : undefined;
  const options = {
    width: place.parentElement.clientWidth - 36,
    height: HEIGHT,
    scales: { x: { time: false, range: [-0.6, marks.length - 0.4] }, y: { range: (_, low, high) => [0, Math.max(1, high * 1.05)] } },
    axes: [
      { ...axis, size: 28, grid: { show: false }, space: 60, incrs: [1, 2, 3, 5, 7, 10, 14, 30, 60, 90, 180], values: (_, splits) => splits.map((n) => marks[n] ?? "") },
      { ...axis, size: 44, values: (_, splits) => splits.map((value) => value.toLocaleString()) },
    ],
    series: [
      { label: axisName, value: (_, n) => marks[n] ?? "" },
      ...series.map(({ name, color, labels }) => ({
        label: name, stroke: paint(color), fill: bars ? paint(color) : undefined, width: bars ? 0 : 2, paths, points: { show: false },
        value: (_, value, __, n) => (n == null ? "" : labels[n]),
      })),
    ],
    legend: { live: true },
    cursor: { drag: { x: false, y: false }, points: { show: !bars } },
  };
  new uPlot(options, [marks.map((_, n) => n), ...series.map(({ values }) => values)], place);
}

const drawAll = () => document.querySelectorAll("figure[data-chart]").forEach(drawChart);
let later = 0;
function drawLater() {
  clearTimeout(later);
  later = setTimeout(drawAll, 150);
}
afterPaint(() => {
  const script = document.createElement("script");
  script.src = library;
  script.onload = () => {
    drawAll();
    dark.addEventListener("change", drawAll);
    addEventListener("resize", drawLater);
  };
  document.head.append(script);
});
