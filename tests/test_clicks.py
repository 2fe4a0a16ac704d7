import numpy as np
import pytest

from ilsegkit.clicks import Click, next_click, parse_clicks, sample_clicks
from ilsegkit.errors import ClickError


def box(height, width, top, bottom, left, right):
    """A map with a filled rectangle; the ends are not part of it."""
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    return mask


NOTHING = np.zeros((20, 30), bool)


class TestBothRules:
    @pytest.mark.parametrize("rule", ["paper", "ritm"])
    def test_centre_of_what_is_missing(self, rule):
        assert next_click(NOTHING, box(20, 30, 4, 11, 10, 21), rule=rule)[1:] == (7, True)

    @pytest.mark.parametrize("rule", ["paper", "ritm"])
    def test_centre_of_what_is_too_much(self, rule):
        assert next_click(box(20, 30, 5, 10, 20, 25), NOTHING, rule=rule) == Click(22, 7, False)

    @pytest.mark.parametrize("rule", ["paper", "ritm"])
    def test_object_at_the_border_is_not_clicked_at_the_border(self, rule):
        # Beyond the image is outside the object; without padding, the corner would be the deepest pixel.
        assert next_click(NOTHING, box(20, 30, 0, 9, 0, 9), rule=rule) == Click(4, 4, True)

    @pytest.mark.parametrize("rule", ["paper", "ritm"])
    def test_first_deepest_pixel_in_row_major_order(self, rule):
        target = box(20, 30, 4, 7, 10, 20)  # pixels (11..18, 5) are equally deep
        assert next_click(NOTHING, target, rule=rule) == Click(11, 5, True)
        assert next_click(NOTHING, box(20, 30, 4, 14, 10, 13), rule=rule) == Click(11, 5, True)

    @pytest.mark.parametrize("rule", ["paper", "ritm"])
    def test_perfect_prediction_needs_no_click(self, rule):
        target = box(20, 30, 4, 11, 10, 20)
        assert next_click(target, target, rule=rule) is None

    @pytest.mark.parametrize("rule", ["paper", "ritm"])
    def test_ignored_pixels_are_no_errors(self, rule):
        target = box(20, 30, 4, 11, 10, 20) | box(20, 30, 14, 17, 2, 5)
        assert next_click(NOTHING, target, box(20, 30, 0, 13, 0, 30), rule=rule) == Click(3, 15, True)
        assert next_click(NOTHING, target, np.ones_like(target), rule=rule) is None

    @pytest.mark.parametrize("rule", ["paper", "ritm"])
    def test_no_pixel_is_clicked_twice_and_then_none_is_left(self, rule):
        target = box(20, 30, 4, 8, 10, 16)
        clicks = []
        while (click := next_click(NOTHING, target, previous=clicks, rule=rule)) is not None:
            clicks.append(click)
            assert len(clicks) <= 24
        assert {(click.x, click.y) for click in clicks} == {(x, y) for x in range(10, 16) for y in range(4, 8)}
        assert len(clicks) == 24

    @pytest.mark.parametrize("rule", ["paper", "ritm"])
    def test_coordinates_are_plain_integers(self, rule):
        click = next_click(NOTHING, box(20, 30, 4, 8, 10, 16), rule=rule)
        assert [type(value) for value in click] == [int, int, bool]


class TestWhereTheRulesDiffer:
    # A long thin error has more pixels; a small compact one is deeper.
    LONG, COMPACT = box(20, 30, 2, 4, 0, 30), box(20, 30, 10, 16, 10, 16)

    def test_paper_takes_the_larger_region(self):
        assert next_click(self.COMPACT, self.LONG).positive
        assert not next_click(self.LONG, self.COMPACT).positive

    def test_ritm_takes_the_deeper_one(self):
        assert not next_click(self.COMPACT, self.LONG, rule="ritm").positive
        assert next_click(self.LONG, self.COMPACT, rule="ritm").positive

    def test_paper_counts_the_pixels_of_one_region_not_of_all(self):
        several = box(20, 30, 0, 4, 0, 4) | box(20, 30, 6, 10, 0, 4) | box(20, 30, 12, 16, 0, 4)  # 48 pixels, 16 each
        assert next_click(box(20, 30, 4, 9, 20, 25), several) == Click(22, 6, False)

    def test_paper_stays_inside_the_region_it_chose(self):
        deeper_but_smaller = box(20, 30, 12, 17, 12, 17)  # 25 pixels, depth 3
        larger_but_thin = box(20, 30, 2, 4, 0, 30)  # 60 pixels, depth 1
        assert next_click(NOTHING, deeper_but_smaller | larger_but_thin).y in (2, 3)

    def test_ritm_breaks_a_tie_with_a_negative_click(self):
        left, right = box(20, 30, 5, 10, 2, 7), box(20, 30, 5, 10, 20, 25)
        assert next_click(right, left, rule="ritm") == Click(22, 7, False)
        assert next_click(left, right, rule="ritm") == Click(4, 7, False)

    def test_ritm_clicks_do_not_move_the_border(self):
        # Only the clicked pixel is struck off, so its neighbour of the same depth is next.
        target = box(20, 30, 4, 7, 10, 20)
        assert next_click(NOTHING, target, previous=[Click(11, 5)], rule="ritm") == Click(12, 5, True)


class TestNextClickErrors:
    def test_unknown_rule(self):
        with pytest.raises(ClickError, match=r"'sloppy'.*paper, ritm"):
            next_click(NOTHING, NOTHING, rule="sloppy")

    def test_shapes_that_differ(self):
        with pytest.raises(ClickError, match="one shape"):
            next_click(NOTHING, NOTHING[:-1])
        with pytest.raises(ClickError, match="one shape"):
            next_click(NOTHING, NOTHING, NOTHING[1:])


class TestSampleClicks:
    TARGET = box(96, 128, 30, 60, 40, 70)
    FAR = box(96, 128, 80, 96, 110, 128)  # farther from the object than the band reaches

    def test_never_more_than_five_and_five_and_always_right(self):
        most = [0, 0]
        for seed in range(300):
            clicks = sample_clicks(self.TARGET, np.random.default_rng(seed), self.FAR)
            assert all(self.TARGET[click.y, click.x] == click.positive for click in clicks)
            positive = sum(click.positive for click in clicks)
            assert 1 <= positive <= 5
            assert len(clicks) - positive <= 5
            most = [max(most[0], positive), max(most[1], len(clicks) - positive)]
        assert most == [5, 5]

    def test_all_three_strategies_occur(self):
        kinds = {"near": 0, "others": 0, "around": 0}
        for seed in range(300):
            clicks = sample_clicks(self.TARGET, np.random.default_rng(seed), self.FAR)
            points = np.array([(click.x, click.y) for click in clicks if not click.positive])
            if len(points) < 5:
                continue
            apart = np.sqrt(((points[:, None] - points[None]) ** 2).sum(2))[np.triu_indices(5, 1)].min()
            if all(self.FAR[y, x] for x, y in points):
                kinds["others"] += 1
            else:
                assert not any(self.FAR[y, x] for x, y in points)
                # Five points spread around this object are some 30 pixels apart; uniform ones come closer by chance.
                kinds["around" if apart > 22 else "near"] += 1
        assert min(kinds.values()) >= 8, kinds

    def test_positive_clicks_reach_the_whole_object(self):
        points = {
            (click.x, click.y)
            for seed in range(400)
            for click in sample_clicks(self.TARGET, np.random.default_rng(seed))
            if click.positive
        }
        columns, rows = zip(*points, strict=True)
        assert (min(columns), max(columns), min(rows), max(rows)) == (40, 69, 30, 59)

    def test_same_seed_same_clicks(self):
        first, again, another = (sample_clicks(self.TARGET, np.random.default_rng(seed), self.FAR) for seed in (7, 7, 8))
        assert first == again != another

    def test_limits_can_be_set(self):
        for seed in range(30):
            clicks = sample_clicks(self.TARGET, np.random.default_rng(seed), most_positive=1, most_negative=0)
            assert [click.positive for click in clicks] == [True]

    def test_no_object_no_clicks(self):
        assert sample_clicks(np.zeros((9, 9), bool), np.random.default_rng(0)) == []

    @pytest.mark.parametrize("target", [np.ones((9, 9), bool), np.ones((1, 1), bool), box(9, 9, 0, 9, 0, 8)])
    def test_no_room_for_negative_clicks(self, target):
        for seed in range(30):
            assert all(click.positive for click in sample_clicks(target, np.random.default_rng(seed)))


class TestParseClicks:
    def test_spaces_semicolons_and_line_ends(self):
        assert parse_clicks(" 1,2,1;3.5,4,0\n5,6,1 ") == [Click(1, 2, True), Click(3.5, 4, False), Click(5, 6, True)]

    @pytest.mark.parametrize("part", ["1,2", "1,2,2", "a,2,1", "1,2,1,0", "1,2,true", "1,,0"])
    def test_the_part_that_does_not_fit_is_named(self, part):
        with pytest.raises(ClickError, match=f"'{part}'"):
            parse_clicks(f"10,20,1 {part}")

    @pytest.mark.parametrize("part", ["nan,2,1", "1,inf,0"])
    def test_numbers_must_be_finite(self, part):
        with pytest.raises(ClickError, match="finite"):
            parse_clicks(part)

    @pytest.mark.parametrize("text", ["", "  ", ";"])
    def test_no_clicks(self, text):
        with pytest.raises(ClickError, match="no clicks"):
            parse_clicks(text)


def test_sampled_clicks_are_not_on_what_is_to_be_ignored():
    target, ignore, others = (np.zeros((60, 80), bool) for _ in range(3))
    target[20:40, 30:50] = True
    ignore[:, 50:60] = ignore[10:20] = True
    others[10:50, 52:75] = True
    clicks = [c for seed in range(60) for c in sample_clicks(target, np.random.default_rng(seed), others, ignore=ignore)]
    assert {c.positive for c in clicks} == {True, False}
    assert not any(ignore[c.y, c.x] for c in clicks)
    assert all(target[c.y, c.x] == c.positive for c in clicks)
    assert len(sample_clicks(target, np.random.default_rng(0), ignore=~target)) >= 1  # nothing is left for negative ones
