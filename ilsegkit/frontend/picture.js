// What there is to draw: the photo, sharper tiles of it, masks as rasters to fill and as outlines to stroke.

function unpack(view, count) {
  const packed = bytesOf(view);
  const mask = new Uint8Array(count);
  for (let i = 0; i < count; i++) mask[i] = (packed[i >> 3] >> (7 - (i & 7))) & 1;
  return mask;
}

// A canvas of the mask's size, coloured by paint(i), which gives [r, g, b] or null.
function rasterize(width, height, paint) {
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const colour = paint(i);
    if (colour) {
      image.data.set(colour, 4 * i);
      image.data[4 * i + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

// The borders of the regions, along the edges of pixels: one path for each value but 0, in units of the mask's pixels.
function outlines(mask, width, height) {
  const paths = new Map();
  const pathOf = (value) => {
    if (!paths.has(value)) paths.set(value, new Path2D());
    return paths.get(value);
  };
  // Follow each line of edges between pixels a (before it) and b (behind it), joining steps of equal neighbours.
  const follow = (lines, length, before, behind, draw) => {
    for (let line = 0; line <= lines; line++) {
      let start = 0, a = 0, b = 0;
      for (let step = 0; step <= length; step++) {
        const na = step < length ? before(line, step) : 0, nb = step < length ? behind(line, step) : 0;
        if (na === a && nb === b) continue;
        if (a !== b) for (const value of [a, b]) if (value) draw(pathOf(value), line, start, step);
        [start, a, b] = [step, na, nb];
      }
    }
  };
  const at = (x, y) => (x >= 0 && y >= 0 && x < width && y < height ? mask[y * width + x] : 0);
  follow(height, width, (y, x) => at(x, y - 1), (y, x) => at(x, y), (path, y, from, to) => {
    path.moveTo(from, y);
    path.lineTo(to, y);
  });
  follow(width, height, (x, y) => at(x - 1, y), (x, y) => at(x, y), (path, x, from, to) => {
    path.moveTo(x, from);
    path.lineTo(x, to);
  });
  return paths;
}

// All that the panes draw; kept up to date with the model, and redrawn by `changed`.
class Scene {
  constructor(model, changed) {
    this.model = model;
    this.changed = changed;
    this.info = { name: "", width: 1, height: 1 };
    this.photo = null;
    this.tile = null;
    this.masks = {};
    this.serial = 0;
  }

  // Whether the photo is the one that masks and points are for: it takes a moment to be decoded.
  get isCurrent() {
    return this.info.name === this.model.get("photo_info").name;
  }

  async loadPhoto() {
    const serial = ++this.serial, info = this.model.get("photo_info"), data = bytesOf(this.model.get("photo"));
    if (!data.length) return;
    const bitmap = await createImageBitmap(new Blob([data]));
    if (serial !== this.serial) return; // another photo has come in the meantime
    const other = info.name !== this.info.name || info.width !== this.info.width;
    [this.info, this.photo, this.tile] = [info, bitmap, null];
    this.loadMasks();
    this.loadObjects();
    this.changed(other);
  }

  async loadTile(box, photo, data) {
    const bitmap = await createImageBitmap(new Blob([bytesOf(data)]));
    if (photo !== this.info.name) return;
    this.tile = { box, bitmap };
    this.changed(false);
  }

  loadMasks() {
    const layers = this.model.get("layers"), settings = this.model.get("fixed_settings");
    if (!layers.size || !this.isCurrent) return;
    const [width, height] = layers.size, count = width * height;
    this.masks = { width, height, early: layers.early };
    const colour = settings.mask_colours[this.model.get("colour") % settings.mask_colours.length];
    const part = (name, previous) => {
      if (!layers[name]) return null;
      const mask = unpack(layers[name], count), before = unpack(layers[previous], count);
      const { gained, lost } = settings.colours;
      return {
        fill: rasterize(width, height, (i) => (mask[i] ? colour : null)),
        outline: outlines(mask, width, height).get(1),
        changes: this.model.get("compare")
          ? rasterize(width, height, (i) => (mask[i] === before[i] ? null : mask[i] ? gained : lost))
          : null,
      };
    };
    this.masks.learning = part("mask", "before");
    this.masks.fixed = part("fixed", "fixed_before");
    this.changed(false);
  }

  loadObjects() {
    const objects = this.model.get("objects"), colours = this.model.get("fixed_settings").object_colours;
    if (!this.isCurrent) return;
    this.objects = null;
    const labels = bytesOf(objects.labels);
    if (labels.length) {
      const [width, height] = objects.size;
      const colourOf = (label) => colours[(label - 1) % colours.length];
      this.objects = {
        width, height, colourOf,
        fill: rasterize(width, height, (i) => (labels[i] ? colourOf(labels[i]) : null)),
        outlines: outlines(labels, width, height),
      };
    }
    this.changed(false);
  }
}
