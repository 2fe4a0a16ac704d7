// What was learned, in small plots: this object click by click, clicks for each object, how far the layers have moved.

const PLOT = { width: 236, height: 104, left: 30, right: 6, top: 8, bottom: 20 };

function plotFrame(label, ticksY, xTitle, nothing) {
  const { width, height, left, right, top, bottom } = PLOT;
  const plot = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "ils-plot", role: "img", "aria-label": label });
  for (const [share, text] of ticksY) {
    const y = top + (1 - share) * (height - top - bottom);
    plot.append(svg("line", { x1: left, x2: width - right, y1: y, y2: y, class: "ils-grid" }),
      svg("text", { x: left - 4, y: y + 3.5, "text-anchor": "end" }, text));
  }
  plot.append(svg("text", { x: (left + width - right) / 2, y: height - 2, "text-anchor": "middle" }, xTitle));
  if (nothing) plot.append(svg("text", { x: (left + width - right) / 2, y: (top + height - bottom) / 2 + 4, "text-anchor": "middle" }, nothing));
  return plot;
}

const plotX = (share) => PLOT.left + share * (PLOT.width - PLOT.left - PLOT.right);
const plotY = (share) => PLOT.top + (1 - share) * (PLOT.height - PLOT.top - PLOT.bottom);

// With the truth: IoU after each click. Without: how much of the photo each click changed.
function clicksPlot(ui, { clicks, truth }) {
  const { colours, target_iou: target } = ui.model.get("fixed_settings"), count = Math.max(clicks.length, 5);
  const colourOf = (click) => rgb(click.positive ? colours.object : colours.background);
  const x = (index) => plotX((index + 0.5) / count), nothing = clicks.length ? "" : "no clicks yet";
  if (truth) {
    const plot = plotFrame("IoU after each click", [[0, "0"], [0.5, ".5"], [1, "1"]], "clicks", nothing);
    if (target) plot.append(svg("line", { x1: plotX(0), x2: plotX(1), y1: plotY(target), y2: plotY(target), class: "ils-target" }));
    const known = clicks.map((click, index) => [click, index]).filter(([click]) => click.iou != null);
    plot.append(svg("polyline", { points: known.map(([c, i]) => `${x(i)},${plotY(c.iou)}`).join(" "), class: "ils-line" }));
    for (const [click, index] of known) {
      plot.append(svg("circle", { cx: x(index), cy: plotY(click.iou), r: 3.5, fill: colourOf(click) },
        svg("title", {}, `click ${index + 1}: IoU ${click.iou.toFixed(3)}, ${click.seconds.toFixed(2)} s`)));
    }
    return plot;
  }
  const most = Math.max(0.01, ...clicks.map((click) => click.changed ?? 0));
  const ticks = [[0, "0"], [1, `${(100 * most).toFixed(most < 0.1 ? 1 : 0)}%`]];
  const plot = plotFrame("How much of the photo each click changed", ticks, "clicks", nothing);
  clicks.forEach((click, index) => {
    const height = plotY(0) - plotY((click.changed ?? 0) / most), width = Math.min(18, 160 / count);
    plot.append(svg("rect", { x: x(index) - width / 2, y: plotY(0) - height, width, height: Math.max(height, 1), fill: colourOf(click) },
      svg("title", {}, click.changed == null ? `click ${index + 1}: answered together with the next`
        : `click ${index + 1}: ${(100 * click.changed).toFixed(2)}% of the photo, ${click.seconds.toFixed(2)} s`)));
  });
  return plot;
}

function objectsPlot({ objects }) {
  const most = Math.max(5, ...objects.map((object) => object.clicks)), count = Math.max(objects.length, 8);
  const plot = plotFrame("Clicks for each finished object", [[0, "0"], [1, String(most)]], "objects, as they were finished",
    objects.length ? "" : "none finished yet");
  const x = (index) => plotX((index + 0.5) / count), width = Math.max(1, Math.min(16, 150 / count));
  objects.forEach((object, index) => {
    const y = plotY(object.clicks / most);
    plot.append(svg("rect", { x: x(index) - width / 2, y, width, height: Math.max(plotY(0) - y, 1), class: "ils-column" },
      svg("title", {}, `${object.name}: ${object.clicks} click${object.clicks === 1 ? "" : "s"}${object.iou == null ? "" : `, IoU ${object.iou.toFixed(2)}`}`)));
  });
  // The running mean of five shows whether it gets less.
  const mean = objects.map((_, i) => objects.slice(Math.max(0, i - 4), i + 1)).map((o) => o.reduce((s, v) => s + v.clicks, 0) / o.length);
  if (mean.length > 1) plot.append(svg("polyline", { points: mean.map((v, i) => `${x(i)},${plotY(v / most)}`).join(" "), class: "ils-line" }));
  return plot;
}

function layersList({ layers }) {
  const most = Math.max(1e-9, ...layers.map(([, moved]) => moved));
  // The head and the decoder first: they learn the most.
  const rows = [...layers].reverse().map(([name, moved]) => make("div", { class: "ils-layer", title: `${name}: ${(100 * moved).toPrecision(2)}% of its size` },
    make("span", { class: "ils-layer-name" }, name.replace("segmentation_head", "head")),
    make("span", { class: "ils-layer-bar" }, make("span", { style: `width:${most > 1e-9 ? (100 * moved) / most : 0}%` })),
    make("span", { class: "ils-value" }, moved ? `${(100 * moved).toPrecision(2)}%` : "0")));
  return make("div", { class: "ils-layers" }, ...rows);
}

function insightsPanel(ui) {
  const element = make("aside", { class: "ils-panel", "aria-label": "Insights" });
  const section = (title, ...content) => make("section", {}, make("h3", {}, title), ...content);
  let picture = null;
  const update = () => {
    const { model } = ui, insights = model.get("insights"), target = bytesOf(model.get("target"));
    element.hidden = !model.get("panel");
    if (element.hidden) return;
    if (picture) URL.revokeObjectURL(picture);
    picture = target.length ? URL.createObjectURL(new Blob([target], { type: "image/jpeg" })) : null;
    element.replaceChildren(
      ...(picture ? [section("To be segmented", make("img", { src: picture, alt: "The object to be segmented, in blue" }))] : []),
      ...(insights.layers ? [
        section(insights.truth ? "This object: IoU" : "This object: changed by each click", clicksPlot(ui, insights)),
        section("Clicks needed for each object", objectsPlot(insights)),
        section("How far the layers have moved", layersList(insights)),
      ] : [make("p", {}, "…")]),
    );
  };
  return { element, update };
}
