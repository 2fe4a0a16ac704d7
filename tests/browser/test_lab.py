"""The widget in JupyterLab, as a person uses it: real clicks in a real browser, and the pixels that follow.

The session is `fake_session.FakeSession`: a click makes a square of known size, so every pixel is known beforehand.
"""

import json
import re
import time

import numpy as np
import pytest
from PIL import Image

from ilsegkit.drawing import COLOURS, MASK_COLOURS, OBJECT_COLOURS

pytestmark = pytest.mark.browser

GREY = 128
BLUE, ORANGE, SKY = COLOURS["object"], COLOURS["background"], MASK_COLOURS[0]
CELL = """
import numpy as np
from fake_session import FakeSession
from ilsegkit.widget import ClickSegmenter

grey = np.full((160, 320, 3), 128, np.uint8)
grey[:8, :8] = (255, 0, 255)
photos = {"wide": grey, "tall": grey.transpose(1, 0, 2)[:, ::2].copy(), "third": grey[:100]}
session = FakeSession(reach=30, steps=10, pause=0.02, fails_beyond=310)
segmenter = ClickSegmenter(session, photos, folder="done", classes=["cat", "dog"])
segmenter
"""


def like(pixels, colour, tolerance=8) -> np.ndarray:
    return (np.abs(np.asarray(pixels).astype(int) - np.array(colour)) <= tolerance).all(-1)


def blended(colour, opacity) -> tuple[int, ...]:
    return tuple(round(GREY + (part - GREY) * opacity) for part in colour)


MASK, FINISHED = blended(SKY, 0.45), blended(OBJECT_COLOURS[0], 0.45 * 0.7)


@pytest.fixture(scope="module")
def notebook(open_notebook):
    notebook = open_notebook("fake.ipynb", CELL, has_touch=True)
    notebook.run_all()
    return notebook


@pytest.fixture
def fresh(notebook):
    """The wide photo at its fit, nothing on it, everything as at first; and after the test no error in the page."""
    yield from reset(notebook)


def reset(notebook):
    notebook.page.evaluate("document.activeElement?.blur()")
    root = notebook.root
    for label, pressed in (("Compare with the fixed model", "true"), ("Insights", "true"), ("Outline only", "true")):
        if notebook.button(label).get_attribute("aria-pressed") == pressed:
            notebook.button(label).click()
    for label in ("Show mask", "Show points"):
        if notebook.button(label).get_attribute("aria-pressed") == "false":
            notebook.button(label).click()
    root.get_by_role("button", name="Object", exact=True).click()
    notebook.button("IA+SA").click()
    root.get_by_label("Threshold").fill("0.5")
    if root.get_attribute("data-photo") != "wide":
        notebook.wait(lambda: notebook.button("Stop").is_hidden())
        root.locator(".ils-frame[data-name=wide]").click()
        notebook.wait(lambda: root.get_attribute("data-photo") == "wide")
    while root.locator(".ils-chip").count():
        count = root.locator(".ils-chip").count()
        root.get_by_role("button", name=re.compile("^Remove")).first.click()
        notebook.wait(lambda count=count: root.locator(".ils-chip").count() < count)
    if notebook.button("Reset").is_enabled():
        notebook.button("Reset").click()
    notebook.wait(lambda: notebook.button("Reset").is_disabled())
    notebook.button("Fit").click()
    notebook.wait(lambda: like(notebook.colour(160, 80), (GREY,) * 3, 1))
    notebook.pane().focus()
    notebook.errors.clear()
    notebook.sent.clear()
    yield notebook
    assert not notebook.errors


def record(notebook, name="wide") -> dict:
    """What is on disk."""
    return json.loads((notebook.server.folder / "done" / "clicks" / f"{name}.json").read_text())


def clicks_on_disk(notebook, count, name="wide") -> list:
    def there():
        left = record(notebook, name)["open"]
        return left is not None and len(left["clicks"]) == count

    notebook.wait(there)
    return record(notebook, name)["open"]["clicks"]


def has_focus(element) -> bool:
    return element.evaluate("element => element === document.activeElement")


def shows(notebook, x, y, colour, **options) -> None:
    """Wait for a colour where this pixel of the photo is."""
    try:
        notebook.wait(lambda: like(notebook.colour(x, y, **options), colour))
    except TimeoutError:
        raise AssertionError(f"({x}, {y}) is {notebook.colour(x, y, **options)}, not {colour}") from None


# --- clicks -----------------------------------------------------------------------------------------------------------


def test_left_right_and_shift_clicks(fresh, artefacts):
    fresh.click(100, 75)
    shows(fresh, 120, 95, MASK)
    shows(fresh, 99, 76, BLUE)  # in the disk, beside the plus
    fresh.click(150, 75, button="right")
    shows(fresh, 149, 76, ORANGE)
    assert fresh.page.locator(".lm-Menu:visible").count() == 0  # JupyterLab's menu stays away
    fresh.click(75, 75, modifiers=["Shift"])
    assert clicks_on_disk(fresh, 3) == [[100, 75, 1], [150, 75, 0], [75, 75, 0]]
    fresh.says("3 clicks")
    mask = like(fresh.pixels(), MASK)
    ratio = fresh.view()["scale"]
    assert mask.sum() == pytest.approx(14 * 61 * ratio**2, rel=0.15)  # of which the outline takes a part
    fresh.page.screenshot(path=artefacts / "lab-clicks.png")


def test_the_toggle_for_touch_and_pens(fresh):
    fresh.button("Background").click()
    fresh.click(100, 75)
    shows(fresh, 99, 76, ORANGE)
    fresh.button("Object").click()
    fresh.click(200, 75)
    assert clicks_on_disk(fresh, 2) == [[100, 75, 0], [200, 75, 1]]


def test_fast_clicks_all_arrive(fresh):
    for x in range(30, 230, 20):
        fresh.click(x, 120)
    assert [x for x, _, _ in clicks_on_disk(fresh, 10)] == list(range(30, 230, 20))
    fresh.says("10 clicks")
    stages = record(fresh)["open"]["stages"]
    assert stages[-1] is not None


def test_a_dot_is_there_at_once_while_the_kernel_is_busy(fresh):
    """Another cell runs and the model's first step takes long; the click is drawn all the same, and answered afterwards."""
    over = fresh.server.folder / "over"
    wait = "import pathlib, time\nwhile not pathlib.Path('over').exists(): time.sleep(0.02)"
    fresh.execute(f"session.gate.clear()\n{wait}\nsession.gate.set()", wait=False)
    fresh.wait(lambda: fresh.server.kernel(fresh.name)["execution_state"] == "busy")
    try:
        fresh.click(100, 75)
        shows(fresh, 99, 76, blended(BLUE, 0.85))  # paler until it is answered
    finally:
        over.touch()
    shows(fresh, 120, 95, MASK)
    over.unlink()


def test_moving_the_mouse_sends_nothing(fresh):
    fresh.page.wait_for_timeout(300)
    fresh.sent.clear()
    for i in range(30):
        fresh.page.mouse.move(*fresh.place(10 * i, 5 * i % 160))
    fresh.page.wait_for_timeout(300)
    assert not [frame for frame in fresh.sent if "comm_msg" in frame]


def test_an_exception_is_shown_below_the_photo(fresh):
    fresh.click(315, 50)
    fresh.says("too far to the right")
    shows(fresh, 314, 51, (GREY,) * 3)
    fresh.click(100, 75)
    shows(fresh, 120, 95, MASK)
    fresh.says("1 click ")


def test_a_model_s_thread_that_dies_says_so_and_is_replaced(fresh):
    fresh.execute("session.fail_with = SystemExit()")
    try:
        fresh.click(100, 75)
        fresh.says("died")
        shows(fresh, 99, 76, (GREY,) * 3)  # no dot is left of the click
        assert fresh.button("Stop").is_hidden()
    finally:
        fresh.execute("session.fail_with = None")
    fresh.click(200, 75)
    shows(fresh, 220, 95, MASK)
    assert clicks_on_disk(fresh, 1) == [[200, 75, 1]]


# --- fingers ----------------------------------------------------------------------------------------------------------

FINGERS = """(canvas, moves) => {
    const box = canvas.getBoundingClientRect();
    for (const [name, id, x, y] of moves) canvas.dispatchEvent(new PointerEvent(name, {bubbles: true, pointerType: "touch",
        pointerId: id, isPrimary: id === 7, clientX: box.left + x, clientY: box.top + y,
        buttons: name === "pointerup" ? 0 : 1}));
}"""


def test_a_tap_is_a_click_and_a_swipe_is_none(fresh):
    fresh.page.touchscreen.tap(*fresh.place(100, 75))
    shows(fresh, 120, 95, MASK)
    fresh.says("1 click ")
    fresh.pane().evaluate(FINGERS, [["pointerdown", 7, 50, 20], ["pointermove", 7, 50, 90], ["pointerup", 7, 50, 90]])
    fresh.page.wait_for_timeout(300)
    assert len(clicks_on_disk(fresh, 1)) == 1


def test_a_drag_is_no_click_and_a_double_click_is_one(fresh):
    fresh.page.mouse.move(*fresh.place(60, 60))
    fresh.page.mouse.down()
    fresh.page.mouse.move(*fresh.place(160, 120), steps=4)
    fresh.page.mouse.up()
    fresh.page.mouse.dblclick(*fresh.place(100, 75))
    fresh.says("1 click ")
    fresh.page.wait_for_timeout(300)
    assert clicks_on_disk(fresh, 1) == [[100, 75, 1]]


def test_two_fingers_zoom_and_make_no_click(fresh):
    before = fresh.view()["scale"]
    moves = [["pointerdown", 7, 300, 150], ["pointerdown", 8, 340, 150]]
    moves += [["pointermove", 7, 300 - step, 150] for step in range(10, 90, 10)]
    moves += [["pointerup", 7, 220, 150], ["pointerup", 8, 340, 150]]
    fresh.pane().evaluate(FINGERS, moves)
    fresh.wait(lambda: fresh.view()["scale"] > 2.5 * before)
    fresh.page.wait_for_timeout(200)
    assert record(fresh)["open"] is None


# --- undo, redo, delete, reset ----------------------------------------------------------------------------------------


def test_buttons(fresh):
    fresh.click(100, 75)
    shows(fresh, 120, 95, MASK)
    fresh.button("Undo").click()
    shows(fresh, 120, 95, (GREY,) * 3)
    fresh.button("Redo").click()
    shows(fresh, 120, 95, MASK)
    fresh.button("Reset").click()
    shows(fresh, 120, 95, (GREY,) * 3)
    fresh.button("Undo").click()  # a reset can be taken back
    shows(fresh, 120, 95, MASK)
    fresh.root.get_by_label("What the object is").select_option("dog")
    fresh.button("Finish object").click()
    shows(fresh, 120, 95, FINISHED)
    fresh.says("is finished and saved in 'done'")
    assert fresh.root.locator(".ils-chip").inner_text().split() == ["dog", "1", "1", "click"]
    fresh.root.get_by_label("What the object is").select_option("cat")


@pytest.mark.parametrize("how", ["Alt+click", "erase tool", "erase tool, by keys", "Delete"])
def test_a_single_point_is_deleted(fresh, how):
    for x in (60, 150, 240):
        fresh.click(x, 75)
    fresh.says("3 clicks")
    shows(fresh, 170, 95, MASK)
    if how == "Alt+click":
        fresh.click(151, 76, modifiers=["Alt"])
    elif how == "erase tool, by keys":
        fresh.press("e", *["ArrowLeft"] * 3, "ArrowUp", "Space")  # from the middle of the photo, (160, 80)
    elif how == "erase tool":
        fresh.press("e")
        fresh.click(149, 74)
    else:
        fresh.page.mouse.move(*fresh.place(151, 75))
        fresh.press("Delete")
    shows(fresh, 170, 95, (GREY,) * 3)
    assert [x for x, _, _ in clicks_on_disk(fresh, 2)] == [60, 240]
    fresh.press("z")
    shows(fresh, 170, 95, MASK)
    fresh.click(20, 20, modifiers=["Alt"])
    fresh.says("no point there")


def test_stop(fresh):
    fresh.execute("session.pause = 2")  # twenty seconds in all
    try:
        fresh.click(100, 75)
        fresh.wait(lambda: fresh.button("Stop").is_visible())
        shows(fresh, 120, 95, MASK)  # the quick answer
        began = time.monotonic()
        fresh.button("Stop").click()
        fresh.wait(lambda: fresh.button("Stop").is_hidden())
        assert time.monotonic() - began < 12
        fresh.says("1 click ")
    finally:
        fresh.execute("session.pause = 0.02")


# --- keys -------------------------------------------------------------------------------------------------------------


def test_keys_of_the_widget_and_of_the_page(fresh, artefacts):
    fresh.click(250, 30)
    shows(fresh, 260, 45, MASK)
    fresh.press("z")
    shows(fresh, 260, 45, (GREY,) * 3)
    fresh.press("y")
    shows(fresh, 260, 45, MASK)
    cells = fresh.page.locator(".jp-Cell").count()
    fresh.press("b", "x", "a", "d", "d")  # in JupyterLab's command mode: new cells, cut, delete
    fresh.click(250, 100)
    shows(fresh, 249, 101, ORANGE)
    fresh.press("b", "r")
    shows(fresh, 260, 45, (GREY,) * 3)
    assert fresh.page.locator(".jp-Cell").count() == cells
    fresh.press("h")
    assert fresh.root.get_by_role("dialog", name="Keys").is_visible()
    fresh.page.screenshot(path=artefacts / "lab-help.png")
    fresh.press("Escape")
    assert fresh.root.get_by_role("dialog", name="Keys").is_hidden()

    path = fresh.server.folder / fresh.name
    before = path.stat().st_mtime_ns
    fresh.press("Control+s")
    fresh.wait(lambda: path.stat().st_mtime_ns != before)
    assert has_focus(fresh.pane())
    fresh.press("Tab")
    fresh.wait(lambda: not has_focus(fresh.pane()))


def test_undo_on_the_photo_is_not_undo_in_a_cell(fresh):
    cell = fresh.page.locator(".jp-CodeCell .cm-content").first
    cell.focus()
    fresh.press("Control+End", "#")
    fresh.wait(lambda: "#" in cell.inner_text())
    fresh.click(100, 75)
    shows(fresh, 120, 95, MASK)
    fresh.press("Control+z")
    shows(fresh, 120, 95, (GREY,) * 3)
    fresh.press("Control+y")
    shows(fresh, 120, 95, MASK)
    fresh.press("Control+z")
    shows(fresh, 120, 95, (GREY,) * 3)
    fresh.press("Control+Shift+z")
    shows(fresh, 120, 95, MASK)
    assert "#" in cell.inner_text()
    cell.focus()
    fresh.press("Control+z")
    fresh.wait(lambda: "#" not in cell.inner_text())
    shows(fresh, 120, 95, MASK)


def test_clicking_by_keyboard_alone(fresh):
    fresh.press("ArrowRight", "ArrowRight", "ArrowUp")
    fresh.press("Space")
    [[x, y, label]] = clicks_on_disk(fresh, 1)
    assert label == 1
    assert (x, y) != (160, 80)
    shows(fresh, x + 15, y + 15, MASK)
    for _ in range(20):
        fresh.press("Shift+ArrowLeft")
    fresh.press("Shift+Space")
    assert clicks_on_disk(fresh, 2)[1] == [x - 20, y, 0]
    fresh.press("Enter")
    fresh.says("finished")
    # Where the photo is larger than the pane, it follows the cursor; and a screen reader says where that is.
    fresh.press(*"++++")
    fresh.wait(lambda: fresh.place(0, y)[0] < fresh.pane().bounding_box()["x"] - 100)
    spoken = fresh.root.locator(".ils-spoken")
    for _ in range(int(x)):
        fresh.press("ArrowLeft")
    assert spoken.inner_text() == f"x 0, y {y:g}"
    fresh.wait(lambda: fresh.place(0, y)[0] > fresh.pane().bounding_box()["x"])
    fresh.press("Space")
    shows(fresh, 20, y + 5, MASK)
    fresh.page.mouse.move(*fresh.place(10, y))
    assert spoken.inner_text() == f"x 0, y {y:g}"


def test_a_screen_reader_hears_the_photo_and_what_keys_do(fresh):
    spoken = fresh.root.locator(".ils-spoken")
    fresh.press("n")
    fresh.wait(lambda: spoken.inner_text() == "Photo tall")
    assert "Photo tall" in fresh.pane().get_attribute("aria-label")
    for key, heard in {
        "b": "Tool: background",
        "e": "Tool: erase",
        "m": "Mask off",
        "1": "Learning: fixed",
        "[": "Opacity 35%",
        "]": "Opacity 45%",
        ">": "Threshold 55%",
        "+": "Zoom 150%",
        "f": "Zoom 100%",
    }.items():
        fresh.press(key)
        assert spoken.inner_text() == heard
    fresh.press("e", "Space")  # shows where it would click
    assert spoken.inner_text().startswith("Cursor at x ")
    assert fresh.button("Undo").is_disabled()
    fresh.press("Space")
    fresh.says("1 click ")


def test_arrows_scroll_and_do_not_leave_the_widget(fresh):
    for place in (fresh.button("Insights"), fresh.button("Zoom in"), fresh.root.locator(".ils-frame").first):
        place.focus()
        fresh.press("ArrowDown", "ArrowUp")
        assert has_focus(place)
    fresh.page.set_viewport_size({"width": 640, "height": 320})
    try:
        fresh.pane().focus()
        fresh.press("h", "End")
        fresh.wait(lambda: fresh.root.locator(".ils-help").evaluate("help => help.scrollTop > 20"))
    finally:
        fresh.press("Escape")
        fresh.page.set_viewport_size({"width": 1280, "height": 1000})


def test_a_press_beside_the_buttons_does_not_give_the_keys_to_the_page(fresh):
    """There, m makes text of the cell, and x cuts it."""
    places = [fresh.root.locator(".ils-caption").first, fresh.root.locator(".ils-status"), fresh.button("Redo")]
    for place in places:
        place.click(force=True)
        shown = fresh.button("Show mask").get_attribute("aria-pressed")
        fresh.press("m", "x")
        fresh.wait(lambda shown=shown: fresh.button("Show mask").get_attribute("aria-pressed") != shown)
    fresh.page.wait_for_timeout(300)
    assert fresh.root.count() == 1
    fresh.press("m")


def test_keys_do_nothing_to_what_the_help_covers(fresh):
    fresh.click(100, 75)
    fresh.says("1 click ")
    fresh.press("h")
    fresh.wait(lambda: fresh.root.locator(".ils-help").is_visible())
    fresh.press("r", "z", "Tab")
    assert has_focus(fresh.root.locator(".ils-help button"))
    fresh.press("Escape")
    fresh.wait(lambda: fresh.root.locator(".ils-help").is_hidden())
    fresh.page.wait_for_timeout(300)
    assert len(clicks_on_disk(fresh, 1)) == 1


def test_after_a_button_the_keys_are_the_photo_s(fresh):
    """With the mouse, at once; with the keyboard, when the button can be pressed no more. Else they would be JupyterLab's."""
    for x in (60, 150):
        fresh.click(x, 75)
    fresh.says("2 clicks")
    fresh.button("Fit").click()
    assert has_focus(fresh.pane())
    fresh.press("z")
    shows(fresh, 170, 95, (GREY,) * 3)
    fresh.button("Redo").click()
    shows(fresh, 170, 95, MASK)
    fresh.button("Undo").click()
    shows(fresh, 170, 95, (GREY,) * 3)
    fresh.press("Enter")  # and no second undo
    fresh.says("finished")
    fresh.button("Correct cat 1").click()
    fresh.says("open again")
    kind = fresh.root.get_by_label("What the object is")
    kind.dispatch_event("pointerdown")  # a real one would open the browser's own list
    kind.select_option("dog")
    assert has_focus(fresh.pane())
    fresh.press("Enter")
    fresh.wait(lambda: fresh.root.locator(".ils-chip").all_inner_texts() != [])

    kind.focus()
    fresh.press("ArrowUp")  # to the cat
    fresh.wait(lambda: kind.input_value() == "cat")
    assert has_focus(kind)
    undo, edit = fresh.button("Undo"), fresh.button("Correct dog 1")
    edit.focus()
    fresh.click(150, 75, button="right")
    edit.focus()
    fresh.says("1 click ")
    assert has_focus(edit)  # the chips are made anew only when they are others
    undo.focus()
    fresh.press("Enter")
    fresh.wait(undo.is_disabled)
    fresh.wait(lambda: has_focus(fresh.pane()))
    fresh.button("Remove dog 1").focus()
    fresh.press("Enter")
    fresh.wait(lambda: fresh.root.locator(".ils-chip").count() == 0)
    fresh.wait(lambda: has_focus(fresh.pane()))


def test_one_object_is_removed_however_often_it_is_asked_for(fresh):
    for x in (60, 150, 240):
        fresh.click(x, 75)
        fresh.press("Enter")
        fresh.says(f"Object {(x + 30) // 90} of")
    fresh.button("Remove cat 1").evaluate("button => { button.click(); button.click(); }")  # before Python has heard of it
    fresh.says("That object is not there any more.")
    shows(fresh, 80, 95, (GREY,) * 3)
    shows(fresh, 170, 95, FINISHED)
    fresh.button("Remove cat 1").dblclick()  # the next object may have taken the button's place in the meantime
    fresh.execute("segmenter.wait()")
    shows(fresh, 170, 95, (GREY,) * 3)
    shows(fresh, 260, 95, FINISHED)
    assert fresh.root.locator(".ils-chip").count() == 1


def test_the_way_of_learning_in_the_middle_of_an_object(fresh):
    fresh.click(100, 75)
    fresh.says(" IA+SA ")
    shows(fresh, 120, 95, MASK)
    ways = ["fixed", "IA", "SA", "IA+SA"]
    for number, way in enumerate([*ways, *ways]):
        if number < 4:
            fresh.press(str(number + 1))
        else:
            fresh.button(way).click()
        fresh.wait(lambda way=way: [w for w in ways if fresh.button(w).get_attribute("aria-pressed") == "true"] == [way])
        fresh.says(f"1 click · {61 * 61 / (320 * 160):.1%} of the photo · {way} ·")
        assert fresh.execute("print(session.adapt, len(session.clicks))").split() == ["none" if way == "fixed" else way, "1"]
        assert like(fresh.colour(120, 95), MASK)
    fresh.press("1")
    fresh.click(200, 75)
    fresh.says("2 clicks")
    assert record(fresh)["open"]["adapt"] == "none"


def test_every_control_has_a_name(fresh):
    fresh.click(100, 75)
    fresh.press("Enter", "k", "i")
    fresh.says("finished")
    # The sheet above the canvases speaks for them, and they are no stop for Tab.
    assert fresh.root.locator("canvas[tabindex]:not(.ils-canvas)").count() == 0
    unnamed = fresh.root.evaluate(
        """root => [...root.querySelectorAll("button, input, select, canvas, svg[role], img")]
            .filter(e => e.offsetParent !== null || e instanceof SVGElement)
            .filter(e => !e.closest("[aria-hidden=true]"))
            .filter(e => ![e, e.closest("button")].some(each => each?.getAttribute("aria-label") || each?.getAttribute("alt")))
            .filter(e => !e.textContent.trim() && !e.closest("label, button")?.textContent.trim())
            .map(e => e.outerHTML.slice(0, 120))"""
    )
    assert unnamed == []
    names = [fresh.pane(kind).get_attribute("aria-label") for kind in ("learning", "fixed")]
    assert names[0] != names[1]
    assert fresh.root.locator(".ils-status").get_attribute("aria-live") == "polite"
    toggles = fresh.root.evaluate("root => [...root.querySelectorAll('[aria-pressed]')].length")
    assert toggles >= 12


# --- what it looks like -----------------------------------------------------------------------------------------------


def test_masks_and_points_are_hidden_outlined_and_coloured(fresh):
    fresh.click(100, 75)
    shows(fresh, 120, 95, MASK)
    fresh.press("m")
    shows(fresh, 120, 95, (GREY,) * 3)
    fresh.press("m", "d")
    shows(fresh, 99, 76, MASK)
    fresh.press("d", "o")
    shows(fresh, 120, 95, (GREY,) * 3)
    edge = [round(part * 0.55) for part in SKY]
    fresh.wait(lambda: like(fresh.pixels(), edge, 12).sum() > 100)
    fresh.press("o", "c")
    shows(fresh, 120, 95, blended(MASK_COLOURS[1], 0.45))
    fresh.press("c", "c", "c")
    for _ in range(2):
        fresh.press("]")
    shows(fresh, 120, 95, blended(SKY, 0.65))
    # Elsewhere brackets are typed with AltGr, which Windows calls Ctrl+Alt, and with a Mac's Option.
    for modifiers in ("ctrlKey: true, altKey: true, modifierAltGraph: true", "altKey: true"):
        event = f"new KeyboardEvent('keydown', {{key: '[', bubbles: true, {modifiers}}})"
        fresh.pane().evaluate(f"canvas => canvas.dispatchEvent({event})")
    shows(fresh, 120, 95, MASK)
    fresh.press("]")
    shows(fresh, 120, 95, blended(SKY, 0.55))
    slider = fresh.root.get_by_label("Opacity")
    slider.fill("0.45")
    shows(fresh, 120, 95, MASK)


def test_what_the_kernel_says_late_undoes_nothing(fresh):
    # While these keys are pressed, the kernel tells what came of the first of them.
    fresh.click(100, 75)
    shows(fresh, 120, 95, MASK)
    fresh.press(*"c" * 41)
    shows(fresh, 120, 95, blended(MASK_COLOURS[1], 0.45))
    fresh.press(*"c" * 39)
    shows(fresh, 120, 95, MASK)
    fresh.press(*"[]" * 20)
    shows(fresh, 120, 95, MASK)
    fresh.press(*"<" * 6, *">" * 10)
    fresh.wait(lambda: fresh.root.get_by_label("Threshold").input_value() == "0.7")
    shows(fresh, 120, 95, (GREY,) * 3)
    fresh.press(*"<>" * 10, *"<" * 4)
    shows(fresh, 120, 95, MASK)


def test_the_threshold_slider(fresh):
    fresh.click(100, 75)
    shows(fresh, 120, 95, MASK)
    fresh.root.get_by_label("Threshold").fill("0.7")
    shows(fresh, 120, 95, (GREY,) * 3)
    shows(fresh, 110, 85, MASK)
    fresh.press("<", "<", "<", "<")
    shows(fresh, 120, 95, MASK)


def test_the_compare_view_and_the_insights(fresh, artefacts):
    fresh.click(100, 75)
    fresh.says("1 click ")
    fresh.press("k", "i")
    fresh.wait(lambda: fresh.pane("fixed").is_visible())
    fresh.press("m")
    for kind in ("learning", "fixed"):
        shows(fresh, 2, 2, (255, 0, 255), kind=kind)
        shows(fresh, 20, 20, (GREY,) * 3, kind=kind)
    fresh.press("m")
    fresh.click(200, 75)
    fresh.says("2 clicks")
    gained, lost = COLOURS["gained"], COLOURS["lost"]

    def share(colour, kind="learning"):
        pixels = fresh.pixels(kind).astype(int)
        distances = np.abs(pixels - np.array(colour)).sum(-1)
        return (distances < 120).mean()

    fresh.wait(lambda: share(gained) > 0.02)
    fresh.click(100, 75, kind="fixed", button="right")  # clicks count in either pane
    fresh.says("3 clicks")
    fresh.wait(lambda: share(lost) > 0.01)
    assert clicks_on_disk(fresh, 3)[2] == [100, 75, 0]
    # The last click is circled.
    x, y = (v + 0.5 for v in (100, 75))
    view = fresh.view()
    ring = fresh.pixels()[int(y * view["scale"] + view["top"]), int(x * view["scale"] + view["left"] + 2.6 * 7)]
    assert like(ring, (255, 255, 255), 30)
    panel = fresh.root.get_by_label("Insights").last
    assert panel.locator("svg").count() == 2
    assert fresh.root.locator(".ils-layer").count() > 3
    fresh.wait(lambda: fresh.root.get_attribute("data-detail") == "true")  # lines as wide as in one pane
    fresh.page.screenshot(path=artefacts / "lab-compare.png")
    fresh.press("k")
    fresh.wait(lambda: fresh.pane("fixed").is_hidden())


# --- images and files -------------------------------------------------------------------------------------------------


def test_working_through_images(fresh, artefacts):
    fresh.click(100, 75)
    fresh.says("1 click ")
    fresh.press("n")
    fresh.wait(lambda: fresh.root.get_attribute("data-photo") == "tall")
    fresh.wait(lambda: fresh.root.locator(".ils-frame[data-name=wide] .ils-badge").inner_text() == "1")
    fresh.click(40, 200)
    shows(fresh, 55, 215, MASK)
    assert clicks_on_disk(fresh, 1, "tall") == [[40, 200, 1]]
    fresh.page.screenshot(path=artefacts / "lab-tall.png")
    fresh.wait(lambda: fresh.root.locator(".ils-frame img[src]").count() == 3)
    fresh.button("Next image").click()
    fresh.wait(lambda: fresh.root.get_attribute("data-photo") == "third")
    fresh.press("p", "p")
    fresh.wait(lambda: fresh.root.get_attribute("data-photo") == "wide")
    shows(fresh, 120, 95, FINISHED)
    folder = fresh.server.folder / "done"
    with Image.open(folder / "masks" / "wide_1.png") as file:
        mask = np.asarray(file)
    assert set(np.unique(mask)) == {0, 255}
    assert (mask > 0).sum() == 61 * 61
    coco = json.loads((folder / "coco.json").read_text())
    assert {image["file_name"] for image in coco["images"]} >= {"wide", "tall"}
    assert (folder / "ids" / "tall.png").is_file()
    assert (folder / "learned.pt").is_file()
    fresh.button("Correct cat 1").click()
    shows(fresh, 120, 95, MASK)
    fresh.says("open again")


# --- zoom, scroll, size -----------------------------------------------------------------------------------------------


def test_zooming_and_panning_keep_clicks_where_they_are_made(fresh, artefacts):
    fresh.page.mouse.move(*fresh.place(250, 120))
    fresh.page.mouse.wheel(0, -900)
    fresh.wait(lambda: fresh.view()["scale"] > 8)
    fresh.click(255, 118)
    shows(fresh, 257, 120, MASK)
    x, y = fresh.place(245, 115)
    fresh.page.mouse.move(x, y)
    fresh.page.mouse.down()
    fresh.page.mouse.move(x - 100, y - 30, steps=5)
    fresh.page.mouse.up()  # a drag is no click
    fresh.wait(lambda: fresh.place(245, 115)[0] < x - 50)
    moved = fresh.place(245, 115)
    assert (moved[0] - x, moved[1] - y) == (pytest.approx(-100, abs=2), pytest.approx(-30, abs=2))
    fresh.click(258, 121, button="right")
    assert clicks_on_disk(fresh, 2) == [[255, 118, 1], [258, 121, 0]]
    fresh.wait(lambda: fresh.root.get_attribute("data-detail") == "true")  # thin lines, where pixels of the canvas would show
    white = like(fresh.pixels(), (255, 255, 255), 2)
    border = np.flatnonzero(white[40])
    assert border.size, "the outline of the mask is in sight"
    assert max(map(len, np.split(border, np.flatnonzero(np.diff(border) > 1) + 1))) <= 3
    fresh.page.screenshot(path=artefacts / "lab-zoom.png")
    fresh.press("f")
    fresh.wait(lambda: fresh.view()["scale"] < 8)
    fresh.press("+", "+", "-")
    fresh.wait(lambda: fresh.root.locator(".ils-zoom-level").inner_text() != "")


def test_the_wheel_scrolls_the_page_until_the_photo_has_the_focus(fresh):
    fresh.page.evaluate("document.activeElement.blur()")
    before = fresh.view()["scale"]
    fresh.page.mouse.move(*fresh.place(100, 75))
    fresh.page.mouse.wheel(0, -300)
    fresh.page.wait_for_timeout(200)
    assert fresh.view()["scale"] == before
    fresh.page.keyboard.down("Control")
    fresh.page.mouse.wheel(0, -30)
    fresh.page.keyboard.up("Control")
    fresh.wait(lambda: fresh.view()["scale"] > before)


def test_a_photo_scrolled_half_out_of_view(fresh):
    """The first click on it must not scroll before it is measured."""
    height = fresh.page.viewport_size["height"]
    try:
        fresh.page.set_viewport_size({"width": 1280, "height": 560})
        fresh.page.wait_for_timeout(300)
        fresh.page.evaluate("document.activeElement.blur()")
        box = fresh.pane().bounding_box()
        assert box["y"] < 480 < 600 < box["y"] + box["height"]
        fresh.page.mouse.click(*fresh.place(200, 50))
        assert clicks_on_disk(fresh, 1) == [[200, 50, 1]]
    finally:
        fresh.page.set_viewport_size({"width": 1280, "height": height})
        fresh.page.wait_for_timeout(200)


def test_in_a_narrow_window_and_under_css_scaling(fresh, artefacts):
    try:
        fresh.page.set_viewport_size({"width": 600, "height": 1000})
        fresh.wait(lambda: fresh.pane().bounding_box()["width"] < 520)
        fresh.page.wait_for_timeout(200)
        fresh.click(260, 125)
        shows(fresh, 272, 140, MASK)
        fresh.page.screenshot(path=artefacts / "lab-narrow.png")
        fresh.root.evaluate("root => { root.style.transform = 'scale(0.7)'; root.style.transformOrigin = '0 0' }")
        fresh.click(60, 40)
        assert clicks_on_disk(fresh, 2) == [[260, 125, 1], [60, 40, 1]]
    finally:
        fresh.root.evaluate("root => { root.style.transform = '' }")
        fresh.page.set_viewport_size({"width": 1280, "height": 1000})
        fresh.wait(lambda: fresh.pane().bounding_box()["width"] > 800)


SIZES = """
import numpy as np
from fake_session import FakeSession
from ilsegkit.widget import ClickSegmenter

large = np.full((1000, 8000, 3), 128, np.uint8)
large[400:600, 4000:4100:2] = 255  # lines that only the photo's own pixels show
large[400:600, 4001:4100:2] = 0
photos = {"large": large, "dot": large[:1, :1], "line": large[:1, :300]}
segmenter = ClickSegmenter(FakeSession(reach=300), photos, folder="sizes")
segmenter
"""
SECOND = """
truth = np.zeros((100, 200), bool)
truth[40:61, 90:111] = True
other = ClickSegmenter(FakeSession(), large[:100, :200], truth={"image 1": truth}, target_iou=0.8)
other
"""


@pytest.fixture(scope="module")
def pair(open_notebook):
    """Two widgets in one kernel, the first with photos of uncommon sizes."""
    notebook = open_notebook("sizes.ipynb", SIZES, SECOND)
    notebook.run_all()
    yield notebook
    notebook.close()


def test_two_widgets_in_one_kernel(pair):
    second = pair.widget(1)
    pair.wait(lambda: second.root.get_attribute("data-photo") == "image 1")
    pair.click(5000, 500)
    pair.says("1 click ")
    second.pane().focus()
    pair.press("ArrowLeft", "Space")
    second.says("1 click ")
    pair.press("Enter")  # goes to the one with the focus
    second.says("finished")
    assert "1 click " in pair.status()
    shows(pair, 5100, 600, MASK)
    assert not pair.errors


def test_the_iou_after_each_click_where_the_truth_is_known(pair):
    other = pair.widget(1)
    other.click(100, 50)
    other.says("IoU 1.000 · the target is reached")
    other.press("i")
    plot = other.root.get_by_role("img", name="IoU after each click")
    plot.wait_for()
    line = float(plot.locator(".ils-target").get_attribute("y1"))
    other.click(20, 20)
    other.says("IoU 0.500")
    dots = plot.locator("circle")
    other.wait(lambda: dots.count() == 2)
    first, second = (float(dot.get_attribute("cy")) for dot in dots.all())
    bottom, top = (float(plot.locator(".ils-grid").nth(which).get_attribute("y1")) for which in (0, 2))
    assert [(bottom - y) / (bottom - top) for y in (first, second, line)] == pytest.approx([1, 0.5, 0.8])
    assert dots.nth(1).locator("title").text_content().startswith("click 2: IoU 0.500, ")
    assert other.root.get_by_alt_text("The object to be segmented, in blue").is_visible()
    other.press("i", "r")
    other.says("dropped")
    assert not pair.errors


def test_photos_of_8000_pixels_and_of_one(pair, artefacts):
    clicks = pair.server.folder / "sizes" / "clicks"
    pair.pane().scroll_into_view_if_needed()
    pair.pane().focus()
    pair.press("r")
    pair.says("dropped")
    pair.page.mouse.move(*pair.place(4050, 500))
    pair.page.mouse.wheel(0, -2500)
    pair.wait(lambda: pair.root.get_attribute("data-detail") == "true" and pair.view()["scale"] > 10)
    shows(pair, 4050, 500, (255, 255, 255))
    shows(pair, 4051, 500, (0, 0, 0))
    pair.click(4051, 501)
    pair.says("1 click ")
    assert json.loads((clicks / "large.json").read_text())["open"]["clicks"] == [[4051, 501, 1]]
    shows(pair, 4050, 500, tuple(round(255 + (part - 255) * 0.45) for part in SKY))
    pair.page.screenshot(path=artefacts / "lab-large.png")
    for name, place in (("dot", (0, 0)), ("line", (150, 0))):
        pair.press("n")
        pair.wait(lambda name=name: pair.root.get_attribute("data-photo") == name)
        shows(pair, *place, (GREY,) * 3)
        pair.click(*place)
        pair.says("1 click ")
        assert json.loads((clicks / f"{name}.json").read_text())["open"]["clicks"] == [[*place, 1]]
    assert not pair.errors


def test_shift_enter_on_the_photo_runs_the_cell(pair):
    def numbers():
        return [int(number) for number in re.findall(r"\[(\d+)\]", " ".join(pair.prompts()))]

    second = pair.widget(1)
    second.click(100, 50)
    second.says("1 click ")
    pair.pane().focus()
    before = numbers()
    pair.press("Shift+Enter")
    pair.wait(lambda: len(numbers()) == 2 and numbers()[0] > before[0])
    assert numbers()[1] == before[1]
    pair.says("Taken up where you stopped: 1 click ")  # which Enter would have finished
    assert not pair.errors


# --- pages and kernels ------------------------------------------------------------------------------------------------


def test_a_second_view_and_a_reloaded_page_show_everything(fresh):
    fresh.click(200, 75)
    shows(fresh, 215, 95, MASK)
    fresh.execute("segmenter.threshold(0.55)")
    fresh.page.evaluate("window.jupyterapp.commands.execute('notebook:create-output-view')")
    fresh.wait(lambda: fresh.page.locator(".ilsegkit").count() == 2)
    second = fresh.widget(1)
    fresh.wait(lambda: second.root.get_attribute("data-photo") == "wide")
    shows(second, 215, 95, MASK)
    shows(second, 199, 76, BLUE)
    fresh.says("1 click ")
    assert second.status() == fresh.status()
    second.click(60, 40)  # what is done in one is seen in both
    for view in (fresh, second):
        shows(view, 75, 55, MASK)
        shows(view, 59, 41, BLUE)
    fresh.press("z")
    for view in (fresh, second):
        shows(view, 75, 55, (GREY,) * 3)
    fresh.press("Control+s")
    fresh.page.wait_for_timeout(500)
    fresh.reload()
    fresh.wait_for_photo()
    shows(fresh, 215, 95, MASK)
    fresh.click(60, 40)
    shows(fresh, 75, 55, MASK)
    assert len(clicks_on_disk(fresh, 2)) == 2


def test_an_interrupted_and_a_restarted_kernel(fresh):
    """An interrupt does no harm; after a restart in the middle of an object, running the cell again goes on with it."""

    def state():
        return fresh.server.kernel(fresh.name)["execution_state"]

    fresh.execute("session.gate.clear()")  # the model has begun to learn, and a cell waits for it
    fresh.click(100, 75)
    fresh.wait(lambda: fresh.button("Stop").is_visible())
    fresh.execute("segmenter.wait()", wait=False)
    fresh.wait(lambda: state() == "busy")
    fresh.server.tell_kernel(fresh.name, "interrupt")
    fresh.wait(lambda: state() == "idle")
    assert fresh.button("Stop").is_visible()
    # What is asked for right after an interrupt may be dropped with what was waiting.
    fresh.wait(lambda: "set" in fresh.execute("session.gate.set(); print('set')"))
    fresh.says("1 click ")
    shows(fresh, 120, 95, MASK)
    fresh.server.tell_kernel(fresh.name, "interrupt")
    fresh.click(200, 75)
    shows(fresh, 220, 95, MASK)
    fresh.says("2 clicks")
    before = clicks_on_disk(fresh, 2)
    fresh.server.tell_kernel(fresh.name, "restart")
    fresh.server.wait_for_kernel(fresh.name)
    fresh.press("z")
    fresh.says("If it was, run the cell again; ")
    fresh.run_all()
    fresh.says("Taken up where you stopped: 2 clicks")
    shows(fresh, 120, 95, MASK)
    shows(fresh, 220, 95, MASK)
    assert clicks_on_disk(fresh, 2) == before
    fresh.press("z")
    fresh.pane().focus()
    fresh.press("z")
    shows(fresh, 220, 95, (GREY,) * 3)
    fresh.errors.clear()  # of JupyterLab, about the kernel that went away
