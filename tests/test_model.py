import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from ilsegkit.errors import WeightsError
from ilsegkit.model import PRESETS, InteractiveSegmenter, ModelConfig, load_model, pick_device, save_model


def inputs(height, width, batch=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch, 3, height, width, generator=generator) * 255
    guidance = (torch.rand(batch, 2, height, width, generator=generator) < 0.1).float()
    return image, guidance


class TestForward:
    @pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 9), (8, 8), (50, 70), (64, 64)])
    @torch.no_grad()
    def test_any_size_gives_a_logit_per_pixel(self, tiny_model, size):
        logits = tiny_model(*inputs(*size, batch=2))
        assert logits.shape == (2, 1, *size)
        assert torch.isfinite(logits).all()

    @torch.no_grad()
    def test_padded_with_the_mean_colour_and_no_click(self, tiny_model):
        # Neither stretched nor moved: what the network sees is the picture itself, in a larger frame.
        image, guidance = inputs(50, 70)
        framed = tiny_model.mean.expand(1, 3, 56, 72).clone()
        framed[..., :50, :70] = image
        logits = tiny_model(framed, F.pad(guidance, (0, 2, 0, 6)))
        torch.testing.assert_close(tiny_model(image, guidance), logits[..., :50, :70])

    @torch.no_grad()
    def test_normalised_with_the_config(self, tiny_model):
        image, guidance = inputs(16, 24)
        config = tiny_model.config
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (config.mean, config.std))
        expected = tiny_model.network(torch.cat([(image - mean) / std, guidance], 1))
        torch.testing.assert_close(tiny_model(image, guidance), expected)

    @torch.no_grad()
    def test_clicks_matter(self, tiny_model):
        image, guidance = inputs(32, 32)
        swapped = tiny_model(image, guidance.flip(1))
        assert not torch.allclose(tiny_model(image, guidance), swapped)

    @torch.no_grad()
    def test_pictures_of_a_batch_do_not_mix(self, tiny_model):
        image, guidance = inputs(24, 32, batch=2)
        torch.testing.assert_close(tiny_model(image, guidance)[1:], tiny_model(image[1:], guidance[1:]), rtol=1e-4, atol=1e-5)

    def test_every_parameter_gets_a_gradient(self, tiny_model):
        tiny_model(*inputs(16, 16)).square().sum().backward()
        assert all(parameter.grad is not None for parameter in tiny_model.parameters())


class TestPresets:
    def test_lite(self):
        model = InteractiveSegmenter("lite").eval()
        assert model.config == PRESETS["lite"]
        assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(3.3e6, rel=0.1)
        with torch.no_grad():
            assert model.network.encoder(torch.zeros(1, 5, 64, 64))[-1].shape[-2:] == (4, 4)  # stride 16
            assert model(*inputs(33, 47)).shape == (1, 1, 33, 47)

    def test_paper(self):
        model = InteractiveSegmenter("paper").eval()
        assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(41e6, rel=0.02)
        with torch.no_grad():
            strides = [64 // feature.shape[-1] for feature in model.network.encoder(torch.zeros(1, 5, 64, 64))]
        assert strides[-1] == 8
        assert 4 in strides  # of the features that the decoder adds
        rates = {
            module.dilation[0]
            for name, module in model.network.named_modules()
            if name.startswith("decoder.aspp") and isinstance(module, torch.nn.Conv2d)
        }
        assert rates == {1, 12, 24, 36}
        assert model.config.input_size == 513

    @pytest.mark.parametrize("name", PRESETS)
    def test_multiple_fits_the_stride(self, name):
        config = PRESETS[name]
        assert config.multiple % config.options["encoder_output_stride"] == 0

    def test_unknown_preset(self):
        with pytest.raises(WeightsError, match=r"'huge'.*lite, paper"):
            InteractiveSegmenter("huge")

    @pytest.mark.parametrize(
        "config",
        [
            ModelConfig("NoNet", "resnet18"),
            ModelConfig("Unet", "no-encoder"),
            ModelConfig("DeepLabV3Plus", "resnet18", {"encoder_output_stride": 7}),
        ],
    )
    def test_what_cannot_be_built(self, config):
        with pytest.raises(WeightsError, match=f"cannot build {config.architecture} on {config.encoder}"):
            InteractiveSegmenter(config)


class TestStartFrom:
    @pytest.fixture
    def rgb(self, tiny_model):
        config = tiny_model.config
        network = smp.Unet(config.encoder, encoder_weights=None, in_channels=3, classes=1, **config.options)
        return network.encoder.state_dict()

    def test_rgb_is_copied_unscaled_and_clicks_get_random_values(self, tiny_model, rgb):
        decoder = {name: value.clone() for name, value in tiny_model.network.decoder.state_dict().items()}
        tiny_model.start_from(rgb)
        own = tiny_model.network.encoder.state_dict()
        first = next(name for name, value in rgb.items() if value.ndim == 4)
        for name, value in rgb.items():
            copied = own[name][:, :3] if name == first else own[name]
            assert torch.equal(copied, value), name
        clicks = own[first][:, 3:]
        assert clicks.shape[1] == 2
        assert clicks.std().item() == pytest.approx(2 * rgb[first].std().item(), rel=0.15)
        for name, value in tiny_model.network.decoder.state_dict().items():
            assert torch.equal(value, decoder[name]), name

    def test_encoder_without_a_first_convolution(self, tiny_model, rgb):
        first = next(name for name, value in rgb.items() if value.ndim == 4)
        del rgb[first]
        with pytest.raises(WeightsError, match="lack"):
            tiny_model.start_from(rgb)

    def test_tensor_that_the_encoder_lacks(self, tiny_model, rgb):
        with pytest.raises(WeightsError, match=r"'layer9\.weight'"):
            tiny_model.start_from({**rgb, "layer9.weight": torch.zeros(1)})

    def test_tensor_of_another_shape(self, tiny_model, rgb):
        last = [name for name, value in rgb.items() if value.ndim == 4][-1]
        rgb[last] = rgb[last][:-1]
        with pytest.raises(WeightsError, match=last):
            tiny_model.start_from(rgb)


class TestWeightsFiles:
    @pytest.fixture
    def path(self, tiny_model, tmp_path):
        tiny_model.importance = {name: torch.rand_like(value) for name, value in tiny_model.named_parameters()}
        tiny_model.adaptation = {"IA": {"rate": 1e-4, "steps": 5}, "SA": {"lam": 0.5}}
        tiny_model.info = {"trained": {"iterations": 7}, "data": ["here"]}
        path = tmp_path / "deep" / "model.safetensors"
        save_model(path, tiny_model)
        return path

    def test_round_trip(self, tiny_model, path):
        model = load_model(path, device="cpu")
        assert not model.training
        assert replace(model.config, options={}) == replace(tiny_model.config, options={})
        assert model.adaptation == tiny_model.adaptation
        assert model.info == tiny_model.info
        for name, value in tiny_model.state_dict().items():
            assert torch.equal(model.state_dict()[name], value), name
        assert model.importance.keys() == tiny_model.importance.keys()
        for name, value in tiny_model.importance.items():
            assert torch.equal(model.importance[name], value), name
        with torch.no_grad():
            assert torch.equal(model(*inputs(30, 40)), tiny_model(*inputs(30, 40)))

    def test_no_scratch_file_is_left(self, path):
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    @pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells which files are mapped")
    def test_a_file_that_was_read_is_let_go(self, path):
        model = load_model(path, "cpu")
        assert str(path) not in Path("/proc/self/maps").read_text()  # Windows would refuse to write over it
        assert model.importance is not None

    def test_model_without_importance(self, tiny_model, tmp_path):
        save_model(tmp_path / "plain.safetensors", tiny_model)
        model = load_model(tmp_path / "plain.safetensors", "cpu")
        assert (model.importance, model.adaptation, model.info) == (None, {}, {})

    def test_half_precision(self, tiny_model, path):
        small = path.with_name("half.safetensors")
        save_model(small, tiny_model, half=True)
        assert small.stat().st_size < 0.6 * path.stat().st_size
        model = load_model(small, "cpu")
        parameters = dict(tiny_model.named_parameters())
        for name, value in tiny_model.state_dict().items():
            loaded = model.state_dict()[name]
            assert loaded.dtype == value.dtype
            # Batch norm's statistics are not rounded.
            torch.testing.assert_close(loaded, value.half().float() if name in parameters else value, rtol=0, atol=0)
        for name, value in tiny_model.importance.items():
            torch.testing.assert_close(model.importance[name], value, rtol=1e-3, atol=1e-6)

    def test_saving_does_not_change_the_model(self, tiny_model, path):
        before = {name: value.clone() for name, value in tiny_model.state_dict().items()}
        save_model(path, tiny_model, half=True)
        for name, value in tiny_model.state_dict().items():
            assert value.dtype == before[name].dtype
            assert torch.equal(value, before[name])

    def test_missing(self, tmp_path):
        with pytest.raises(WeightsError, match=r"no weights file '.*nowhere\.safetensors'"):
            load_model(tmp_path / "nowhere.safetensors", "cpu")

    @pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
    def test_truncated(self, path, share):
        os.truncate(path, int(path.stat().st_size * share))
        with pytest.raises(WeightsError, match="no complete safetensors file"):
            load_model(path, "cpu")

    def test_folder_and_garbage(self, tmp_path):
        (tmp_path / "noise").write_bytes(bytes(range(256)) * 4)
        for path in (tmp_path, tmp_path / "noise"):
            with pytest.raises(WeightsError):
                load_model(path, "cpu")

    def test_foreign(self, tmp_path):
        save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors", {"format": "pt"})
        with pytest.raises(WeightsError, match="not written by ilsegkit"):
            load_model(tmp_path / "other.safetensors", "cpu")

    def rewrite(self, path, change_tensors=None, **metadata):
        """The file again, with other tensors or metadata."""
        from safetensors import safe_open

        tensors = load_file(path)
        with safe_open(str(path), framework="pt") as file:
            metadata = {**file.metadata(), **metadata}
        if change_tensors:
            change_tensors(tensors)
        save_file(tensors, path, metadata)

    @pytest.mark.parametrize("kind", ["shape", "missing", "more", "nameless"])
    def test_tensors_that_do_not_fit(self, path, kind):
        def change(tensors):
            name = next(name for name in tensors if name.startswith("weights/") and tensors[name].ndim == 4)
            if kind == "shape":
                tensors[name] = tensors[name][:-1].contiguous()
            elif kind == "missing":
                del tensors[name]
            else:
                tensors["weights/another" if kind == "more" else "another"] = torch.zeros(2)

        self.rewrite(path, change)
        with pytest.raises(WeightsError, match="do not fit"):
            load_model(path, "cpu")

    @pytest.mark.parametrize("kind", ["shape", "missing"])
    def test_importance_that_does_not_fit(self, path, kind):
        def change(tensors):
            name = next(name for name in tensors if name.startswith("importance/") and tensors[name].ndim == 4)
            if kind == "shape":
                tensors[name] = tensors[name][:-1].contiguous()
            else:
                del tensors[name]

        self.rewrite(path, change)
        with pytest.raises(WeightsError, match="importance"):
            load_model(path, "cpu")

    @pytest.mark.parametrize(
        "config",
        ["{", "[]", json.dumps({"architecture": "Unet"}), json.dumps({"architecture": "Unet", "encoder": "no-encoder"})],
    )
    def test_config_that_cannot_be_built(self, path, config):
        self.rewrite(path, config=config)
        with pytest.raises(WeightsError, match="do not fit"):
            load_model(path, "cpu")


@pytest.mark.parametrize("encoder", ["mobileone_s0", "tu-repvgg_a0"])
def test_gradients_of_single_pixels_on_few_channels(encoder):
    """Channels last, PyTorch 2.14 writes beyond its memory: the process ends. The layout is what keeps it from that."""
    model = InteractiveSegmenter(f"Unet:{encoder}").eval()
    for _ in range(3):
        model(torch.rand(1, 3, 64, 96), torch.zeros(1, 2, 64, 96)).square().mean().backward()
    assert model.first_convolution().weight.grad.isfinite().all()


def test_normalisation_is_the_encoder_s():
    assert InteractiveSegmenter("Unet:tu-test_resnet").config.mean != (0, 0, 0)
    lite = InteractiveSegmenter("Unet:tu-tf_efficientnet_lite0").config
    assert (lite.mean, lite.std) == ((127.5,) * 3, (127.5,) * 3)
    assert InteractiveSegmenter("Unet:resnet18").config.mean == (123.675, 116.28, 103.53)


def test_a_device_without_numbers_is_none():
    with pytest.raises(WeightsError, match="'meta' cannot be used"):
        load_model(device="meta")


def test_a_device_that_is_not_there_is_told():
    with pytest.raises(WeightsError, match="leave it out"):
        pick_device("cuda:99")
    with pytest.raises(WeightsError, match="leave it out"):
        pick_device("gpu")


def test_device_is_taken_as_told():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device() in (torch.device("cpu"), torch.device("cuda"), torch.device("mps"))


def test_the_importance_goes_where_the_model_goes(tiny_model):
    tiny_model.importance = {name: torch.ones_like(value) for name, value in tiny_model.named_parameters()}
    moved = tiny_model.to("meta")
    assert {value.device.type for value in moved.importance.values()} == {"meta"}


def gradients_and_memory(model):
    """Gradients of all parameters, and the bytes that autograd kept for them."""
    kept = {}

    def keep(value):
        kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        return value

    model.zero_grad()
    generator = torch.Generator().manual_seed(0)
    image, guidance = (torch.rand(1, channels, 64, 96, generator=generator) for channels in (3, 2))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        logits = model(image * 255, guidance)
    logits.square().mean().backward()
    return [value.grad.clone() for value in model.parameters()], sum(kept.values())


@pytest.mark.parametrize(("encoder", "share"), [("tu-tf_efficientnet_lite0", 0.75), ("tu-test_resnet", 0.99)])
def test_sparing_memory_changes_no_gradient(encoder, share):
    model = InteractiveSegmenter(f"Unet:{encoder}").eval()
    gradients, memory = gradients_and_memory(model)
    with model.sparing_memory():
        same, less = gradients_and_memory(model)
    assert all(torch.equal(a, b) for a, b in zip(gradients, same, strict=True))
    assert less < share * memory
    assert gradients_and_memory(model)[1] == memory


def test_memory_is_not_spared_where_that_would_do_harm():
    model = InteractiveSegmenter("Unet:tu-test_resnet").train()
    memory = gradients_and_memory(model)[1]
    with model.sparing_memory():  # batch norm would count what it sees twice
        assert gradients_and_memory(model)[1] == memory
    other = InteractiveSegmenter("Unet:resnet18").eval()  # cannot compute its blocks again
    memory = gradients_and_memory(other)[1]
    with other.sparing_memory():
        assert gradients_and_memory(other)[1] == memory
