// Mouse, pen, fingers and keys. Listening on the window, in the capture phase, comes before JupyterLab's own shortcuts and menus.

const DRAG = { mouse: 6, pen: 8, touch: 10 }; // a pointer that moves farther than this many pixels is not clicking

// Keys on the photo and the buttons around it, with what they do and how the help calls it.
const KEYS = [
  ["Clicking", [
    ["click", "the object is here"], ["right click, Shift+click", "this is background"],
    ["b", "swap object and background"], ["e", "erase points by clicking"], ["Alt+click, Delete", "delete the point there"],
    ["arrows, Shift+arrows", "move a cursor, finely"], ["Space, Shift+Space", "click with it: object, background"],
  ]],
  ["Object", [
    ["z, Ctrl+z", "undo"], ["y, Ctrl+y", "redo"], ["r", "reset"], ["Enter", "finish the object"], ["Esc", "stop learning from this click"],
    ["Shift+Enter", "run the cell"],
    ["n, p", "next, previous image"], ["1 2 3 4", "learning: fixed, IA, SA, IA+SA"],
  ]],
  ["View", [
    ["wheel, pinch, + −", "zoom (before the first click: Ctrl+wheel)"], ["drag, middle button", "move the photo, when zoomed in"],
    ["f", "fit the photo"], ["m", "hide or show the mask"], ["d", "hide or show the points"], ["o", "outline or filled mask"],
    ["c", "colour of the mask"], ["[ ]", "opacity"], ["< >", "threshold"], ["k", "compare with the fixed model"],
    ["i", "insights: what was learned"], ["h, ?", "this help"],
  ]],
];

function listen(ui, signal) {
  const on = (name, handler) => window.addEventListener(name, handler, { capture: true, passive: false, signal });
  const paneOf = (event) => ui.panes.find((pane) => pane.canvas === event.target);
  const pointers = new Map(); // those that are down: where they went down, and where they are
  let pressed = null; // the click that a release will make
  let pointed = false; // whether the last thing done here was done with the mouse, and not with a key

  const release = () => {
    pressed = null;
    ui.provisional = null;
  };
  const spread = () => {
    const [a, b] = [...pointers.values()];
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, gap: Math.hypot(a.x - b.x, a.y - b.y) };
  };

  on("pointerdown", (event) => {
    pointed = ui.root.contains(event.target);
    const pane = paneOf(event);
    if (!pane) return;
    event.stopImmediatePropagation();
    // Focusing may scroll, and then the event's coordinates would no longer fit the canvas.
    pane.canvas.focus({ preventScroll: true });
    ui.cursor = null;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, startX: event.clientX, startY: event.clientY, pane });
    try { pane.canvas.setPointerCapture(event.pointerId); } catch { /* a pointer made by a script */ }
    release();
    if (pointers.size === 1 && (event.button === 0 || event.button === 2)) {
      const { x, y } = pane.toPhoto(event), { width, height } = ui.info;
      if (x >= 0 && y >= 0 && x < width && y < height) {
        const background = event.button === 2 || event.shiftKey || event.ctrlKey; // Ctrl+click is a Mac's right click
        const erase = event.altKey || ui.model.get("tool") === "erase";
        const positive = ui.model.get("tool") !== "background" && !background;
        pressed = { x: Math.floor(x), y: Math.floor(y), positive, erase, pane, photo: ui.info.name };
        if (!erase) ui.provisional = pressed; // the dot is there at once
      }
    }
    ui.redraw();
  });

  on("pointermove", (event) => {
    const pane = paneOf(event), pointer = pointers.get(event.pointerId);
    if (pane && !pointer) ui.hover(pane, event);
    if (!pointer) return;
    event.stopImmediatePropagation();
    const before = pointers.size === 2 ? spread() : null;
    const [dx, dy] = [event.clientX - pointer.x, event.clientY - pointer.y];
    const far = Math.hypot(event.clientX - pointer.startX, event.clientY - pointer.startY) > DRAG[event.pointerType || "mouse"];
    const middle = event.buttons === 4;
    if (before) {
      [pointer.x, pointer.y] = [event.clientX, event.clientY];
      const after = spread();
      release();
      ui.pan(pointer.pane, after.x - before.x, after.y - before.y);
      ui.zoomAt(pointer.pane, { clientX: after.x, clientY: after.y }, after.gap / Math.max(before.gap, 1));
    } else if (middle || ((pointer.panning || far) && ui.view.zoom > 1)) {
      // Where there is nothing to move, a click may be shaky.
      [pointer.x, pointer.y, pointer.panning] = [event.clientX, event.clientY, true];
      release();
      ui.pan(pointer.pane, dx, dy);
    }
  });

  on("pointerup", (event) => {
    const pointer = pointers.get(event.pointerId);
    if (!pointer) return;
    event.stopImmediatePropagation();
    pointers.delete(event.pointerId);
    const click = pressed;
    release();
    const dragged = Math.hypot(event.clientX - pointer.startX, event.clientY - pointer.startY) > 40; // no hand is as shaky
    if (click && !dragged) {
      if (click.erase) ui.deleteAt(click.pane, event);
      else ui.click(click);
    }
    ui.redraw();
  });

  on("pointercancel", (event) => {
    if (pointers.delete(event.pointerId)) {
      release();
      ui.redraw();
    }
  });

  on("wheel", (event) => {
    const pane = paneOf(event);
    if (!pane) return;
    const factor = Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.06 : event.ctrlKey ? 0.01 : 0.002));
    // The page scrolls over a photo that nobody works on, and where there is nothing more to zoom out of.
    const wanted = event.ctrlKey || event.metaKey || document.activeElement === pane.canvas;
    if (!wanted || (ui.view.zoom <= 1 && factor < 1 && !event.ctrlKey)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    ui.zoomAt(pane, event, factor);
  });

  // JupyterLab would select the cell and take the focus; on the photo the browser would select text, and open its menu.
  on("mousedown", (event) => {
    if (!ui.root.contains(event.target)) return;
    if (paneOf(event)) event.preventDefault();
    event.stopPropagation();
  });
  on("contextmenu", (event) => {
    if (!paneOf(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  });
  on("auxclick", (event) => paneOf(event) && event.preventDefault());

  // Who uses the mouse has the keys of the photo after a button, too: the next Enter finishes the object. With keys, the focus stays.
  ui.root.addEventListener("click", (event) => {
    if (event.detail > 0 && event.target.closest("button") && ui.help.hidden) ui.focusPhoto();
  }, { signal });
  ui.root.addEventListener("change", (event) => pointed && event.target.matches("select") && ui.focusPhoto(), { signal });

  on("keydown", (event) => {
    if (!ui.root.contains(event.target)) return;
    pointed = false;
    // On many keyboards brackets need AltGr, which Windows calls Ctrl+Alt, or a Mac's Option.
    const option = event.altKey && !event.ctrlKey && !event.metaKey && "[]".includes(event.key);
    const typed = event.key.length === 1 && (option || event.getModifierState("AltGraph"));
    if (!typed && (event.ctrlKey || event.metaKey) && !event.altKey) {
      const action = { z: event.shiftKey ? "redo" : "undo", y: "redo" }[event.key.toLowerCase()];
      if (!action) return;
      event.preventDefault();
      event.stopImmediatePropagation(); // JupyterLab would undo what was written in a cell
      return ui.ask(action);
    }
    // JupyterLab's: running the cell and the like.
    if ((!typed && (event.ctrlKey || event.metaKey || event.altKey)) || (event.key === "Enter" && event.shiftKey)) return;
    if (event.target.matches("select") && event.key === "Escape") ui.focusPhoto();
    if (event.target.matches("select, input:not([type=range])")) return event.stopPropagation();
    if (!ui.help.hidden && !["Escape", "h", "H", "?"].includes(event.key)) { // what is under it must not change
      event.stopImmediatePropagation();
      const scrolls = /^(Arrow|Home|End|Page)/.test(event.key);
      if (!scrolls && !(event.target.matches("button") && [" ", "Enter"].includes(event.key))) event.preventDefault();
      return;
    }
    const onPhoto = Boolean(paneOf(event));
    const native = event.key === "Tab" ? !onPhoto : event.target.matches("button") && [" ", "Enter"].includes(event.key);
    // They move a slider, or scroll; JupyterLab would go to another cell.
    const moving = !onPhoto && /^(Arrow|Home|End|Page)/.test(event.key);
    if (native || moving) return event.stopPropagation();
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const handled = (onPhoto && cursorKey(ui, key, event)) || shortcut(ui, key, event.repeat);
    if (handled || event.key.length === 1) {
      // A letter that means nothing here would cut or delete cells there.
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  });
}

function cursorKey(ui, key, event) {
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  const pane = ui.panes[0], { width, height } = ui.info;
  if (move) {
    ui.cursor ??= { x: Math.floor(ui.view.x), y: Math.floor(ui.view.y) };
    const step = event.shiftKey ? 1 : Math.max(1, Math.round(10 / pane.scale));
    ui.cursor = {
      x: clamp(ui.cursor.x + step * move[0], 0, width - 1),
      y: clamp(ui.cursor.y + step * move[1], 0, height - 1),
    };
    ui.keepInSight(ui.cursor);
    ui.spoken.textContent = `x ${ui.cursor.x}, y ${ui.cursor.y}`;
    return true;
  }
  if (key === " ") {
    const tool = ui.model.get("tool");
    if (!ui.cursor) { // shown first: nobody shall click where they do not know
      ui.cursor = { x: Math.floor(ui.view.x), y: Math.floor(ui.view.y) };
      ui.redraw();
      ui.spoken.textContent = `Cursor at x ${ui.cursor.x}, y ${ui.cursor.y}; Space clicks there`;
    } else if (tool === "erase") ui.deleteNearest(pane.place(ui.cursor), pane);
    else ui.click({ ...ui.cursor, positive: !event.shiftKey && tool !== "background" });
    return true;
  }
  if (key === "Delete" || key === "Backspace") {
    ui.deleteNearest(ui.cursor ? pane.place(ui.cursor) : ui.mouse, ui.cursor ? pane : ui.mousePane ?? pane);
    return true;
  }
  return false;
}

// Each with what is said of it, where no button with the focus tells it, and no status.
function shortcut(ui, key, repeated) {
  const { model } = ui;
  const percent = (value) => `${Math.round(100 * value)}%`;
  const choose = (tool) => [
    () => ui.set("tool", model.get("tool") === tool ? "object" : tool), () => `Tool: ${model.get("tool")}`,
  ];
  const flip = (name, what) => [() => ui.set(name, !model.get(name)), () => `${what} ${model.get(name) ? "on" : "off"}`];
  const nudge = (by) => [
    () => ui.set("opacity", clamp(Math.round((model.get("opacity") + by) * 100) / 100, 0.05, 1)),
    () => `Opacity ${percent(model.get("opacity"))}`,
  ];
  const threshold = (by) => [
    () => { ui.threshold = clamp(Math.round((ui.threshold + by) * 100) / 100, 0.05, 0.95); },
    () => `Threshold ${percent(ui.threshold)}`,
  ];
  const look = (change) => [change, () => `Zoom ${percent(ui.view.zoom)}`];
  const colours = model.get("fixed_settings").mask_colours.length;
  const actions = {
    b: choose("background"), e: choose("erase"),
    z: [() => ui.ask("undo")], y: [() => ui.ask("redo")], r: [() => ui.ask("reset")], Enter: [() => ui.ask("finish")],
    n: [() => ui.ask("next", 1)], p: [() => ui.ask("next", -1)],
    Escape: [() => (ui.help.hidden ? ui.ask("stop") : ui.toggleHelp(false))],
    m: flip("show_mask", "Mask"), d: flip("show_points", "Points"), o: flip("outline_only", "Outline only"),
    k: flip("compare", "Comparison"), i: flip("panel", "Insights"),
    c: [() => ui.set("colour", (model.get("colour") + 1) % colours), () => `Colour ${model.get("colour") + 1} of ${colours}`],
    "[": nudge(-0.1), "]": nudge(0.1), "<": threshold(-0.05), ">": threshold(0.05),
    "+": look(() => ui.zoomBy(1.5)), "=": look(() => ui.zoomBy(1.5)), "-": look(() => ui.zoomBy(1 / 1.5)),
    f: look(() => ui.fit()), 0: look(() => ui.fit()),
    h: [() => ui.toggleHelp()], "?": [() => ui.toggleHelp()],
  };
  model.get("fixed_settings").modes.forEach(([name, mode], index) => {
    actions[index + 1] = [() => ui.ask("adapt", mode), () => `Learning: ${name}`];
  });
  if (!actions[key]) return false;
  const [act, said] = actions[key];
  if (!repeated || "[]<>+-=zy".includes(key)) act();
  if (said) ui.spoken.textContent = said();
  return true;
}
