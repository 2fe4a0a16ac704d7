import numpy as np
import pytest
import torch

from ilsegkit.clicks import Click
from ilsegkit.guidance import correction_map, guidance_maps


def literal_disk(x, y, radius, height, width):
    """Pixels no farther than `radius` from (x, y), one by one."""
    disk = np.zeros((height, width), np.float32)
    for row in range(height):
        for column in range(width):
            if (column - x) ** 2 + (row - y) ** 2 <= radius**2:
                disk[row, column] = 1
    return disk


# In the middle; cut off at borders and corners; outside, with and without a part of the disk inside.
PLACES = [(10, 6), (0, 0), (19, 11), (1, 10), (-2, 5), (22, 6), (10, -3), (10, 14), (-4, 5), (10, 30), (-9, -9)]


@pytest.mark.parametrize(("x", "y"), PLACES)
@pytest.mark.parametrize("radius", [0, 1, 2.5, 3, 5])
def test_disk_is_the_formula(x, y, radius):
    expected = literal_disk(x, y, radius, 12, 20)
    for positive in (True, False):
        maps = guidance_maps([Click(x, y, positive)], 12, 20, radius).numpy()
        np.testing.assert_array_equal(maps[0 if positive else 1], expected)
        assert not maps[1 if positive else 0].any()


def test_radius_is_three_unless_told():
    assert guidance_maps([Click(5, 5)], 11, 11)[0].sum() == 29


def test_type_and_shape():
    maps = guidance_maps([], 4, 7)
    assert (maps.shape, maps.dtype, maps.any().item()) == ((2, 4, 7), torch.float32, False)
    corrections = correction_map([], 4, 7)
    assert (corrections.shape, corrections.dtype, corrections.unique().tolist()) == ((4, 7), torch.float32, [-1])


def test_many_clicks_are_a_union():
    clicks = [Click(5, 5), Click(7, 5), Click(14, 3, False)]
    maps = guidance_maps(clicks, 12, 20).numpy()
    np.testing.assert_array_equal(maps[0], np.maximum(literal_disk(5, 5, 3, 12, 20), literal_disk(7, 5, 3, 12, 20)))
    np.testing.assert_array_equal(maps[1], literal_disk(14, 3, 3, 12, 20))


def test_a_foreground_and_a_background_click_may_overlap_in_the_guidance():
    maps = guidance_maps([Click(5, 5), Click(6, 5, False)], 12, 12)
    assert maps[:, 5, 5].tolist() == [1, 1]


def test_corrections_are_one_pixel_unless_told():
    corrections = correction_map([Click(3, 1, True), Click(0, 2, False)], 4, 6)
    expected = torch.full((4, 6), -1.0)
    expected[1, 3], expected[2, 0] = 1, 0
    assert torch.equal(corrections, expected)


def test_corrections_with_a_radius():
    corrections = correction_map([Click(3, 3, False)], 8, 8, radius=2).numpy()
    np.testing.assert_array_equal(corrections, literal_disk(3, 3, 2, 8, 8) - 1)


@pytest.mark.parametrize("positive", [True, False])
def test_the_later_correction_wins(positive):
    clicks = [Click(3, 3, not positive), Click(4, 3, positive)]
    corrections = correction_map(clicks, 8, 8, radius=1)
    assert corrections[3, 3] == corrections[3, 4] == float(positive)
    assert corrections[3, 2] == float(not positive)


def test_corrections_outside_are_left_out():
    assert torch.equal(correction_map([Click(-1, 2), Click(3, 8), Click(100, 100)], 8, 8), torch.full((8, 8), -1.0))


def test_points_between_pixels_go_to_the_nearest():
    assert correction_map([Click(2.4, 0.6)], 3, 4)[1, 2] == 1
