"""load and create_model: strict, frozen, nothing initialised in vain, and back out again."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_release import write_manifest

import c3dhub
from c3dhub.base.devices import best_device, resolve_device
from c3dhub.extraction.options import ComputeOptions
from c3dhub.hub import create_model, load
from c3dhub.networks import VideoNetwork
from c3dhub.networks.densenet import DenseNet
from c3dhub.networks.resnet import ResNet

CLIPS = torch.rand(1, 3, 8, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def saved(tiny: VideoNetwork, tmp_path: Path) -> Path:
    """Return a folder that ``save_pretrained`` wrote."""
    return tiny.save_pretrained(tmp_path / "saved")


def test_a_saved_network_comes_back_frozen_and_the_same(tiny: VideoNetwork, saved: Path) -> None:
    for reference in (saved, str(saved), saved / "model.safetensors"):
        network = load(reference, device="cpu")
        assert isinstance(network, ResNet)
        assert not network.training
        assert not any(p.requires_grad for p in network.parameters())
        assert network.config == tiny.config
        for key, value in tiny.state_dict().items():
            assert torch.equal(network.state_dict()[key], value)
        torch.testing.assert_close(network(CLIPS), tiny(CLIPS))
    assert sorted(p.name for p in saved.iterdir()) == ["config.json", "model.safetensors"]


def test_loading_initialises_nothing(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("random numbers for weights that are thrown away")

    monkeypatch.setattr(torch.nn.init, "kaiming_normal_", never)
    monkeypatch.setattr(torch.Tensor, "normal_", never)
    load(saved, device="cpu")


def change(folder: Path, key: str, value: torch.Tensor | None) -> None:
    state = load_file(folder / "model.safetensors")
    state.pop(key, None)
    if value is not None:
        state[key] = value
    save_file(state, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("layer1.0.conv1.weight", None),
        ("layer9.0.conv1.weight", torch.zeros(1)),
        ("fc.weight", torch.zeros(5, 63)),
    ],
)
def test_a_removed_added_or_reshaped_key_is_named_and_nothing_loads(
    saved: Path, key: str, value: torch.Tensor | None
) -> None:
    change(saved, key, value)
    with pytest.raises(c3dhub.CheckpointError, match=f"{key}.*nothing was loaded"):
        load(saved, device="cpu")


def test_integer_weights_are_refused(saved: Path) -> None:
    change(saved, "fc.bias", torch.zeros(5, dtype=torch.int64))
    with pytest.raises(
        c3dhub.CheckpointError, match=r"fc\.bias is torch\.int64, not torch\.float32"
    ):
        load(saved, device="cpu")


def test_weights_of_mixed_precision_are_refused(saved: Path) -> None:
    change(saved, "fc.bias", torch.zeros(5, dtype=torch.float16))
    with pytest.raises(c3dhub.CheckpointError, match=r"torch\.float16 and torch\.float32, not all"):
        load(saved, device="cpu")


def test_a_damaged_file_is_refused(saved: Path) -> None:
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(c3dhub.CheckpointError, match="cannot read it as safetensors"):
        load(saved, device="cpu")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": 3}'])
def test_a_bad_config_is_refused(saved: Path, text: str) -> None:
    (saved / "config.json").write_text(text)
    with pytest.raises(c3dhub.CheckpointError, match="config"):
        load(saved, device="cpu")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("resnet50_kinetcs", c3dhub.UnknownModelError, "Did you mean resnet50_kinetics"),
        ("resnet50", c3dhub.UnknownModelError, r"architecture.*create_model\('resnet50'\)"),
        ("no/such/folder", c3dhub.CheckpointError, "no such file or folder"),
        ("model.pth", c3dhub.CheckpointError, "no such file"),
        ("hf://onlyone", ValueError, "hf://"),
        (None, TypeError, "name is None"),
        ("", c3dhub.UnknownModelError, "no model is called ''"),
    ],
)
def test_names_that_are_nothing_are_refused(
    name: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load(name)


def test_a_model_that_is_not_here_gives_the_steps() -> None:
    with pytest.raises(c3dhub.WeightsUnavailableError, match=r"convert .*--name resnet152_k"):
        load("resnet152_kinetics", local_files_only=True)


def test_weights_are_known_by_their_hash_until_they_change(saved: Path) -> None:
    network = load(saved, device="cpu")
    sha256 = network.weights_sha256
    assert sha256 is not None
    assert len(sha256) == 64
    assert network.prepared(ComputeOptions()).weights_sha256 == sha256
    assert network.to("cpu").weights_sha256 == sha256
    with torch.no_grad():
        network.get_parameter("fc.bias").add_(1)
    assert network.weights_sha256 is None
    assert network.prepared(ComputeOptions()).weights_sha256 is None


# torch 2.4 says this of its own way to send tensors.
@pytest.mark.filterwarnings("ignore:You are using `torch.load`:FutureWarning")
def test_networks_are_sent_to_other_processes(saved: Path) -> None:
    network = load(saved, device="cpu")
    network.prepared(ComputeOptions())
    for sent in (network, load(saved, device="cpu", precision="float32")):
        again = pickle.loads(pickle.dumps(sent))
        torch.testing.assert_close(again(CLIPS), sent(CLIPS))
        assert again.weights_sha256 == sent.weights_sha256 is not None


def test_the_precision_is_checked_before_anything_is_fetched() -> None:
    with pytest.raises(ValueError, match="precision is 'int4'"):
        load("resnet18_kinetics", device="cpu", precision="int4")  # type: ignore[call-overload]


@pytest.mark.parametrize("way", ["train", "reset", "half"])
def test_other_weights_are_not_passed_off_as_the_released_ones(saved: Path, way: str) -> None:
    network = load(saved, device="cpu")
    if way == "train":
        network.train()(CLIPS)  # moves BatchNorm's averages
    elif way == "reset":
        network.reset_classifier(5)
    else:
        network.half()
    assert network.weights_sha256 is None


def test_two_models_of_one_class_are_told_apart(saved: Path) -> None:
    assert ResNet.from_pretrained(saved, device="cpu").num_classes == 5
    with pytest.raises(TypeError, match="holds a ResNet, not a DenseNet"):
        DenseNet.from_pretrained(saved, device="cpu")
    with pytest.raises(ValueError, match="only those have revisions"):
        ResNet.from_pretrained(saved, revision="main")


def test_create_model_gives_a_trainable_network_of_the_asked_shape() -> None:
    network = create_model("resnet18", num_classes=7, width=8, shortcut="B", device="cpu")
    assert network.training
    assert all(p.requires_grad for p in network.parameters())
    assert network.num_classes == 7
    assert "layer2.0.downsample.0.weight" in network.state_dict()
    assert network.classes is None
    assert network(CLIPS).shape == (1, 7)


def test_create_model_takes_the_config_of_a_model() -> None:
    network = create_model("mc3_18_kinetics400_v1", device="meta")
    assert network.num_classes == 400
    assert network.classes is not None
    assert network.classes[0] == "abseiling"
    assert network.config.input.resize_size == (128, 171)
    assert create_model("mc3_18_kinetics400_v1", num_classes=3, device="meta").classes is None


@pytest.mark.parametrize(
    ("name", "mean"),
    [("resnet18", 114.7748), ("r3d50", 0.4345), ("r3d_18", 0.43216), ("resnet10", 114.7748)],
)
def test_an_architecture_has_the_input_contract_of_its_release(name: str, mean: float) -> None:
    assert create_model(name, device="meta").config.input.mean[0] == mean


def test_every_other_number_of_channels_works_with_tensors() -> None:
    network = create_model("resnet10", in_channels=2, width=8, device="cpu").eval()
    assert network(CLIPS[:, :2]).shape == (1, 400)
    assert len(network.config.input.mean) == 2
    with pytest.raises(ValueError, match="takes 2 channels"):
        network.extract_features(torch.zeros(4, 64, 64, 3, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("resnet51", {}, c3dhub.UnknownModelError, "Did you mean resnet50"),
        ("densenet121", {"shortcut": "A"}, ValueError, "option 'shortcut' is unknown"),
        ("resnet18", {"shortcut": "C"}, ValueError, "shortcut"),
        (None, {}, TypeError, "name is None"),
        ("resnet18", {"num_classes": 0}, ValueError, "num_classes is 0"),
        ("resnet18", {"in_channels": 0}, ValueError, "in_channels is 0"),
    ],
)
def test_create_model_refuses_what_it_cannot_build(
    name: str, options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        create_model(name, **options)  # type: ignore[arg-type]


def test_best_device_prefers_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert best_device() == "cpu"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert best_device() == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert best_device() == "cuda"


@pytest.mark.parametrize("device", ["warp", "cuda:99", "cpu:x"])
def test_a_device_that_is_not_there_is_refused(saved: Path, device: str) -> None:
    with pytest.raises(ValueError, match=f"device is '{device}'.*the best device of this machine"):
        load(saved, device=device)
    with pytest.raises(ValueError, match=device):
        resolve_device(device)


def test_an_inference_form_cannot_be_saved(tiny: VideoNetwork, tmp_path: Path) -> None:
    form: Any = tiny.prepared(ComputeOptions())
    with pytest.raises(ValueError, match="inference form in float32"):
        form.save_pretrained(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_the_name_in_a_manifest_wins_over_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("C3DHUB_MANIFEST", str(write_manifest(tmp_path / "m.json", {"tiny": {}})))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()
    with pytest.raises(c3dhub.WeightsUnavailableError):
        load("tiny")


def test_class_names_travel_with_the_folder(tmp_path: Path) -> None:
    network = create_model("resnet10", num_classes=2, width=8, device="cpu")
    config = {**network.config.to_dict(), "classes": ["sit", "été"]}
    folder = network.save_pretrained(tmp_path / "m")
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert load(folder, device="cpu").classes == ("sit", "été")
