import numpy as np
import pytest
import torch

from ilsegkit import importance as module
from ilsegkit.clicks import sample_clicks
from ilsegkit.errors import DataError
from ilsegkit.frame import Frame
from ilsegkit.importance import estimate_importance
from ilsegkit.model import InteractiveSegmenter


def test_it_is_the_mean_absolute_gradient_of_the_squared_output_scaled_to_mean_1(tiny_model, squares):
    samples = squares(2)
    expected = [torch.zeros_like(value) for value in tiny_model.parameters()]
    order = np.random.default_rng(0).permutation(2)
    for position, index in enumerate(order):
        frame = Frame(samples[index].image, tiny_model)
        clicks = sample_clicks(samples[index].mask, np.random.default_rng([0, position]))
        norm = (tiny_model(frame.pixels, frame.guidance(clicks)) ** 2).sum()
        for total, gradient in zip(expected, torch.autograd.grad(norm, list(tiny_model.parameters())), strict=True):
            total += gradient.abs()
    mean = sum(e.sum() for e in expected) / sum(e.numel() for e in expected)
    found = estimate_importance(tiny_model, samples)
    for (name, value), e in zip(found.items(), expected, strict=True):
        torch.testing.assert_close(value, e / mean, rtol=1e-3, atol=1e-4, msg=name)
    everything = torch.cat([value.flatten() for value in found.values()])
    assert everything.min() >= 0
    assert everything.mean().item() == pytest.approx(1.0, rel=1e-3)


def test_it_goes_on_where_it_was_stopped(tiny_model, squares, tmp_path, monkeypatch):
    samples, path = squares(4), tmp_path / "state"
    whole = estimate_importance(tiny_model, samples)
    real, calls = module.sample_clicks, []

    def stop_at_third(*args, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(module, "sample_clicks", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        estimate_importance(tiny_model, samples, checkpoint=path, every=1)
    with pytest.raises(DataError, match="other objects"):
        estimate_importance(tiny_model, samples[::-1], checkpoint=path, every=1)
    with pytest.raises(DataError, match="another model"):
        estimate_importance(InteractiveSegmenter(tiny_model.config), samples, checkpoint=path, every=1)
    rest = estimate_importance(tiny_model, samples, checkpoint=path, every=1)
    assert len(calls) == 5  # three, and the two that were left
    assert all(torch.equal(whole[name], rest[name]) for name in whole)
    assert not path.exists()


def test_a_damaged_checkpoint_is_told(tiny_model, squares, tmp_path):
    (tmp_path / "state").write_bytes(b"no checkpoint")
    with pytest.raises(DataError, match=r"cannot be read .* remove it"):
        estimate_importance(tiny_model, squares(1), checkpoint=tmp_path / "state")


def test_no_objects(tiny_model):
    with pytest.raises(DataError, match="no object"):
        estimate_importance(tiny_model, [])
