// Where the canvases that Python draws on are put, and above them a clear sheet: it takes the clicks, and shows them at once.

// Where the user looks: zoom 1 fits the photo into the pane; x and y are the pixel of the photo at the pane's centre.
class View {
  constructor(info) {
    this.fit(info);
  }
  fit(info) {
    [this.info, this.zoom, this.x, this.y] = [info, 1, info.width / 2, info.height / 2];
  }
  get most() {
    return Math.max(8, (Math.max(this.info.width, this.info.height) / 600) * 24);
  }
  // Half of the photo may be moved out of sight, no more; at zoom 1 it stays in the middle.
  keepInside() {
    const slack = this.zoom > 1 ? 0.5 - 0.25 / this.zoom : 0;
    this.x = clamp(this.x, this.info.width * (0.5 - slack), this.info.width * (0.5 + slack));
    this.y = clamp(this.y, this.info.height * (0.5 - slack), this.info.height * (0.5 + slack));
  }
}

const POINT = 7; // radius on the screen

// One model's view: its canvas of the whole photo, over that a sharper one of the part in sight, and the sheet. Panes share a view.
class Pane {
  constructor(settings, view, kind) {
    Object.assign(this, { settings, view, kind });
    this.canvas = make("canvas", { class: "ils-canvas", tabindex: 0, role: "application", "data-kind": kind });
    this.label("");
    this.title = make("div", { class: "ils-pane-title" });
    this.tile = make("img", { class: "ils-sheet", alt: "", "aria-hidden": "true", hidden: true });
    this.element = make("div", { class: "ils-pane" }, this.tile, this.canvas, this.title);
  }

  // Which photo it is, for a screen reader.
  label(name) {
    const model = this.kind === "fixed" ? "the fixed model" : "the model that learns";
    this.canvas.setAttribute("aria-label",
      `Photo ${name} to click on, with ${model}. Arrow keys move a cursor, space clicks, h shows all keys.`);
  }

  // The ipycanvases, as soon as there are views of them. The mouse and the keys shall not reach them.
  embed(whole, part) {
    Object.assign(this, { whole, part });
    for (const canvas of [whole, part]) {
      canvas.classList.add("ils-sheet");
      canvas.removeAttribute("tabindex");
      canvas.setAttribute("aria-hidden", "true");
    }
    this.tile.before(whole);
    this.tile.after(part);
  }

  // Width and height in CSS pixels, and the sheet at the screen's own resolution.
  measure() {
    const ratio = window.devicePixelRatio || 1;
    const width = this.element.clientWidth, height = this.element.clientHeight;
    const [across, down] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
    if (this.canvas.width !== across) this.canvas.width = across;
    if (this.canvas.height !== down) this.canvas.height = down;
    Object.assign(this, { width, height, ratio });
    const { info, zoom, x, y } = this.view;
    this.scale = Math.min(width / info.width, height / info.height) * zoom || 1;
    this.left = width / 2 - x * this.scale;
    this.top = height / 2 - y * this.scale;
    Object.assign(this.canvas.dataset, { scale: this.scale, left: this.left, top: this.top, ratio });
  }

  // The point of the photo under the mouse, in pixels from its corner. Shares, so that any scaling by the page is undone.
  toPhoto(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * this.width;
    const y = ((event.clientY - box.top) / box.height) * this.height;
    return { x: (x - this.left) / this.scale, y: (y - this.top) / this.scale, paneX: x, paneY: y };
  }

  // The part of the photo that is in sight: [left, top, right, bottom].
  visible() {
    const { width, height } = this.view.info, { left, top, scale } = this;
    return [
      Math.max(0, -left / scale), Math.max(0, -top / scale),
      Math.min(width, (this.width - left) / scale), Math.min(height, (this.height - top) / scale),
    ];
  }

  // Pixels of the screen for each of the canvas with the whole photo.
  get magnification() {
    return (this.scale * this.ratio * this.view.info.width) / (this.whole?.width || 1);
  }

  draw(look) {
    if (!this.element.clientWidth || !this.element.clientHeight) return; // out of sight: drawn when it comes back
    this.measure();
    const context = this.canvas.getContext("2d"), { ratio } = this, { info } = this.view;
    // What is in the picture, for whoever measures how long it takes.
    this.canvas.dataset.answered = look.points.filter((p) => p.answered).length;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.whole || !info.name) return;
    this.put(this.whole, [0, 0, info.width, info.height], this.whole.width, this.whole.height);
    this.tile.hidden = this.part.hidden = !look.detail;
    if (look.detail) {
      this.put(this.tile, look.detail, this.tile.naturalWidth, this.tile.naturalHeight);
      this.put(this.part, look.detail, this.part.width, this.part.height);
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (look.showPoints) look.points.forEach((point, index) => this.drawPoint(context, point, index === look.hovered));
    if (look.compare) this.circleLast(context, look.points);
    if (look.cursor) this.drawCursor(context, look.cursor);
  }

  // Let a picture of so many pixels cover a part of the photo.
  put(picture, [left, top, right, bottom], across, down) {
    const { scale, ratio } = this, [wide, high] = [((right - left) * scale) / across, ((bottom - top) * scale) / down];
    picture.style.transform = `translate(${left * scale + this.left}px, ${top * scale + this.top}px) scale(${wide}, ${high})`;
    picture.style.imageRendering = Math.min(wide, high) * ratio < 2 ? "auto" : "pixelated";
  }

  place(point) {
    return [(point.x + 0.5) * this.scale + this.left, (point.y + 0.5) * this.scale + this.top];
  }

  // A blue disk with a plus, or an orange square with a minus: they differ in shape, too. Smaller if not made by the user.
  drawPoint(context, point, hovered) {
    const [x, y] = this.place(point), { colours } = this.settings;
    const r = (point.seed ? 0.65 : 1) * (hovered ? POINT + 3 : POINT);
    context.save();
    context.lineWidth = 2;
    context.globalAlpha = point.answered === false ? 0.85 : 1;
    context.beginPath();
    if (point.positive) context.arc(x, y, r, 0, 2 * Math.PI);
    else context.rect(x - r + 1, y - r + 1, 2 * r - 2, 2 * r - 2);
    context.fillStyle = rgb(point.positive ? colours.object : colours.background);
    context.strokeStyle = point.positive ? "white" : "black";
    context.fill();
    context.stroke();
    context.beginPath();
    const arm = r * 0.55;
    context.moveTo(x - arm, y);
    context.lineTo(x + arm, y);
    if (point.positive) {
      context.moveTo(x, y - arm);
      context.lineTo(x, y + arm);
    }
    context.stroke();
    context.restore();
  }

  circleLast(context, points) {
    const last = points.at(-1);
    if (!last) return;
    const [x, y] = this.place(last);
    for (const [colour, line] of [["black", 5], ["white", 2.5]]) {
      context.beginPath();
      context.arc(x, y, 2.6 * POINT, 0, 2 * Math.PI);
      context.lineWidth = line;
      context.strokeStyle = colour;
      context.stroke();
    }
  }

  drawCursor(context, cursor) {
    const [x, y] = this.place(cursor);
    for (const [colour, line] of [["black", 4], ["white", 2]]) {
      context.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + 5 * dx, y + 5 * dy);
        context.lineTo(x + 16 * dx, y + 16 * dy);
      }
      context.lineWidth = line;
      context.strokeStyle = colour;
      context.stroke();
    }
  }
}
