// One view of the widget: it shows the model's traits and tells Python, by messages, what the user does.

const PATIENCE = 4000; // milliseconds after which a message that Python has not taken is spoken of
const SILENT = "The kernel does not answer: it is busy with another cell, or it was restarted or stopped. If it was, run the cell again; if that does not help, reload the page.";

class Interface {
  constructor(model, root) {
    Object.assign(this, { model, root, panes: [], pending: new Map(), wishes: new Map(), unheard: new Set(), provisional: null, cursor: null, mouse: null, hovered: -1 });
    this.id = randomId();
    this.controller = new AbortController();
    this.info = { name: "", width: 1, height: 1 }; // of the photo that is seen
    this.view = new View(this.info);
    this.build();
    listen(this, this.controller.signal);
    this.observe();
    this.embed().catch((error) => {
      const text = `The canvas cannot be shown (${error.message ?? error}); is ipycanvas installed where the page comes from?`;
      this.say({ text, kind: "error" });
    });
  }

  build() {
    const { model } = this;
    this.parts = [topBar(this), bottomBar(this), zoomBar(this), insightsPanel(this), objectsBar(this), (this.film = filmStrip(this))];
    const [top, bottom, zoom, panel, objects, film] = this.parts.map((part) => part.element);
    const settings = model.get("fixed_settings");
    this.learning = new Pane(settings, this.view, "learning");
    this.fixed = new Pane(settings, this.view, "fixed");
    this.fixed.title.textContent = "fixed model";
    this.bar = make("div", { class: "ils-progress", role: "progressbar", "aria-label": "Learning" }, make("span"));
    this.panesBox = make("div", { class: "ils-panes" }, this.fixed.element, this.learning.element);
    this.legend = make("div", { class: "ils-legend" },
      make("span", { class: "ils-gained" }, "turned to object"), make("span", { class: "ils-lost" }, "turned to background"));
    this.help = helpOverlay(this);
    this.stage = make("div", { class: "ils-stage" }, make("div", { class: "ils-view" }, this.panesBox, this.legend, zoom, this.bar));
    this.status = make("div", { class: "ils-status", role: "status", "aria-live": "polite" });
    this.spoken = make("div", { class: "ils-spoken", "aria-live": "polite" }); // for a screen reader alone: the photo, the cursor, what a key did
    this.body = make("div", { class: "ils-body" }, this.stage, panel);
    for (const [name, colour] of Object.entries(settings.colours)) this.root.style.setProperty(`--ils-${name}`, rgb(colour));
    this.root.append(top, this.body, bottom, this.status, this.spoken, objects, film, this.help);
  }

  // Put views of the ipycanvases into the panes, and follow what Python draws on them.
  async embed() {
    const { model } = this, manager = model.widget_manager, names = model.get("canvases"), views = {};
    this.children = [];
    for (const [name, reference] of Object.entries(names)) {
      const child = await manager.get_model(reference.slice("IPY_MODEL_".length));
      views[name] = await manager.create_view(child);
      this.children.push({ child, view: views[name] });
    }
    if (this.controller.signal.aborted) return this.removeChildren();
    this.learning.embed(views.learning.el, views.learning_detail.el);
    this.fixed.embed(views.fixed.el, views.fixed_detail.el);
    for (const { child } of this.children) {
      for (const layer of child.get("_canvases")) layer.on("new-frame", () => this.redraw(), this); // its size may be another
    }
    const layers = (view) => view.model.get("_canvases");
    layers(views.learning)[0].on("new-frame", () => this.photoDrawn(), this);
    for (const layer of layers(views.learning_detail)) layer.on("new-frame", () => this.detailDrawn({ masks: true }), this);
    this.photoDrawn();
  }

  removeChildren() {
    for (const { child, view } of this.children ?? []) {
      for (const layer of child.get("_canvases")) layer.off(null, null, this);
      view.remove();
    }
  }

  observe() {
    const on = (names, handler) => names.forEach((name) => this.model.on(`change:${name}`, handler));
    const settings = ["tool", "opacity", "colour", "outline_only", "show_mask", "show_points", "compare", "panel"];
    for (const name of settings) on([name], (model, value, options) => this.insist(name, options ?? {}));
    on(["compare", "panel"], () => this.soon("resize", () => this.resize()));
    on(["points"], () => this.redraw());
    on([...settings, "state", "objects", "film", "photo_info", "insights", "target"], () => this.soon("update", () => this.update()));
    on(["detail"], () => this.detailChanged());
    on(["progress"], () => this.showProgress());
    on(["message"], () => this.say(this.model.get("message")));
    this.model.on("msg:custom", (message, buffers) => this.receive(message, buffers));
    this.resizes = new ResizeObserver(() => this.resize());
    this.resizes.observe(this.body);
    this.resizes.observe(this.panesBox);
    window.addEventListener("resize", () => this.resize(), { signal: this.controller.signal });
    this.say(this.model.get("message"));
    this.showProgress();
    this.update();
    this.resize();
  }

  close() {
    this.controller.abort();
    this.resizes.disconnect();
    this.film.close();
    this.removeChildren();
    this.model.off(); // of this view only
    clearTimeout(this.timer);
    clearTimeout(this.detailTimer);
    if (this.tileAddress) URL.revokeObjectURL(this.tileAddress);
  }

  // Several traits change with one message; do what follows from them once.
  soon(what, action) {
    this.due ??= new Map();
    if (!this.due.has(what)) queueMicrotask(() => { this.due.delete(what); action(); });
    this.due.set(what, action);
  }

  // --- telling Python ---------------------------------------------------------------------------------------------

  // Python says of each message that it has come; if it does not, the user is told.
  tell(message, id = randomId()) {
    this.unheard.add(id);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.unheard.size && this.say({ text: SILENT, kind: "error" }), PATIENCE);
    try {
      this.model.send({ ...message, id });
    } catch { // no connection to the kernel
      this.say({ text: SILENT, kind: "error" });
    }
  }

  ask(action, value = null) {
    this.tell({ event: "do", action, value, photo: this.info.name });
  }

  // Here at once, in Python and in other views as soon as may be. What Python says before it has got the wish is of earlier ones.
  set(name, value) {
    if (value === this.model.get(name)) return;
    const id = randomId();
    this.wishes.set(name, { id, value });
    this.model.set(name, value, { wished: true });
    this.tell({ event: "set", name, value }, id);
  }

  insist(name, { wished }) {
    if (!wished && this.wishes.has(name)) this.model.set(name, this.wishes.get(name).value, { wished: true });
  }

  // The threshold on its way to the model, which may take a while, or the one that it has.
  get threshold() {
    const wish = this.wishes.get("threshold"), { threshold = 0.5 } = this.model.get("state");
    return wish && wish.value !== threshold && performance.now() - wish.since < PATIENCE ? wish.value : threshold;
  }

  set threshold(value) {
    if (value === this.threshold) return;
    this.wishes.set("threshold", { value, since: performance.now() });
    this.ask("threshold", value);
    this.update();
  }

  click({ x, y, positive, photo = this.info.name }) {
    const last = this.told.at(-1);
    if (last && last.x === x && last.y === y && last.positive === positive) return; // the second of a double click says nothing new
    const id = randomId();
    this.pending.set(id, { x, y, positive, answered: false });
    this.tell({ event: "click", x, y, positive, photo }, id);
    this.redraw();
  }

  receive(message, buffers) {
    if (message.received) {
      this.pending.delete(message.received);
      this.unheard.delete(message.received);
      if (!this.unheard.size && this.status.textContent === SILENT) this.say(this.model.get("message"));
      for (const [name, { id }] of this.wishes) if (id === message.received) this.wishes.delete(name);
      this.redraw();
    } else if (message.thumbnail !== undefined) this.film.thumbnail(message.thumbnail, buffers[0]);
    else if (message.tile === this.id) this.loadTile(buffers[0]);
  }

  // --- points -----------------------------------------------------------------------------------------------------

  get points() {
    if (this.info.name !== this.model.get("photo_info").name) return []; // the photo is still to come
    return [...this.told, ...(this.provisional ? [this.provisional] : [])];
  }

  // Those that Python knows of, or is about to.
  get told() {
    return [...this.model.get("points"), ...this.pending.values()];
  }

  nearest([x, y], pane, within = 14) {
    let best = -1;
    this.model.get("points").forEach((point, index) => {
      const [px, py] = pane.place(point), away = Math.hypot(px - x, py - y);
      if (point.answered && away < within) [best, within] = [index, away];
    });
    return best;
  }

  hover(pane, event) {
    const { paneX, paneY } = pane.toPhoto(event);
    [this.mouse, this.mousePane] = [[paneX, paneY], pane];
    const erasing = event.altKey || this.model.get("tool") === "erase";
    const hovered = erasing ? this.nearest(this.mouse, pane) : -1;
    if (hovered !== this.hovered) {
      this.hovered = hovered;
      this.redraw();
    }
  }

  deleteAt(pane, event) {
    const { paneX, paneY } = pane.toPhoto(event);
    this.deleteNearest([paneX, paneY], pane);
  }

  deleteNearest(place, pane) {
    const point = this.model.get("points")[place ? this.nearest(place, pane) : -1];
    if (point) this.ask("delete", [point.x, point.y, point.positive]); // not its number, which is another after a deletion
    else this.say({ text: "There is no point there to delete.", kind: "" });
    this.hovered = -1;
  }

  // --- looking ----------------------------------------------------------------------------------------------------

  pan(pane, dx, dy) {
    this.view.x -= dx / pane.scale;
    this.view.y -= dy / pane.scale;
    this.viewChanged();
  }

  zoomAt(pane, event, factor) {
    const { x, y } = pane.toPhoto(event), zoom = clamp(this.view.zoom * factor, 1, this.view.most);
    const share = this.view.zoom / zoom; // what is under the mouse stays there
    this.view.x = x - (x - this.view.x) * share;
    this.view.y = y - (y - this.view.y) * share;
    this.view.zoom = zoom;
    this.viewChanged();
  }

  zoomBy(factor) {
    const box = this.learning.canvas.getBoundingClientRect(), { cursor } = this;
    if (cursor) [this.view.x, this.view.y] = [cursor.x + 0.5, cursor.y + 0.5];
    this.zoomAt(this.learning, { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 }, factor);
  }

  // Move the view, not farther than it takes to see this pixel at some distance from the edge.
  keepInSight({ x, y }) {
    const { width, height, scale } = this.learning, reach = (side) => Math.max(0, side / 2 - 24) / scale;
    this.view.x = clamp(this.view.x, x + 0.5 - reach(width), x + 0.5 + reach(width));
    this.view.y = clamp(this.view.y, y + 0.5 - reach(height), y + 0.5 + reach(height));
    this.viewChanged();
  }

  fit() {
    this.view.fit(this.info);
    this.viewChanged();
  }

  viewChanged() {
    this.view.keepInside();
    this.root.classList.toggle("ils-zoomed", this.view.zoom > 1);
    this.redraw();
    this.askDetailSoon();
  }

  // Where the screen has many more pixels than the canvas, lines would be coarse, and the photo may have more to show; where it has
  // far fewer, lines would break up. Then ask for the part in sight alone, pixel for pixel.
  askDetailSoon() {
    clearTimeout(this.detailTimer);
    this.detailTimer = setTimeout(() => requestAnimationFrame(() => this.askDetail()), 150); // after a frame that is due
  }

  askDetail() {
    const pane = this.learning, { info } = this;
    if (!pane.whole || !info.name || !pane.width || this.controller.signal.aborted) return;
    const tell = (box, density) => {
      this.requests = (this.requests ?? 0) + 1; // so that what Python says of it is news, even if it is the same part
      const about = { view: this.id, photo: info.name, request: this.requests, ratio: pane.ratio };
      this.model.send({ event: "detail", box, density, ...about });
    };
    if (pane.magnification > 0.6 && pane.magnification < 1.4) {
      if (this.detail) tell(null, 0);
      this.detail = null;
      return this.redraw();
    }
    const box = pane.visible(), [left, top, right, bottom] = box, [across, down] = [0.12 * (right - left), 0.12 * (bottom - top)];
    const density = pane.scale * pane.ratio, known = this.detail;
    const covered = known && box.every((value, i) => (i < 2 ? value >= known.box[i] : value <= known.box[i]));
    if (!covered || known.density !== density) {
      tell([left - across, top - down, right + across, bottom + down], density);
    }
  }

  // Python says which part it is about to draw; it is shown when its masks and the photo there have come.
  detailChanged() {
    const { view, photo, box, density, request } = this.model.get("detail");
    const mine = view === this.id && photo === this.info.name && request === this.requests;
    this.detail = mine ? { box, density, masks: false, tile: false } : null;
    this.redraw();
  }

  detailDrawn(what) {
    if (!this.detail) return;
    Object.assign(this.detail, what);
    this.redraw();
  }

  async loadTile(data) {
    const address = URL.createObjectURL(new Blob([bytesOf(data)])), { detail } = this;
    const tiles = [this.learning.tile, this.fixed.tile];
    for (const tile of tiles) tile.src = address;
    if (this.tileAddress) URL.revokeObjectURL(this.tileAddress);
    this.tileAddress = address;
    await Promise.all(tiles.map((tile) => tile.decode())).catch(() => {}); // another has come in the meantime
    if (detail === this.detail) this.detailDrawn({ tile: true });
  }

  // What the canvas shows is the photo that was spoken of last.
  photoDrawn() {
    const info = this.model.get("photo_info"), other = info.name !== this.info.name || info.width !== this.info.width;
    if (!info.name) return;
    this.info = info;
    if (other) {
      this.view.fit(info);
      this.cursor = this.detail = null;
      for (const pane of [this.learning, this.fixed]) pane.label(info.name);
      this.spoken.textContent = `Photo ${info.name}`;
      this.resize();
    }
    this.redraw();
  }

  resize() {
    const width = this.stage.clientWidth, { info } = this;
    if (!width) return;
    if (info.name && !this.shape) this.shape = clamp(info.height / info.width, 0.5, 0.8); // once: nothing shall jump later
    const across = this.model.get("compare") ? width / 2 : width;
    const height = Math.round(clamp(across * (this.shape ?? 0.66), across < width ? 400 : 240, Math.max(300, 0.6 * window.innerHeight)));
    this.panesBox.style.height = `${height}px`;
    this.root.style.setProperty("--ils-height", `${height}px`);
    this.redraw();
    this.askDetailSoon();
  }

  redraw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      const { model, detail } = this;
      const look = {
        points: this.points, hovered: this.hovered, cursor: this.cursor, compare: model.get("compare"),
        showPoints: model.get("show_points"), detail: detail?.masks && detail.tile ? detail.box : null,
      };
      for (const pane of this.panes) pane.draw(look);
      this.parts[2].update();
      this.root.dataset.photo = this.info.name;
      this.root.dataset.detail = Boolean(look.detail);
    });
  }

  update() {
    const compare = this.model.get("compare"), { adapt } = this.model.get("state");
    this.panes = compare ? [this.learning, this.fixed] : [this.learning];
    this.fixed.element.hidden = this.legend.hidden = !compare;
    this.learning.title.textContent = compare ? (adapt === "none" ? "this model (not learning)" : `learning (${adapt})`) : "";
    this.learning.title.hidden = !compare;
    this.root.dataset.tool = this.model.get("tool");
    const focused = this.root.contains(document.activeElement) ? document.activeElement : null;
    this.parts.forEach((part) => part.update());
    // The focus would fall to the page, and the keys to JupyterLab.
    if (focused && (focused.disabled || !focused.isConnected || focused.closest("[hidden], .ils-away"))) this.focusPhoto();
    this.redraw();
  }

  showProgress() {
    const [step, steps] = this.model.get("progress");
    this.bar.hidden = steps === undefined;
    if (steps !== undefined) {
      this.bar.firstElementChild.style.width = `${(100 * (step + 1)) / (steps + 1)}%`;
      setAttributes(this.bar, { "aria-valuemin": 0, "aria-valuemax": steps, "aria-valuenow": step });
    }
  }

  say({ text = "", kind = "" }) {
    this.status.textContent = text;
    this.status.dataset.kind = kind;
    this.status.title = text;
  }

  toggleHelp(open = this.help.hidden) {
    this.help.hidden = !open;
    if (open) this.help.querySelector("button").focus({ preventScroll: true });
    else this.focusPhoto();
  }

  focusPhoto() {
    this.learning.canvas.focus({ preventScroll: true });
  }
}

function render({ model, el }) {
  // It can have the focus: a press on a caption or a greyed button would else give the keys to JupyterLab, where x cuts the cell.
  const root = make("div", { class: "ilsegkit", tabindex: -1 });
  el.append(root);
  const ui = new Interface(model, root);
  return () => ui.close();
}

export default { render };
