"""The networks beside their numbers: stages, heads, options, bad input, and what torch offers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from c3dhub.base.errors import UnknownModelError
from c3dhub.networks import VideoNetwork, build, count_flops, stage_shapes
from c3dhub.networks.resnet import ShortcutA
from c3dhub.registry.config import InputContract, ModelConfig

CONTRACT = InputContract(1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "short_side", (112,), True)

# One small network per family; every block, shortcut and kind of convolution occurs.
FAMILIES = (
    "resnet10 r3d10 resnet50 wideresnet50 preresnet10 preresnet200 r2p1d10 r2p1d50 "
    "r3d_18 mc3_18 r2plus1d_18"
)
TINY: dict[str, dict[str, Any]] = {
    **{name: {"width": 4, "layers": [1, 1, 1, 1]} for name in FAMILIES.split()},
    "resnext50": {"width": 16, "layers": [1, 1, 1, 1]},
    "densenet121": {"width": 8, "layers": [2, 1, 1, 1], "growth": 4},
}
TINY["resnet50"]["shortcut"] = "A"
COMPILED = ("resnet10", "densenet121")  # takes seconds: the two that differ most


def make_config(
    architecture: str, *, options: Mapping[str, Any] | None = None, **changes: Any
) -> ModelConfig:
    values: dict[str, Any] = {"num_classes": 5, "clip_len": 16, "input": CONTRACT, **changes}
    return ModelConfig(architecture, architecture, options=options or {}, **values)


def tiny(architecture: str, **changes: Any) -> VideoNetwork:
    """Return a small network of a family, eval."""
    torch.manual_seed(0)
    return build(make_config(architecture, options=TINY[architecture], **changes)).eval()


def random_clips(n: int = 1, c: int = 3, t: int = 8, h: int = 64, w: int = 64) -> Tensor:
    return torch.randn(n, c, t, h, w, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=list(TINY))
def network(request: pytest.FixtureRequest) -> VideoNetwork:
    return tiny(request.param)


def test_stages_have_the_computed_shapes_and_end_in_the_logits(network: VideoNetwork) -> None:
    clips = random_clips(2)
    with torch.no_grad():
        stages = network.forward_stages(clips, network.stage_names)
        assert torch.equal(stages["logits"], network(clips))
    shapes = {name: tuple(value.shape[1:]) for name, value in stages.items()}
    assert shapes == stage_shapes(network, 8, 64)
    assert tuple(shapes) == network.stage_names
    assert (shapes["avgpool"], shapes["logits"]) == ((network.num_features,), (5,))


def test_a_stage_is_the_same_alone_and_with_the_others(network: VideoNetwork) -> None:
    clips = random_clips()
    with torch.no_grad():
        together = network.forward_stages(clips, network.stage_names)
        for name in network.stage_names:
            assert torch.equal(network.forward_stages(clips, [name])[name], together[name]), name


def test_any_order_and_duplicates_are_fine_and_nothing_behind_the_deepest_stage_runs() -> None:
    network = tiny("resnet10")
    ran: list[str] = []
    for name, module in network.named_children():
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    stages = network.forward_stages(random_clips(), ("layer2", "stem", "layer2"))
    assert list(stages) == ["layer2", "stem"]
    assert ran == ["conv1", "bn1", "layer1", "layer2"]


@pytest.mark.parametrize("shape", [(1, 3, 64, 64, 64), (2, 3, 8, 64, 96), (1, 3, 1, 1, 1)])
def test_any_clip_length_and_size_works(network: VideoNetwork, shape: tuple[int, ...]) -> None:
    with torch.no_grad():
        logits = network(random_clips(*shape))
    assert logits.shape == (shape[0], 5)
    assert logits.isfinite().all()


@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("architecture", ["resnet10", "r2p1d10", "densenet121", "r2plus1d_18"])
def test_other_numbers_of_channels_work(architecture: str, channels: int) -> None:
    assert tiny(architecture, in_channels=channels)(random_clips(c=channels)).shape == (1, 5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_close_to_single(network: VideoNetwork, dtype: torch.dtype) -> None:
    clips = random_clips()
    with torch.no_grad():
        single = network(clips)
        half = copy.deepcopy(network).to(dtype)(clips.to(dtype))
    assert half.dtype == dtype
    assert (half.float() - single).norm() < 0.05 * single.norm()


def test_shortcut_a_passes_the_gradient_of_every_value_it_keeps() -> None:
    x = torch.randn(1, 2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    shortcut = ShortcutA(2, 6, 2)
    y = shortcut(x)
    assert y.shape == (1, 6, 2, 2, 3)
    assert torch.equal(y[:, :2], x[:, :, ::2, ::2, ::2])
    assert not y[:, 2:].any()
    assert torch.autograd.gradcheck(shortcut, (x,))


def after_a_step(network: nn.Module, clips: Tensor) -> dict[str, Tensor]:
    """Return all gradients of a training step, and the buffers as it leaves them."""
    network.train()(clips).square().sum().backward()
    gradients = {name: value.grad for name, value in network.named_parameters()}
    assert all(value is not None for value in gradients.values())
    return {**dict(network.named_buffers()), **gradients}  # type: ignore[dict-item]


def test_every_parameter_and_the_clips_get_a_gradient(network: VideoNetwork) -> None:
    clips = random_clips(2, t=16).requires_grad_()
    step = after_a_step(network, clips)
    assert [name for name, _ in network.named_parameters() if not step[name].any()] == []
    assert clips.grad is not None
    assert clips.grad.any()


def test_checkpointed_training_step_equals_the_plain_one(network: VideoNetwork) -> None:
    clips = random_clips(2, t=16)
    saving = copy.deepcopy(network)
    saving.set_grad_checkpointing()
    ours, plain = after_a_step(saving, clips), after_a_step(network, clips)
    assert list(ours) == list(plain)
    for name in plain:  # with the buffers: running averages move once, not twice
        assert torch.equal(ours[name], plain[name]), name


@pytest.mark.parametrize(
    ("enable", "grad", "runs"), [(True, True, 8), (True, False, 4), (False, True, 4)]
)
def test_blocks_are_computed_again_only_where_gradients_need_it(
    enable: bool, grad: bool, runs: int
) -> None:
    network = tiny("resnet10")
    network.set_grad_checkpointing(True)
    network.set_grad_checkpointing(enable)
    ran: list[nn.Module] = []
    for number in range(1, 5):
        block = network.get_submodule(f"layer{number}.0")
        block.register_forward_pre_hook(lambda module, _: ran.append(module))
    with torch.set_grad_enabled(grad):
        logits = network(random_clips())
    if grad:
        logits.sum().backward()
    assert len(ran) == runs


@pytest.mark.slow
@pytest.mark.parametrize("architecture", COMPILED)
def test_compiles_without_a_graph_break(architecture: str) -> None:
    torch.compiler.reset()
    network, clips = tiny(architecture), random_clips()
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    stages = torch.compile(network.forward_stages, fullgraph=True, backend="aot_eager")
    asked = network.stage_names[2:0:-1]
    with torch.no_grad():
        assert torch.equal(compiled(clips), network(clips))
        ours, plain = stages(clips, asked), network.forward_stages(clips, asked)
    assert list(ours) == list(plain)
    assert all(torch.equal(ours[name], plain[name]) for name in plain)


@pytest.mark.slow
def test_compiles_with_checkpointing() -> None:
    torch.compiler.reset()
    network, clips = tiny("resnet10"), random_clips(2, t=16)
    saving = copy.deepcopy(network)
    saving.set_grad_checkpointing()
    plain = after_a_step(network, clips)
    saving.compile(fullgraph=True, backend="aot_eager")
    for name, value in after_a_step(saving, clips).items():
        torch.testing.assert_close(value, plain[name], msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", COMPILED)
def test_exports_with_a_free_batch_length_and_size(architecture: str) -> None:
    network = tiny(architecture)
    free = dict.fromkeys((0, 2, 3, 4), torch.export.Dim.AUTO)
    example = (random_clips(2, t=48, h=96, w=112),)
    program = torch.export.export(network, example, dynamic_shapes=(free,))
    clips = random_clips(3, t=32, h=64, w=80)
    torch.testing.assert_close(program.module()(clips), network(clips))


def test_a_fresh_head_has_the_new_classes_and_the_old_place() -> None:
    network = tiny("resnet10", classes=tuple("abcde")).to(torch.bfloat16)
    assert (network.num_classes, network.classes) == (5, tuple("abcde"))
    network.reset_classifier(7)
    assert (network.num_classes, network.classes) == (7, None)
    head = network.get_classifier()
    assert isinstance(head, nn.Linear)
    assert head.weight.dtype == torch.bfloat16
    assert not head.training
    assert network(random_clips().bfloat16()).shape == (1, 7)


def test_a_removed_head_can_be_put_back_but_not_for_no_classes() -> None:
    network = tiny("densenet121")
    network.classifier = nn.Identity()
    with pytest.raises(ValueError, match="num_classes is 0"):
        network.reset_classifier(0)
    assert network(random_clips()).shape == (1, network.num_features)
    network.reset_classifier(3)
    assert network(random_clips()).shape == (1, 3)


def test_width_scales_every_stage() -> None:
    network = build(make_config("resnet18", options={"width": 24}))
    channels = [shape[0] for shape in stage_shapes(network, 16).values()]
    assert channels == [24, 24, 48, 96, 192, 192, 5]


def test_initial_values_keep_the_scale() -> None:
    state = tiny("resnet10").state_dict()
    expected = pytest.approx((2 / (32 * 27)) ** 0.5, rel=0.05)  # fan out: channels, kernel
    assert float(state["layer4.0.conv2.weight"].std()) == expected
    assert state["layer4.0.bn2.weight"].eq(1).all()
    assert state["layer4.0.bn2.bias"].eq(0).all()


def test_flops_count_two_for_each_multiplication_and_addition() -> None:
    network = tiny("resnet10", in_channels=1)
    stem = 7**3 * 4 * 8 * 32 * 32  # kernel, channels, frames and positions of an 8x64x64 clip
    layer1 = 27 * (4 * 4 + 4 * 4) * 4 * 16 * 16
    layer2 = 27 * (4 * 8 + 8 * 8) * 2 * 8 * 8
    layer3 = 27 * (8 * 16 + 16 * 16) * 4 * 4
    layer4 = 27 * (16 * 32 + 32 * 32) * 2 * 2
    head = 32 * 5
    total = stem + layer1 + layer2 + layer3 + layer4 + head
    assert count_flops(network, 8, 64) == 2 * total


@pytest.mark.parametrize(
    ("stages", "error", "message"),
    [
        (["layer5"], ValueError, r"'layer5' is unknown; resnet10 has stem, .*Did you mean layer"),
        ([], ValueError, "stages is empty"),
        ("layer4", TypeError, r"\('layer4',\)"),
    ],
)
def test_wrong_stages_are_refused(stages: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tiny("resnet10").forward_stages(random_clips(), stages)


@pytest.mark.parametrize("shape", [(3, 8, 64, 64), (1, 1, 8, 64, 64), (1, 3, 0, 64, 64)])
def test_clips_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"they must be \(N, 3, T, H, W\)"):
        tiny("resnet10")(torch.zeros(shape))


def test_raw_frames_are_refused() -> None:
    with pytest.raises(TypeError, match="clips are a list"):
        tiny("resnet10")([[0.0]])
    with pytest.raises(TypeError, match=r"torch\.uint8; they must be floating point"):
        tiny("resnet10")(random_clips().byte())


def test_an_unknown_architecture_names_its_near_matches() -> None:
    with pytest.raises(UnknownModelError, match=r"'resnet51' is unknown.*resnet50"):
        build(make_config("resnet51"))


@pytest.mark.parametrize(
    ("architecture", "options", "message"),
    [
        ("resnet10", {"shortcuts": "A"}, r"'shortcuts' is unknown; .*Did you mean shortcut\?"),
        ("resnet10", {"shortcut": "C"}, "shortcut is 'C'; it must be 'A'"),
        ("resnet10", {"width": "64"}, "width is '64'"),
        ("resnet10", {"width": 0}, "width is 0"),
        ("resnet10", {"layers": [1, 1, 1, 0]}, "layers is"),
        ("resnet10", {"layers": [1, 1, 1, 1.5]}, "layers is"),
        ("resnet10", {"block": "botleneck"}, "block is 'botleneck'.*bottleneck"),
        ("r2p1d10", {"block": "basics"}, r"block is 'basics'.*Did you mean basic\?"),
        ("resnext50", {"cardinality": 0}, "cardinality is 0"),
        ("resnext50", {"width": 8}, "take a larger width"),
        ("densenet121", {"growth": 0}, "growth is 0"),
        ("r3d_18", {"convs": ["3d", "3d", "3d", "4d"]}, "convs is"),
    ],
)
def test_wrong_options_are_refused(architecture: str, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(make_config(architecture, options=options))
