"""The inference form: the same numbers, prepared once, and the plain network untouched."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from c3dhub.extraction.engines import precision, resolve
from c3dhub.extraction.options import ComputeOptions
from c3dhub.hub import create_model, load
from c3dhub.networks import VideoNetwork

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
CLIPS = torch.rand(2, 3, 8, 64, 64, generator=torch.Generator().manual_seed(0))
SMALL = {"resnet10": 8, "preresnet10": 8, "r2p1d10": 8, "resnext50": 16, "r2plus1d_18": 8}


def make(name: str) -> VideoNetwork:
    """Return a network whose BatchNorm does something, as a trained one's does."""
    torch.manual_seed(0)
    network = create_model(name, num_classes=5, width=SMALL.get(name), device="cpu").eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a.float() - b).norm() / b.norm())


@pytest.mark.parametrize("name", [*SMALL, "densenet121"])
def test_float32_stays_within_1e_5_in_every_stage(name: str) -> None:
    network = make(name)
    form = network.prepared(ComputeOptions())
    with torch.no_grad():
        plain = network.forward_stages(CLIPS, network.stage_names)
        folded = form.forward_stages(CLIPS, network.stage_names)
    for stage, value in plain.items():
        assert relative(folded[stage], value) < 1e-5, stage
    norms = [m for m in form.modules() if isinstance(m, torch.nn.BatchNorm3d)]
    before = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm3d)]
    assert len(norms) < len(before)
    # BatchNorm after a concatenation or a sum has no convolution of its own to go into.
    assert not norms or name in ("densenet121", "preresnet10")


# The numbers are the same on a CPU that computes bfloat16 slowly, and says so.
@pytest.mark.filterwarnings("ignore:this CPU .* has no instructions for bfloat16")
def test_bfloat16_is_close_and_cast(tiny: VideoNetwork) -> None:
    form = tiny.prepared(ComputeOptions(precision="bfloat16"))
    assert form.dtype == torch.bfloat16
    assert form.inference_precision == "bfloat16"
    with torch.no_grad():
        a = form.forward_stages(CLIPS.bfloat16(), ("avgpool",))["avgpool"]
        b = tiny.forward_stages(CLIPS, ("avgpool",))["avgpool"]
    assert relative(a, b) < 0.02


# The numbers are the same on a CPU that computes bfloat16 slowly, and says so.
@pytest.mark.filterwarnings("ignore:this CPU .* has no instructions for bfloat16")
def test_what_the_transforms_give_goes_into_any_form(tiny: VideoNetwork) -> None:
    form = tiny.prepared(ComputeOptions(precision="bfloat16"))
    clip = form.transforms(torch.zeros(8, 64, 64, 3, dtype=torch.uint8))
    assert form(clip[None]).dtype == torch.bfloat16


def test_the_form_is_made_once_and_again_after_a_change() -> None:
    network = make("resnet10")
    form = network.prepared(ComputeOptions())
    assert network.prepared(ComputeOptions()) is form
    assert form.prepared(ComputeOptions()) is form
    assert form.prepared(ComputeOptions(precision="float32")) is form
    assert network.inference_precision is None
    with torch.no_grad():
        network.get_parameter("conv1.weight").mul_(2)
    assert network.prepared(ComputeOptions()) is not form
    form = network.prepared(ComputeOptions())
    network.reset_classifier(5)
    assert network.prepared(ComputeOptions()) is not form


def test_the_plain_network_keeps_its_state() -> None:
    network = make("resnet10").train()
    state = {key: value.clone() for key, value in network.state_dict().items()}
    form = network.prepared(ComputeOptions())
    assert network.training
    assert not form.training
    assert not any(p.requires_grad for p in form.parameters())
    assert all(p.requires_grad for p in network.parameters())
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[key])


def test_forms_go_with_their_network() -> None:
    network = make("resnet10")
    form = weakref.ref(network.prepared(ComputeOptions()))
    del network
    gc.collect()
    assert form() is None


def test_load_gives_an_inference_form_on_request(
    tiny: VideoNetwork, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tiny.save_pretrained(tmp_path_factory.mktemp("model"))
    network = load(folder, device="cpu", precision="float32")
    assert network.inference_precision == "float32"
    with pytest.raises(ValueError, match="prepared for 'float32'; load it again"):
        network.prepared(ComputeOptions(precision="bfloat16"))


@pytest.mark.parametrize(
    ("name", "device", "message"),
    [
        ("float8", CPU, "one of float32, bfloat16"),
        ("float16", CPU, "use 'bfloat16' or 'float32' here"),
        ("int8", CUDA, "runs on CPUs only"),
    ],
)
def test_precisions_that_cannot_be_had(name: str, device: torch.device, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve(name, None, device)


@pytest.mark.parametrize(("native", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_is_bfloat16_only_where_the_hardware_has_it(
    monkeypatch: pytest.MonkeyPatch, native: bool, expected: str
) -> None:
    monkeypatch.setattr(precision, "native_bfloat16", lambda _: native)
    assert resolve("auto", None, CPU)[0] == expected
    assert resolve("float16", None, CUDA)[0] == "float16"


def test_hardware_is_asked_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert resolve("auto", None, CUDA)[0] == "float32"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert resolve("auto", None, CUDA)[0] == "bfloat16"
    assert resolve("auto", None, torch.device("mps"))[0] == "float32"
    assert resolve("auto", None, CPU)[0] in ("bfloat16", "float32")


def test_forms_can_be_made_in_inference_mode() -> None:
    with torch.inference_mode():
        network = create_model("resnet10", num_classes=3, device="cpu")
        form = network.prepared(ComputeOptions())
        form(torch.rand(1, 3, 4, 32, 32))
    assert not next(form.parameters()).is_inference()
