"""What the mouse, a pen, a finger and the keyboard do on an ipycanvas, told to Python by a small piece of JavaScript.

ipycanvas itself reports only where, not which button; it lets JupyterLab open its menu on a right click, measures the
canvas before focusing it scrolls the page, sends a message for each mouse move, and swallows Tab and Ctrl+S.
"""

import anywidget
import traitlets

__all__ = ["CanvasEvents"]

_ESM = """
// Listening on the window, in the capture phase, comes before ipycanvas (on the canvas) and JupyterLab (on the document),
// and covers every view of the canvas, whenever it is attached.
const TAP = 10; // a finger that moves farther than this many pixels is scrolling

function initialize({ model }) {
  const fingers = new Map();
  const controller = new AbortController();
  const canvasOf = (event) => event.target instanceof Element && event.target.closest("canvas." + model.get("css_class"));

  const click = (canvas, event) => {
    // Focusing may scroll, and then the event's coordinates would no longer fit the canvas.
    canvas.focus({ preventScroll: true });
    const box = canvas.getBoundingClientRect();
    const background = event.button === 2 || event.shiftKey || event.ctrlKey; // Ctrl+click is a Mac's right click
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    model.send({ event: "click", x, y, background });
  };

  const handlers = {
    pointerdown(event, canvas) {
      event.stopImmediatePropagation();
      if (event.pointerType === "touch") fingers.set(event.pointerId, [event.clientX, event.clientY]);
      else if (event.button === 0 || event.button === 2) click(canvas, event);
    },
    pointerup(event, canvas) {
      event.stopImmediatePropagation();
      const start = fingers.get(event.pointerId);
      fingers.delete(event.pointerId);
      if (start && Math.hypot(event.clientX - start[0], event.clientY - start[1]) < TAP) click(canvas, event);
    },
    pointercancel(event) { fingers.delete(event.pointerId); },
    // Without preventDefault the browser would select text, and focus (and scroll) by itself.
    mousedown(event) { event.preventDefault(); event.stopImmediatePropagation(); },
    contextmenu(event) { event.preventDefault(); event.stopImmediatePropagation(); },
    keydown(event, canvas) {
      event.stopImmediatePropagation();
      const combined = event.ctrlKey || event.metaKey || event.altKey;
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      if (!combined && model.get("shortcuts").includes(key)) {
        event.preventDefault();
        if (!event.repeat) model.send({ event: "key", key });
      } else if (combined || event.key.length > 1) {
        // JupyterLab shall see Ctrl+S and the like; what it does not handle, Tab for one, the browser still does.
        const copy = new KeyboardEvent("keydown", event);
        if (!canvas.parentElement.dispatchEvent(copy)) event.preventDefault();
      }
    },
  };
  // ipycanvas would send these to Python, and would keep the page from scrolling.
  for (const name of ["mousemove", "mouseup", "mouseout", "wheel", "touchstart", "touchmove", "touchend", "touchcancel"]) {
    handlers[name] = (event) => event.stopImmediatePropagation();
  }
  for (const [name, handler] of Object.entries(handlers)) {
    const listener = (event) => { const canvas = canvasOf(event); if (canvas) handler(event, canvas); };
    window.addEventListener(name, listener, { capture: true, signal: controller.signal });
  }
  return () => controller.abort();
}

export default { initialize, render() {} };
"""

_CSS = """
.ilsegkit-canvas { cursor: crosshair; touch-action: manipulation; }
/* Where keys go; inside, so that no page cuts it off. */
.ilsegkit-canvas:focus { outline: 2px solid #0072b2; outline-offset: -2px; }
"""


class CanvasEvents(anywidget.AnyWidget):
    """Sends ``{"event": "click", "x", "y", "background"}`` and ``{"event": "key", "key"}`` messages for a canvas.

    Clicks are in shares of the canvas's width and height. It shows nothing, but must be in the page with the canvas.

    Parameters
    ----------
    css_class : str
        A class that only this canvas has; ``canvas.add_class(...)`` gives it one.
    shortcuts : list of str
        Keys to report, as JavaScript names them, letters in lower case. All others stay with the page.
    """

    _esm = _ESM
    _css = _CSS
    css_class = traitlets.Unicode().tag(sync=True)
    # Not `keys`: a trait of that name breaks ipywidgets.
    shortcuts = traitlets.List(traitlets.Unicode()).tag(sync=True)
