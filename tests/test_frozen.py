import copy

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from ilsegkit.frozen import FrozenEncoder
from ilsegkit.model import InteractiveSegmenter, load_model

ENCODERS = [
    ("tu-tf_efficientnet_lite0", {"output_stride": 16}),  # the bundled one
    ("tu-test_efficientnet", {}),
    ("tu-efficientnet_es", {}),  # blocks of other kinds
    ("tu-mobilenetv2_050", {}),
    ("tu-mixnet_s", {}),  # convolutions of another kind have norms, too
    ("resnet18", {}),  # run as it is
]


def lived(name, options):
    """An encoder with batch norms that have seen something, in evaluation mode."""
    torch.manual_seed(0)
    encoder = smp.encoders.get_encoder(name, in_channels=5, weights=None, **options)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value, low, high in ((module.weight, 0.5, 1.5), (module.running_var, 0.5, 2), (module.bias, -1, 1)):
                nn.init.uniform_(value, low, high)
            nn.init.uniform_(module.running_mean, -1, 1)
    return encoder.eval()


@pytest.fixture(scope="module", params=ENCODERS, ids=lambda encoder: encoder[0])
def encoder(request):
    return lived(*request.param)


def same(some, others):
    for one, other in zip(some, others, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()) if other.numel() else 0)


@torch.no_grad()
def test_gives_the_features_of_the_encoder(encoder):
    x = torch.randn(2, 5, 64, 96)
    before, expected = copy.deepcopy(encoder.state_dict()), encoder(x)
    same(FrozenEncoder(encoder)(x), expected)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(torch.equal(one, other) for one, other in zip(encoder(x), expected, strict=True))


@torch.no_grad()
def test_the_first_features_are_those_of_all_stages(encoder):
    x = torch.randn(1, 5, 64, 64)
    frozen = FrozenEncoder(encoder)
    features = frozen(x)
    for count in range(1, len(features) + 1):
        some = frozen(x, count)
        assert len(some) == count
        assert all(torch.equal(one, other) for one, other in zip(some, features, strict=False))


@torch.no_grad()
def test_follows_what_the_encoder_learns():
    encoder, x = lived(*ENCODERS[0]), torch.randn(1, 5, 64, 64)
    frozen = FrozenEncoder(encoder)
    before = frozen(x)
    changes = [
        lambda: encoder.model.conv_stem.weight.mul_(1.2),
        lambda: encoder.model.blocks[3][0].bn2.bias.add_(0.3),
        lambda: encoder.model.blocks[1][0].bn1.running_mean.sub_(0.5),
        lambda: encoder.load_state_dict(lived(*ENCODERS[0]).state_dict()),
    ]
    for change in changes:
        change()
        after = frozen(x)
        same(after, encoder(x))
        assert not torch.allclose(after[-1], before[-1], rtol=1e-2)
        before = after


@torch.no_grad()
def test_goes_along_to_another_type():
    encoder, x = lived(*ENCODERS[0]), torch.randn(1, 5, 64, 64)
    frozen = FrozenEncoder(encoder)
    frozen(x)
    encoder.double()
    assert {feature.dtype for feature in frozen(x.double())} == {torch.float64}


def test_is_made_once_while_nothing_changes(monkeypatch):
    frozen, made = FrozenEncoder(lived(*ENCODERS[1])), []
    monkeypatch.setattr("ilsegkit.frozen._folded", lambda encoder: made.append(encoder) or encoder)
    for _ in range(3):
        frozen(torch.zeros(1, 5, 64, 64))
    assert len(made) == 1


@torch.inference_mode()
def test_works_where_nothing_can_learn():
    encoder, x = lived(*ENCODERS[0]), torch.randn(1, 5, 64, 64)
    same(FrozenEncoder(encoder)(x), encoder(x))


def test_gives_no_gradients_and_takes_none_away():
    encoder = lived(*ENCODERS[1])
    x = torch.randn(1, 5, 64, 64)
    assert not any(feature.requires_grad for feature in FrozenEncoder(encoder)(x))
    encoder(x)[-1].square().mean().backward()
    assert all(parameter.grad is not None for name, parameter in encoder.named_parameters())


def test_an_encoder_that_trains_is_run_as_it_is():
    encoder = lived(*ENCODERS[1]).train()
    before = encoder.model.bn1.running_mean.clone()
    FrozenEncoder(encoder)(torch.randn(2, 5, 64, 64))
    assert not torch.equal(encoder.model.bn1.running_mean, before)


@torch.no_grad()
def test_stages_beyond_the_first_features_are_not_run():
    encoder, ran = lived(*ENCODERS[0]), []
    for number, stage in enumerate(encoder.model.blocks):
        stage.register_forward_hook(lambda *_, number=number: ran.append(number))
    frozen = FrozenEncoder(encoder)  # hooks that are there when it is made are copied
    frozen(torch.zeros(1, 5, 32, 32), 4)
    assert ran == [0, 1, 2]
    ran.clear()
    frozen(torch.zeros(1, 5, 32, 32))
    assert ran == list(range(7))


@torch.no_grad()
def test_a_copy_of_a_model_follows_its_own_encoder():
    model = load_model(device="cpu")
    image, guidance = torch.rand(1, 3, 40, 40) * 255, torch.zeros(1, 2, 40, 40)
    before = model.encode(image, guidance, frozen=True)
    other = copy.deepcopy(model)
    other.first_convolution().weight.mul_(1.5)
    same(other.encode(image, guidance, frozen=True), other.encode(image, guidance))
    assert all(torch.equal(a, b) for a, b in zip(model.encode(image, guidance, frozen=True), before, strict=True))


@torch.no_grad()
def test_a_model_pads_for_it_too():
    model = InteractiveSegmenter("lite").eval()
    image, guidance = torch.rand(1, 3, 50, 70) * 255, torch.zeros(1, 2, 50, 70)
    same(model.encode(image, guidance, frozen=True), model.encode(image, guidance))
    same(model.encode(image, guidance, frozen=True, count=3), model.encode(image, guidance, count=3))
