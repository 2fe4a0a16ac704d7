import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage import data

import ilsegkit as ils
from ilsegkit import session as session_module
from ilsegkit.adaptation import Adaptation, Settings
from ilsegkit.errors import ClickError, DataError, ImageError, WeightsError
from ilsegkit.frame import Window

IA = Settings(steps=3, rate=1e-3, lam=1.0, gamma=0.0)
SA = Settings(steps=1, rate=1e-3, lam=0.5, gamma=0.0, keep=0.5)
IMAGE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def weights(session):
    return {name: value.detach().clone() for name, value in session.model.named_parameters()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def session(tiny_model):
    s = ils.Session(tiny_model, Adaptation(IA, SA))
    s.set_image(IMAGE)
    return s


def test_a_click_changes_mask_and_weights_and_leaves_the_given_model_alone(session, tiny_model):
    given = {name: value.detach().clone() for name, value in tiny_model.named_parameters()}
    assert not session.mask.any()
    mask = session.click(20, 20)
    assert mask.shape == (48, 64)
    assert mask.dtype == bool
    assert session.clicks == (ils.Click(20, 20, True),)
    assert not same(weights(session), given)
    assert same(dict(tiny_model.named_parameters()), given)


def test_undo_and_redo_bring_back_weights_and_mask_bit_for_bit(session):
    history = [(weights(session), session.mask.copy())]
    for x, y, positive in [(20, 20, True), (50, 10, False), (30, 40, True)]:
        session.click(x, y, positive)
        history.append((weights(session), session.mask.copy()))
    assert not same(history[1][0], history[2][0])
    for i in (2, 1, 0):
        assert np.array_equal(session.undo(), history[i][1])
        assert same(weights(session), history[i][0])
        assert len(session.clicks) == i
    assert not session.can_undo
    assert np.array_equal(session.undo(), history[0][1])  # nothing left: nothing happens
    for i in (1, 2, 3):
        assert np.array_equal(session.redo(), history[i][1])
        assert same(weights(session), history[i][0])
    assert not session.can_redo


def test_a_click_after_undo_gives_what_it_gave_before(session):
    session.click(20, 20)
    first, after = session.click(50, 10, False).copy(), weights(session)
    session.undo()
    assert np.array_equal(session.click(50, 10, False), first)
    assert same(weights(session), after)
    assert not session.can_redo


def test_reset_drops_what_the_object_taught(session):
    start = weights(session)
    session.click(20, 20)
    assert not session.reset().any()
    assert session.clicks == ()
    assert not session.can_undo
    assert same(weights(session), start)


def test_ia_is_forgotten_at_the_end_of_the_object(tiny_model):
    session = ils.Session(tiny_model, Adaptation(image=IA))
    session.set_image(IMAGE)
    start = weights(session)
    mask = session.click(20, 20)
    assert np.array_equal(session.finish(), mask)
    assert same(weights(session), start)
    assert session.objects == 1


def test_sa_steps_from_the_sequences_weights_not_from_ia(tiny_model):
    """Section 3.2.3: after an object, IA+SA does the very step that SA would do with the same clicks and mask."""
    seen = {}
    for name, adaptation in {"IA+SA": Adaptation(IA, SA), "SA": Adaptation(None, SA)}.items():
        session = ils.Session(tiny_model, adaptation, seed=1)
        session.set_image(IMAGE)
        session.click(20, 20)
        session.click(50, 10, False)
        if name == "IA+SA":
            logits = session._now.logits
        session._now = session._now._replace(logits=logits)  # the same mask for both
        session.finish()
        seen[name] = weights(session)
    assert same(seen["IA+SA"], seen["SA"])


def test_sa_learns_one_step_per_object_from_where_it_was(tiny_model):
    session = ils.Session(tiny_model, Adaptation(sequence=SA))
    steps = [weights(session)]
    for _ in range(2):
        session.set_image(IMAGE)
        session.click(20, 20)
        assert same(weights(session), steps[-1])  # clicks alone teach nothing
        session.finish()
        steps.append(weights(session))
    for before, after in itertools.pairwise(steps):
        moved = max((after[name] - before[name]).abs().max().item() for name in after)
        assert 0 < moved < 1.2e-3  # one Adam step is at most about the rate


def test_sa_hides_clicks_from_the_network_but_not_from_the_loss(tiny_model, monkeypatch):
    seen = []
    real = session_module.adapt

    def spy(model, frame, clicks, prediction, settings, anchor, optimizer=None, shown=None, on_step=None):
        seen.append((len(clicks), len(shown), prediction.clone()))
        return real(model, frame, clicks, prediction, settings, anchor, optimizer, shown, on_step)

    monkeypatch.setattr(session_module, "adapt", spy)
    session = ils.Session(tiny_model, Adaptation(sequence=SA))
    session.set_image(IMAGE)
    for x in (10, 20, 30, 40):
        session.click(x, 20)
    mask = session.finish()
    assert [(clicks, shown) for clicks, shown, _ in seen] == [(4, 2)]
    assert np.array_equal(seen[0][2].numpy() > 0, mask)  # 48 x 64 is the frame's size


def test_a_network_of_another_kind_is_refused():
    with pytest.raises(WeightsError, match="takes an InteractiveSegmenter, not a Linear"):
        ils.Session(torch.nn.Linear(2, 1))


def test_settings_alone_are_no_adaptation(tiny_model):
    with pytest.raises(DataError, match=r"write Adaptation\(image=...\)"):
        ils.Session(tiny_model, IA)


def test_a_model_of_16_bits_is_refused(tiny_model):
    with pytest.raises(WeightsError, match=r"give it model\.float\(\)"):
        ils.Session(tiny_model.bfloat16())


def test_the_mode_can_change_in_the_middle_of_an_object(session, tiny_model):
    session.click(20, 20)
    session.adapt = "none"
    fixed = session.click(50, 10, False)
    plain = ils.Session(tiny_model, "none")
    plain.set_image(IMAGE)
    plain.click(20, 20)
    assert np.array_equal(fixed, plain.click(50, 10, False))
    assert session.adapt == "none"


@pytest.mark.parametrize(("x", "y"), [(-1, 5), (64, 5), (5, 48), (np.nan, 5), (5, np.inf), ("a", 1), (10**400, 1)])
def test_a_bad_click_is_refused_and_nothing_is_lost(session, x, y):
    mask = session.click(20, 20).copy()
    with pytest.raises(ClickError):
        session.click(x, y)
    assert len(session.clicks) == 1
    assert np.array_equal(session.mask, mask)


@pytest.mark.parametrize("seed", [-1, 0.5, "a"])
def test_a_bad_seed_is_told(tiny_model, seed):
    with pytest.raises(DataError, match="is no whole number from 0 on"):
        ils.Session(tiny_model, seed=seed)


def test_a_bad_image_is_refused_and_nothing_is_lost(session, tmp_path):
    session.click(20, 20)
    damaged = tmp_path / "a.jpg"
    damaged.write_bytes(b"no image")
    for image in (damaged, tmp_path / "none.png", np.zeros((3, 3, 7)), np.zeros((0, 5))):
        with pytest.raises(ImageError):
            session.set_image(image)
    assert len(session.clicks) == 1


def test_a_click_before_an_image_is_refused(tiny_model):
    with pytest.raises(ClickError, match="set_image"):
        ils.Session(tiny_model, "none").click(1, 1)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 900, 3), (700, 3), (33, 57), (20, 30, 4)])
def test_masks_have_the_size_of_the_image(tiny_model, shape):
    session = ils.Session(tiny_model, Adaptation(image=IA))
    session.set_image(np.zeros(shape, np.uint8))
    assert session.click(shape[1] - 1, shape[0] - 1).shape == shape[:2]


def test_an_image_of_48_megapixels(tiny_model):
    session = ils.Session(tiny_model, "none")
    session.set_image(np.zeros((6000, 8000, 3), np.uint8))
    assert session.click(7999, 5999).shape == (6000, 8000)


def fail(model, *args, **kwargs):
    """In the place of `adapt`: interrupted when the weights have changed."""
    with torch.no_grad():
        next(model.parameters()).add_(1)
    raise KeyboardInterrupt


def test_a_failure_in_the_network_leaves_the_object_as_it_was(session, monkeypatch):
    session.click(20, 20)
    before, mask = weights(session), session.mask.copy()

    monkeypatch.setattr(session_module, "adapt", fail)
    with pytest.raises(KeyboardInterrupt):
        session.click(30, 30)
    assert same(weights(session), before)
    assert len(session.clicks) == 1
    assert np.array_equal(session.mask, mask)


@pytest.mark.parametrize("where", ["_window", "adapt", "_weights"])
def test_a_failure_while_finishing_leaves_the_object_as_it_was(session, monkeypatch, where):
    session.click(20, 20)
    session.click(30, 30)
    before, mask, sequence, state = weights(session), session.mask.copy(), session._sequence, session.state_dict()

    def stop(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if where == "adapt":
            patch.setattr(session_module, "adapt", fail)
        else:
            patch.setattr(session, where, stop)
        with pytest.raises(KeyboardInterrupt):
            session.finish()
    assert same(weights(session), before)
    assert session._sequence is sequence
    assert session.state_dict()["rng"] == state["rng"]
    assert (len(session.clicks), session.objects) == (2, 0)
    assert np.array_equal(session.finish(), mask)
    assert session.objects == 1


@pytest.mark.parametrize("zoom", [None, 1.4])
def test_a_sequence_learns_from_the_mask_that_was_accepted(tiny_model, monkeypatch, zoom):
    tiny_model.config = replace(tiny_model.config, zoom=zoom)
    session = ils.Session(tiny_model, Adaptation(sequence=SA))
    session.set_image(np.random.default_rng(1).integers(0, 255, (200, 300, 3), dtype=np.uint8))
    session.click(80, 70)
    accepted = np.zeros((200, 300), bool)
    accepted[50:90, 60:120] = True
    with pytest.raises(ImageError, match="must be alike"):
        session.finish(mask=accepted[:50])
    assert len(session.clicks) == 1
    seen = []

    def spy(model, frame, clicks, prediction, *rest):
        seen.append((frame, prediction))
        return Nothing

    monkeypatch.setattr(session_module, "adapt", spy)
    assert np.array_equal(session.finish(mask=accepted), accepted)
    assert len(seen) == (1 if zoom is None else 2)
    for frame, prediction in seen:
        assert torch.equal(prediction, frame.at_frame_size(accepted))
    top, left, bottom, right = seen[-1][0].window
    assert (bottom - top < 200) == (zoom is not None)
    assert accepted[top:bottom, left:right].sum() == accepted.sum()


def test_to_accept_the_models_own_mask_is_as_to_give_none(tiny_model):
    ends = []
    for given in (False, True):
        session = ils.Session(tiny_model, Adaptation(IA, SA))
        session.set_image(np.random.default_rng(1).integers(0, 255, (200, 300, 3), dtype=np.uint8))  # not of the frame's size
        session.click(80, 70)
        session.finish(mask=session.mask.copy() if given else None)
        ends.append(weights(session))
    assert same(*ends)


def test_a_mask_can_only_be_read_as_the_session_goes_on_with_it(session):
    mask = session.click(20, 20)
    with pytest.raises(ValueError, match="read-only"):
        mask[:] = True


def test_steps_that_are_not_finite_are_told_and_the_session_goes_on(tiny_model):
    session = ils.Session(tiny_model, Adaptation(image=Settings(3, 1e37, 1.0, 0.0)))
    session.set_image(IMAGE)
    start = weights(session)
    session.click(20, 20)
    assert "undone" in session.notice
    assert same(weights(session), start)
    session.adapt = "none"
    session.click(30, 30)
    assert session.notice is None
    assert len(session.clicks) == 2


def test_predict_teaches_nothing(session):
    before = weights(session)
    probability = session.predict([ils.Click(5, 5), ils.Click(40, 40, False)])
    assert probability.shape == (48, 64)
    assert 0 <= probability.min() <= probability.max() <= 1
    assert same(weights(session), before)
    assert session.clicks == ()


def test_the_state_of_a_sequence_can_be_saved_and_gone_on_with(tiny_model):
    def step(session):
        session.set_image(IMAGE)
        for x in (10, 20, 30):
            session.click(x, 20)
        session.finish()

    one = ils.Session(tiny_model, Adaptation(sequence=SA))
    step(one)
    other = ils.Session(tiny_model, Adaptation(sequence=SA), seed=9)
    other.load_state_dict(one.state_dict())
    step(one)
    step(other)
    assert same(weights(one), weights(other))
    assert other.objects == 2
    one.forget()
    assert same(weights(one), dict(tiny_model.named_parameters()))


def test_a_state_can_be_gone_on_with_more_than_once(tiny_model):
    session = ils.Session(tiny_model, Adaptation(sequence=SA))
    session.set_image(IMAGE)
    session.click(10, 20)
    session.finish()
    state, ends = session.state_dict(), []
    for _ in range(2):
        session.load_state_dict(state)
        session.click(30, 20)
        session.finish()
        ends.append(weights(session))
    assert same(*ends)


def test_a_state_is_a_copy(tiny_model):
    session, other = ils.Session(tiny_model, Adaptation(sequence=SA)), ils.Session(tiny_model, Adaptation(sequence=SA))
    start, state = weights(session), session.state_dict()
    other.load_state_dict(state)
    for value in state["weights"].values():
        value.add_(1)
    for each in (session, other):
        each.forget()
        assert same(weights(each), start)
    other.load_state_dict(session.state_dict())
    assert same(weights(other), start)


def test_weights_that_did_not_change_are_neither_copied_nor_written(session, squares):
    session.set_image(squares(1)[0].image)
    session.adapt = Adaptation(replace(IA, scope="decoder"))
    session.click(20, 20)
    first, second = session._now.weights, session._sequence
    assert {name.split(".")[1] for name in first if first[name] is not second[name]} == {"decoder", "segmentation_head"}
    versions = [value._version for value in session.model.network.encoder.parameters()]
    session.undo()
    session.redo()
    session.reset()
    assert [value._version for value in session.model.network.encoder.parameters()] == versions
    assert same(weights(session), session._sequence)


def test_what_else_writes_to_the_weights_is_noticed(session, squares):
    session.set_image(squares(1)[0].image)
    session.adapt = "none"
    before = weights(session)
    mask = session.click(20, 20)
    with torch.no_grad():
        next(session.model.parameters()).add_(1)
    assert np.array_equal(session.reset(), np.zeros_like(mask))
    assert same(weights(session), before)
    assert np.array_equal(session.click(20, 20), mask)


def says(model, answer):
    """The model gives this function's logits, and its encoder passes on what it is shown."""
    model.encode = lambda pixels, guidance, **_: [pixels, guidance]
    model.decode = lambda features, size, part=None: answer(*features)


@pytest.fixture
def zooming(tiny_model):
    """Sees a window of 32 pixels around what it has found, and nothing else."""
    tiny_model.config = replace(tiny_model.config, zoom=1.4, context=0.0, appearance=0.0)
    large = np.random.default_rng(1).integers(0, 255, (200, 300, 3), dtype=np.uint8)

    def find(pixels, guidance):  # what is near a click, 6 pixels of the frame
        return torch.nn.functional.max_pool2d(guidance[:, :1], 13, 1, 6) - 0.5

    s = ils.Session(tiny_model, "none")
    says(s.model, find)
    s.set_image(large)
    return s


def test_the_network_looks_closer_at_what_it_finds(zooming):
    in_the_whole_image = zooming.predict([ils.Click(100, 80)]) > 0.5
    first = zooming.click(100, 80)
    assert in_the_whole_image.sum() > 4 * first.sum() > 0  # the same disk, in a frame where pixels are small
    assert first[80, 100]
    assert zooming._now.frame.window == zooming._look(zooming.clicks, in_the_whole_image).window
    second = zooming.click(108, 80)
    assert second[80, 100]
    assert second[80, 108]
    assert np.array_equal(zooming.undo(), first)
    assert np.array_equal(zooming.redo(), second)
    zooming.click(299, 199, False)  # outside the window: known to be background, and no error
    assert not zooming.mask[199, 299]
    far = zooming.click(250, 150)
    assert far[150, 250]
    assert far[80, 100]


@pytest.mark.parametrize("mode", [Adaptation(), Adaptation(image=replace(IA, steps=0, scope="decoder"))], ids=["none", "IA"])
def test_the_first_answer_too_is_averaged_with_the_whole(zooming, mode):
    zooming.adapt = mode
    zooming.model.config = replace(zooming.model.config, context=0.5)
    seen = []

    def encode(pixels, guidance, **_):
        seen.append(tuple(pixels.shape[-2:]))
        return [pixels, guidance]

    zooming.model.encode = encode
    zooming.click(100, 80)
    whole, window = zooming._frame, zooming._now.frame
    assert seen == [whole.size, window.size]  # the encoder has looked at each once
    clicks = zooming.clicks
    each = [zooming.model.decode([frame.pixels, frame.guidance(clicks)], frame.size)[0, 0] for frame in (window, whole)]
    np.testing.assert_allclose(zooming._now.logits, (each[0] + window.part_of(each[1])) / 2, rtol=1e-5)


def test_a_click_answered_together_with_the_next_is_looked_at_twice_too(zooming):
    alone = zooming.click(100, 80)
    zooming.reset()
    zooming.click(108, 80, earlier=[ils.Click(100, 80)])
    assert np.array_equal(zooming.undo(), alone)


def test_a_first_click_that_finds_nothing_or_most_of_the_image_stays_with_the_whole(zooming):
    for answer in (-1.0, 1.0):
        zooming.reset()
        says(zooming.model, lambda pixels, guidance, answer=answer: torch.full((1, 1, *pixels.shape[-2:]), answer))
        zooming.click(100, 80)
        assert zooming._now.frame is zooming._frame


def test_predict_finds_any_object_of_the_image(zooming):
    zooming.click(100, 80)
    zooming.click(108, 80)
    assert not zooming.mask[180, 20]
    assert zooming.predict([ils.Click(20, 180)])[180, 20] > 0.5  # outside the window of the object at hand
    np.testing.assert_array_equal(zooming.predict() > 0.5, zooming.mask)


@pytest.mark.parametrize("mode", [Adaptation(), Adaptation(image=IA)], ids=["none", "IA"])
def test_the_answer_for_a_window_is_averaged_with_that_for_the_whole(tiny_model, mode):
    """By a network that says 1 of a window and -1 of the whole image, which is larger than it."""

    def probability(share):
        tiny_model.config = replace(tiny_model.config, zoom=1.4, context=share, appearance=0.0)
        session = ils.Session(tiny_model, mode)
        session.set_image(np.zeros((200, 300, 3), np.uint8))
        parameter = next(session.model.parameters())

        def tell(pixels, guidance):
            is_whole = pixels.shape[-2:] == session._frame.size
            return torch.full((1, 1, *pixels.shape[-2:]), -1.0 if is_whole else 1.0) + 0 * parameter.sum()

        says(session.model, tell)
        session.click(100, 80)
        assert not session.mask.any()
        window = Window(60, 80, 100, 120)
        session._window = lambda clicks, mask: window
        early = []
        session.click(100, 80, on_prediction=early.append)
        top, left, bottom, right = window
        inside = session.probability[top:bottom, left:right]
        assert not np.delete(session.probability, np.s_[top:bottom], 0).any()  # outside is background
        assert all(np.array_equal(mask, session.mask) for mask in early)
        np.testing.assert_allclose(session.predict()[top:bottom, left:right], inside, rtol=1e-5)
        return inside

    for share in (0.0, 0.3, 1.0):
        np.testing.assert_allclose(probability(share), 1 / (1 + np.exp(2 * share - 1)), rtol=1e-5)


def test_a_sequence_learns_from_the_whole_image_and_from_the_window(tiny_model, monkeypatch):
    tiny_model.config = replace(tiny_model.config, zoom=1.4)
    session = ils.Session(tiny_model, Adaptation(sequence=SA))
    session.set_image(np.random.default_rng(1).integers(0, 255, (200, 300, 3), dtype=np.uint8))
    mask = np.zeros((200, 300), bool)
    mask[50:90, 60:120] = True
    monkeypatch.setattr(type(session), "mask", mask)
    for x in (80, 84, 88, 92):
        session.click(x, 70)
    now = session._now
    assert now.frame.window != (0, 0, 200, 300)
    seen = []

    def spy(model, frame, clicks, prediction, settings, anchor, optimizer, shown, on_step):
        seen.append((frame, prediction, shown))
        return Nothing

    monkeypatch.setattr(session_module, "adapt", spy)
    session.finish()
    (frame, prediction, on_whole), (view, target, in_window) = seen
    assert on_whole == [now.clicks[0]]  # the network never sees the whole image with more
    assert len(in_window) == 2  # half of them, by the settings
    assert frame.window == (0, 0, 200, 300)
    assert torch.equal(prediction, frame.at_frame_size(mask))
    assert torch.equal(target, view.at_frame_size(mask))
    assert view.window == session._look(now.clicks, mask).window != frame.window  # what a further click would see


class Nothing:
    notice = None


def test_weights_that_do_not_change_are_shared_between_undo_steps(tiny_model):
    session = ils.Session(tiny_model, Adaptation(image=replace(IA, scope="decoder")))
    session.set_image(IMAGE)
    session.click(20, 20)
    session.click(30, 30)
    first, second = session._past[-1].weights, session._now.weights
    shared = {name for name in first if first[name] is second[name]}
    assert {name for name in first if name.startswith("network.encoder.")} <= shared
    assert not {"network.segmentation_head.0.weight"} & shared


def test_a_state_that_does_not_fit_changes_nothing(tiny_model):
    session = ils.Session(tiny_model, Adaptation(sequence=SA))
    session.set_image(np.zeros((48, 64, 3), np.uint8))
    session.click(20, 20)
    session.finish()
    session.click(30, 30)
    before, state = session.mask.copy(), session.state_dict()
    other = ils.Session(ils.InteractiveSegmenter("Unet:resnet18"), "none").state_dict()
    broken = [{}, [], {**state, "rng": 3}, {**state, "weights": None}, {**state, "optimizer": {"state": {}}}]
    for wrong, told in [(other, "another model"), *((one, "no state of a session") for one in broken)]:
        with pytest.raises(WeightsError, match=told):
            session.load_state_dict(wrong)
    assert session.objects == 1
    assert np.array_equal(session.mask, before)
    session.click(10, 10)


def test_textures_are_those_of_the_encoder_that_has_learned():
    """What is asked again is answered alike, where IA teaches the encoder, too."""
    session = ils.Session(ils.load_model(device="cpu"), Adaptation(Settings(3, 1e-4, 0.5, 0.0)))
    session.set_image(data.chelsea()[:150, :225])
    for click in ((110, 60), (20, 20, False)):
        session.click(*click)
        np.testing.assert_allclose(session.predict(), session.probability, atol=1e-4)
