// One canvas: the photo under the masks and points, at any zoom. Several panes share a scene and a view.

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

class Pane {
  constructor(scene, view, kind, title) {
    Object.assign(this, { scene, view, kind });
    this.canvas = make("canvas", {
      class: "ils-canvas", tabindex: 0, role: "application", "data-kind": kind,
      "aria-label": "Photo to click on. Arrow keys move a cursor, space clicks, h shows all keys.",
    });
    this.title = make("div", { class: "ils-pane-title" }, title);
    this.element = make("div", { class: "ils-pane" }, this.canvas, this.title);
  }

  // Width and height in CSS pixels, and the canvas at the screen's own resolution.
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

  draw(look) {
    if (!this.element.clientWidth || !this.element.clientHeight) return; // out of sight: drawn when it comes back
    this.measure();
    const context = this.canvas.getContext("2d"), { scene, scale, ratio } = this, { info } = this.view;
    // What is in the picture, for whoever measures how long it takes.
    Object.assign(this.canvas.dataset, { early: scene.masks.early ?? false, answered: look.points.filter((p) => p.answered).length });
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!scene.photo) return;
    // From here on in pixels of the photo.
    context.setTransform(scale * ratio, 0, 0, scale * ratio, this.left * ratio, this.top * ratio);
    context.imageSmoothingEnabled = scale < 2;
    context.imageSmoothingQuality = "high";
    context.drawImage(scene.photo, 0, 0, info.width, info.height);
    if (scene.tile) {
      const [left, top, right, bottom] = scene.tile.box;
      context.drawImage(scene.tile.bitmap, left, top, right - left, bottom - top);
    }
    context.imageSmoothingEnabled = false;
    if (look.showMask) {
      if (scene.objects) this.drawObjects(context, look);
      const mask = scene.masks[this.kind];
      if (mask) this.drawMask(context, mask, look);
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (look.showPoints) look.points.forEach((point, index) => this.drawPoint(context, point, index === look.hovered));
    if (look.compare) this.circleLast(context, look.points);
    if (look.cursor) this.drawCursor(context, look.cursor);
  }

  drawObjects(context, look) {
    const { fill, width, height, outlines, colourOf } = this.scene.objects, { info } = this.view;
    if (!look.outlineOnly && !look.compare) { // what has changed shall stand out
      context.globalAlpha = look.opacity * 0.7;
      context.drawImage(fill, 0, 0, info.width, info.height);
      context.globalAlpha = 1;
    }
    for (const [label, path] of outlines) this.stroke(context, path, width, height, rgb(colourOf(label)), 2.5);
  }

  drawMask(context, mask, look) {
    const { masks } = this.scene, { info } = this.view;
    if (!look.outlineOnly) {
      context.globalAlpha = look.opacity * (mask.changes ? 0.6 : 1);
      context.drawImage(mask.fill, 0, 0, info.width, info.height);
    }
    if (mask.changes) {
      context.globalAlpha = 0.75;
      context.drawImage(mask.changes, 0, 0, info.width, info.height);
    }
    context.globalAlpha = 1;
    if (!mask.outline) return;
    this.stroke(context, mask.outline, masks.width, masks.height, "white", 3.5);
    this.stroke(context, mask.outline, masks.width, masks.height, rgb(look.edge), 2, masks.early);
  }

  // A line of the same width on the screen at every zoom; dashed while the model is still learning.
  stroke(context, path, width, height, colour, line, dashed = false) {
    const { info } = this.view, unit = width / info.width / this.scale; // of the mask's pixels to one of the screen
    context.save();
    context.scale(info.width / width, info.height / height);
    context.lineWidth = line * unit;
    context.lineCap = "round";
    context.strokeStyle = colour;
    if (dashed) context.setLineDash([6 * unit, 5 * unit]);
    context.stroke(path);
    context.restore();
  }

  place(point) {
    return [(point.x + 0.5) * this.scale + this.left, (point.y + 0.5) * this.scale + this.top];
  }

  // A blue disk with a plus, or an orange square with a minus: they differ in shape, too. Smaller if not made by the user.
  drawPoint(context, point, hovered) {
    const [x, y] = this.place(point), { colours } = this.scene.model.get("fixed_settings");
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
