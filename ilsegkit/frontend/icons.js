// Small pictures for buttons, and the two helpers that build the page.

const ICONS = {
  undo: "M9 14 4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3",
  redo: "m15 14 5-5-5-5M20 9H10a6 6 0 0 0 0 12h3",
  reset: "M3 6h18M8 6V4h8v2M6 6l1 15h10l1-15M10 11v6M14 11v6",
  check: "m4 12 6 6L20 6",
  stop: "M7 7h10v10H7z",
  compare: "M3 5h8v14H3zM13 5h8v14h-8z",
  chart: "M4 20V4M4 20h16M8 16l4-5 3 3 5-7",
  help: "M9 9a3 3 0 1 1 4 3c-1 .5-1 1-1 2M12 18h.01M12 22a10 10 0 1 0 0-20 10 10 0 0 0 0 20z",
  mask: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
  points: "M7 7h.01M17 8h.01M9 17h.01M17 17h.01M12 12h.01",
  outline: "M4 12c0-6 4-8 8-8s8 3 8 8-3 8-8 8-8-3-8-8z",
  colour: "M12 3c4 5 6 7.500 6 11a6 6 0 0 1-12 0c0-3.500 2-6 6-11z",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  previous: "m15 5-7 7 7 7",
  next: "m9 5 7 7-7 7",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  close: "m6 6 12 12M18 6 6 18",
  erase: "M8 20h12M5 13l8-8 6 6-9 9H8l-4-4a1.500 1.500 0 0 1 0-2z",
};

const SVG = "http://www.w3.org/2000/svg";

// An element: make("div", {class: "x", onclick: f}, "text", child).
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  setAttributes(element, attributes);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function setAttributes(element, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
}

function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  setAttributes(element, attributes);
  element.append(...children);
  return element;
}

function icon(name) {
  const path = svg("path", { d: ICONS[name] });
  return svg("svg", { viewBox: "0 0 24 24", class: "ils-icon", "aria-hidden": "true" }, path);
}

const rgb = (colour, alpha = 1) => `rgba(${colour.join(",")},${alpha})`;
const bytesOf = (view) => (view ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : new Uint8Array());
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const randomId = () => (crypto.randomUUID ? crypto.randomUUID() : String(Math.random())); // the former only on secure pages
