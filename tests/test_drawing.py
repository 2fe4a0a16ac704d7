import numpy as np
import pytest
from PIL import Image

from ilsegkit.clicks import Click
from ilsegkit.drawing import COLOURS, MASK_COLOURS, OBJECT_COLOURS, draw, save_story, strip
from ilsegkit.errors import DataError, ImageError
from ilsegkit.records import ObjectRecord, Stage
from ilsegkit.runs import encode_mask

PHOTO = np.full((50, 100, 3), 128, np.uint8)


def blended(colour):
    return tuple(round(0.55 * 128 + 0.45 * part) for part in colour)


@pytest.fixture
def record():
    stages = []
    for size in (10, 20, 30):
        mask = np.zeros((50, 100), bool)
        mask[:size, :size] = True
        stages.append(Stage(encode_mask(mask), 0.1, 0.1))
    clicks = (Click(5, 5), Click(15, 15), Click(40, 40, False), Click(25, 25))
    return ObjectRecord(clicks, (stages[0], stages[1], None, stages[2]))


def test_masks_and_clicks_are_drawn_where_they_are():
    mask, other = np.zeros((2, 25, 50), bool)  # smaller than the photo: it fits all the same
    mask[5:20, 5:30] = True
    other[:, 40:] = True
    picture = np.asarray(draw(PHOTO, mask, [Click(50, 25), Click(20, 25, positive=False)], other.astype(np.uint16), side=200))
    assert picture.shape == (100, 200, 3)
    assert tuple(picture[30, 60]) == blended(MASK_COLOURS[0])
    assert tuple(picture[20, 60]) == MASK_COLOURS[0]  # the line
    assert tuple(picture[19, 60]) == (255, 255, 255)
    assert tuple(picture[50, 180]) == blended(OBJECT_COLOURS[0])
    assert tuple(picture[51, 101]) == COLOURS["object"]
    assert tuple(picture[51, 41]) == COLOURS["background"]
    assert tuple(picture[90, 10]) == (128, 128, 128)


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (3000, 2)])
def test_any_size_can_be_drawn(shape):
    assert max(draw(np.zeros((*shape, 3), np.uint8), np.ones(shape, bool)).size) == 640


def test_a_strip_has_a_picture_for_each_answer(record, tmp_path):
    sheet = strip(PHOTO, record, side=100, columns=2)
    assert sheet.width == 2 * 100 + 6
    assert sheet.height == 2 * (50 + 7) + 6
    first, third = np.asarray(sheet)[:50, :100], np.asarray(sheet)[63:113, :100]
    assert tuple(first[20, 20]) == (128, 128, 128)
    assert tuple(third[20, 8]) == blended(MASK_COLOURS[0])
    save_story(tmp_path / "a.PNG", PHOTO, record, side=100)
    save_story(tmp_path / "a.gif", PHOTO, record, side=100)
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 3
        assert animation.size == (100, 57)
    with Image.open(tmp_path / "a.PNG") as picture:
        assert picture.width == 3 * 100 + 2 * 6


def test_what_cannot_be_written_is_said(record, tmp_path):
    with pytest.raises(DataError, match=r"must end in \.png"):
        save_story(tmp_path / "a.mp4", PHOTO, record)
    with pytest.raises(ImageError, match="cannot be written"):
        save_story(tmp_path / "nowhere" / "a.png", PHOTO, record)
    with pytest.raises(DataError, match="no click"):
        save_story(tmp_path / "a.png", PHOTO, ObjectRecord())
