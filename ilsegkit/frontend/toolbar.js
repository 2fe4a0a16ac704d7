// The buttons above and below the photo. Each part gives an element and a function that brings it up to date.

function button(ui, name, label, title, action, text = null) {
  return make(
    "button",
    { type: "button", class: "ils-button", title, "aria-label": label, onclick: action },
    name && icon(name), text && make("span", {}, text),
  );
}

// Of several buttons one is pressed.
function segmented(label, options, choose) {
  const buttons = options.map(({ value, text, title, mark }) => {
    const children = [mark && make("span", { class: `ils-mark ils-mark-${mark}`, "aria-hidden": "true" }), text];
    return [value, make("button", { type: "button", class: "ils-segment", title, onclick: () => choose(value) }, ...children)];
  });
  const element = make("div", { class: "ils-segments", role: "group", "aria-label": label }, ...buttons.map(([, b]) => b));
  const update = (chosen) => buttons.forEach(([value, b]) => b.setAttribute("aria-pressed", String(value === chosen)));
  return { element, update };
}

// The kernel hears of it while it is being moved ("input"), or when it is let go ("change").
function slider(label, title, [low, high, step], when, action) {
  const input = make("input", { type: "range", min: low, max: high, step, "aria-label": label, title });
  const value = make("span", { class: "ils-value" });
  const element = make("label", { class: "ils-slider", title }, make("span", {}, label), input, value);
  const tell = () => { value.textContent = `${Math.round(input.value * 100)}%`; };
  input.addEventListener("input", tell);
  input.addEventListener(when, () => action(Number(input.value)));
  return { element, update: (now) => { if (!input.matches(":active")) { input.value = now; tell(); } } };
}

function topBar(ui) {
  const { model } = ui;
  const tools = segmented("What a click says", [
    { value: "object", text: "Object", mark: "object", title: "Clicks mark the object (b)" },
    { value: "background", text: "Background", mark: "background", title: "Clicks mark the background (b); so do right clicks" },
    { value: "erase", text: "Erase", mark: "erase", title: "Clicks delete points (e); so do Alt+clicks" },
  ], (value) => ui.set("tool", value));
  const modes = model.get("fixed_settings").modes.map(([text, value, title]) => ({ text, value, title }));
  const learning = segmented("Learning", modes, (value) => ui.ask("adapt", value));
  const compare = button(ui, "compare", "Compare with the fixed model", "Compare with the fixed model, side by side (k)",
    () => ui.set("compare", !model.get("compare")), "Compare");
  const insights = button(ui, "chart", "Insights", "Insights: what was learned (i)", () => ui.set("panel", !model.get("panel")),
    "Insights");
  const help = button(ui, "help", "Help", "All keys (h)", () => ui.toggleHelp(), null);
  const element = make("div", { class: "ils-bar", role: "toolbar", "aria-label": "Clicking and learning" },
    tools.element, make("span", { class: "ils-caption" }, "Learning"), learning.element, make("span", { class: "ils-gap" }),
    compare, insights, help);
  const update = () => {
    tools.update(model.get("tool"));
    learning.update(model.get("state").adapt);
    compare.setAttribute("aria-pressed", String(model.get("compare")));
    insights.setAttribute("aria-pressed", String(model.get("panel")));
  };
  return { element, update };
}

function bottomBar(ui) {
  const { model } = ui, { classes } = model.get("fixed_settings");
  const undo = button(ui, "undo", "Undo", "Take back the last click (z)", () => ui.ask("undo"), "Undo");
  const redo = button(ui, "redo", "Redo", "Bring it back (y)", () => ui.ask("redo"), "Redo");
  const reset = button(ui, "reset", "Reset", "Drop all clicks of this object (r)", () => ui.ask("reset"), "Reset");
  const finish = button(ui, "check", "Finish object", "Keep the mask and go on with another object (Enter)",
    () => ui.ask("finish"), "Finish object");
  finish.classList.add("ils-primary");
  const stop = button(ui, "stop", "Stop", "Stop learning from this click; what was learned so far is kept (Esc)",
    () => ui.ask("stop"), "Stop");
  stop.classList.add("ils-stop");
  const kind = make("select", { class: "ils-select", "aria-label": "What the object is", title: "What the object is",
    onchange: (event) => ui.ask("class", event.target.value) }, ...classes.map((name) => make("option", {}, name)));
  kind.hidden = classes.length < 2;

  const flips = [
    ["mask", "show_mask", "Show mask", "Show or hide the mask (m)"],
    ["points", "show_points", "Show points", "Show or hide the points (d)"],
    ["outline", "outline_only", "Outline only", "Outline or filled mask (o)"],
  ].map(([name, trait, label, title]) => [trait, button(ui, name, label, title, () => ui.set(trait, !model.get(trait)))]);
  const colour = button(ui, null, "Colour of the mask", "Another colour for the mask (c)", () => shortcut(ui, "c", false));
  colour.append(make("span", { class: "ils-swatch" }));
  const opacity = slider("Opacity", "How much the mask covers ([ and ])", [0.05, 1, 0.05], "input",
    (value) => ui.set("opacity", value));
  const threshold = slider("Threshold", "Probability from which a pixel belongs to the object (< and >)", [0.05, 0.95, 0.05],
    "change", (value) => { ui.threshold = value; });
  const look = make("div", { class: "ils-group", role: "group", "aria-label": "How it looks" },
    ...flips.map(([, b]) => b), colour, opacity.element, threshold.element);
  const element = make("div", { class: "ils-bar", role: "toolbar", "aria-label": "Object and view" },
    undo, redo, reset, kind, finish, stop, make("span", { class: "ils-gap" }), look);

  const update = () => {
    const state = model.get("state"), settings = model.get("fixed_settings");
    undo.disabled = !state.undo;
    redo.disabled = !state.redo;
    reset.disabled = finish.disabled = !state.object;
    stop.classList.toggle("ils-away", !state.busy); // its place is kept: what is below must not jump with every click
    if (state.class_name && ![...kind.options].some((option) => option.value === state.class_name)) {
      kind.append(make("option", {}, state.class_name));
    }
    kind.value = state.class_name ?? classes[0];
    for (const [trait, b] of flips) b.setAttribute("aria-pressed", String(model.get(trait)));
    colour.firstElementChild.style.background = rgb(settings.mask_colours[model.get("colour")]);
    opacity.update(model.get("opacity"));
    threshold.update(ui.threshold);
  };
  return { element, update };
}

function zoomBar(ui) {
  const level = make("span", { class: "ils-zoom-level", "aria-live": "off" });
  const element = make("div", { class: "ils-zoom", role: "group", "aria-label": "Zoom" },
    button(ui, "minus", "Zoom out", "Zoom out (−)", () => ui.zoomBy(1 / 1.5)), level,
    button(ui, "plus", "Zoom in", "Zoom in (+)", () => ui.zoomBy(1.5)), button(ui, "fit", "Fit", "Fit the photo (f)", () => ui.fit()));
  return { element, update: () => { level.textContent = `${Math.round(100 * (ui.panes[0]?.scale ?? 1))}%`; } };
}

function helpOverlay(ui) {
  const keys = (text) => text.split(", ").flatMap((part, index) => [index ? ", " : "", make("kbd", {}, part)]);
  const columns = KEYS.map(([title, rows]) => make("section", {},
    make("h3", {}, title),
    make("dl", {}, ...rows.flatMap(([key, what]) => [make("dt", {}, ...keys(key)), make("dd", {}, what)]))));
  const close = button(ui, "close", "Close", "Close (Esc)", () => ui.toggleHelp(false));
  return make("div", { class: "ils-help", role: "dialog", "aria-label": "Keys", hidden: true },
    make("header", {}, make("h2", {}, "Keys, when the photo or a button beside it has the focus"), close),
    make("div", { class: "ils-help-columns" }, ...columns));
}
