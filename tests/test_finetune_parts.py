"""The parts of a training run, each by itself."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.grad import conv3d_weight
from training_data import tiny_network

import c3dhub
from c3dhub.base.errors import UnknownStageError
from c3dhub.base.files import atomic_folder
from c3dhub.learning.training.averages import RunningAverages
from c3dhub.learning.training.freezing import check_begin_at, trainable_stages, trained_from, units
from c3dhub.learning.training.mixed_precision import autocast, training_precision, wrong_in_bfloat16
from c3dhub.learning.training.recipe import Recipe, default_micro_batch, differences
from c3dhub.learning.training.schedule import Plateau, learning_rate
from c3dhub.networks import VideoNetwork
from c3dhub.networks.layers import BatchNorm3d

_Ends = tuple[torch.Tensor, torch.Tensor]

CPU = torch.device("cpu")
ARCHITECTURES = ("resnet10", "preresnet10", "r2p1d10", "densenet121", "r3d_18", "resnext50")


# Which part is trained


def _network(architecture: str) -> VideoNetwork:
    with torch.device("meta"):
        return c3dhub.create_model(architecture, num_classes=3, device="meta")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_parameter_belongs_to_one_stage(architecture: str) -> None:
    network = _network(architecture)
    found = [id(p) for parts in units(network).values() for m in parts for p in m.parameters()]
    assert sorted(found) == sorted(id(p) for p in network.parameters())
    assert units(network)["logits"] == [network.get_classifier()]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_comes_before_the_first_stage_is_held(architecture: str) -> None:
    network = _network(architecture)
    for begin_at in trainable_stages(network):
        with trained_from(network, begin_at):
            flags = [p.requires_grad for p in network.parameters()]
        assert flags == sorted(flags)  # first the held ones, then the trained ones
        assert flags[-1]
        assert all(flags) == (begin_at == "stem")
    trained = sum(flags)
    assert trained == 2  # fc alone: weight and bias


def test_a_densenets_transition_is_part_of_the_stage_that_it_leads_to() -> None:
    network = _network("densenet121")
    with trained_from(network, "denseblock4"):
        trained = [name for name, p in network.named_parameters() if p.requires_grad]
    assert {name.split(".")[1] for name in trained[:-2]} == {"transition3", "denseblock4", "norm5"}


def test_names_of_the_head_and_typos() -> None:
    network, dense = _network("resnet10"), _network("densenet121")
    assert {check_begin_at(network, name) for name in ("fc", "head", "logits")} == {"fc"}
    assert check_begin_at(dense, "classifier") == "fc"
    with pytest.raises(
        UnknownStageError, match=r"layer_4.*layer3, layer4, fc.*Did you mean layer4"
    ):
        check_begin_at(network, "layer_4")
    with pytest.raises(UnknownStageError, match="denseblock4"):
        check_begin_at(dense, "layer4")
    with pytest.raises(UnknownStageError, match="avgpool"):
        check_begin_at(network, "avgpool")


def test_nobody_unfreezes_the_statistics_of_held_layers() -> None:
    network = tiny_network(width=4)
    before = {name: value.clone() for name, value in network.named_buffers()}
    with trained_from(network, "layer4"):
        network.train()
        for module in network.modules():
            module.train()
            module.training = True
        network(torch.randn(2, 3, 8, 64, 64)).sum().backward()
    for name, value in network.named_buffers():
        assert torch.equal(value, before[name]) != name.startswith("layer4."), name
    held = [p.grad for n, p in network.named_parameters() if not n.startswith(("layer4.", "fc."))]
    assert held == [None] * len(held)
    network.train()
    network(torch.randn(2, 3, 8, 64, 64))  # the hold ends with the block
    assert not torch.equal(network.state_dict()["bn1.running_mean"], before["bn1.running_mean"])


# bfloat16


def _train_in_bfloat16(network: VideoNetwork, clips: torch.Tensor) -> dict[nn.Conv3d, _Ends]:
    """Go forward and back; return what went into each convolution and what came back to it."""
    ends: dict[nn.Conv3d, _Ends] = {}

    def note(conv: nn.Module, args: tuple[torch.Tensor], output: torch.Tensor) -> None:
        assert isinstance(conv, nn.Conv3d)
        output.register_hook(lambda g: ends.__setitem__(conv, (args[0].detach(), g.detach())))  # type: ignore[no-untyped-call]

    with training_precision(network, "bfloat16", CPU):
        for module in network.modules():
            if isinstance(module, nn.Conv3d):
                module.register_forward_hook(note)
        with autocast("bfloat16", CPU):
            logits = network(clips)
        nn.functional.cross_entropy(logits.float(), torch.tensor([0, 1])).backward()  # type: ignore[no-untyped-call]
    return ends


@pytest.mark.parametrize(
    ("architecture", "options"),
    [("resnet10", {"width": 8}), ("r2p1d10", {"width": 8}), ("densenet121", {})],
)
def test_bfloat16_gradients_agree_with_float32(architecture: str, options: dict[str, int]) -> None:
    torch.manual_seed(0)
    network = tiny_network(architecture, **options).train().requires_grad_(True)
    clips = torch.randn(2, 3, 16, 64, 64)  # layer3 sees two frames, layer4 one
    ends = _train_in_bfloat16(network, clips)
    sizes = {int(x.shape[2]) for x, _ in ends.values()}
    assert {1, 2, 4} <= sizes
    for conv, (x, back) in ends.items():
        exact = conv3d_weight(  # type: ignore[no-untyped-call]
            x.float(), tuple(conv.weight.shape), back.float(), conv.stride, conv.padding,
            conv.dilation, conv.groups,
        )  # fmt: skip
        assert conv.weight.grad is not None
        error = float((conv.weight.grad - exact).norm() / exact.norm())
        assert error < 0.02, (conv, x.shape)


@pytest.mark.parametrize(
    ("kernel", "size"),
    [
        ((3, 3, 3), (2, 7, 7)),
        ((3, 1, 1), (2, 7, 7)),
        ((7, 1, 1), (4, 4, 4)),
        ((3, 3, 3), (1, 2, 2)),
    ],
)
def test_each_convolution_that_is_kept_in_bfloat16_has_right_gradients(
    kernel: tuple[int, int, int], size: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    padding = tuple(k // 2 for k in kernel)
    conv = nn.Conv3d(16, 32, kernel, padding=padding, bias=False)  # type: ignore[arg-type]
    x = torch.randn(4, 16, *size)
    target = torch.randn_like(conv(x))
    (exact,) = torch.autograd.grad((conv(x) * target).sum(), conv.weight)
    with training_precision(conv, "bfloat16", CPU), autocast("bfloat16", CPU):
        y = conv(x)
    (rounded,) = torch.autograd.grad((y.float() * target).sum(), conv.weight)
    assert float((rounded - exact).norm() / exact.norm()) < 0.02
    with autocast("bfloat16", CPU):
        assert conv(x).dtype == torch.bfloat16  # the guard is gone, and autocast is as it was


def test_which_convolutions_are_kept_in_float32() -> None:
    assert wrong_in_bfloat16((3, 3, 3), (2, 7, 7))
    assert wrong_in_bfloat16((3, 3, 3), (4, 1, 1))
    assert not wrong_in_bfloat16((3, 3, 3), (1, 4, 4))
    assert not wrong_in_bfloat16((3, 3, 3), (4, 14, 14))
    assert not wrong_in_bfloat16((1, 1, 1), (2, 1, 1))


# BatchNorm's running averages


@pytest.mark.parametrize("momentum", [0.1, None])
def test_averages_are_torchs_own(momentum: float | None) -> None:
    torch.manual_seed(0)
    ours, theirs = (BatchNorm3d(3).train() for _ in range(2))
    ours.momentum = theirs.momentum = momentum
    averages = RunningAverages([ours])
    batches = [torch.randn(2, 3, 4, 5, 5) * k for k in (1, 2, 3)]
    rows = torch.zeros(3, averages.length)
    with averages.measuring():
        for index, batch in enumerate(batches):
            ours(batch)
            rows[index] = averages.measured()
    assert torch.equal(ours.running_mean, torch.zeros(3))  # type: ignore[arg-type]
    averages.fold(rows, [True, False, True])
    for batch in (batches[0], batches[2]):
        theirs(batch)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)


def test_without_trained_layers_there_are_no_averages() -> None:
    averages = RunningAverages([])
    with averages.measuring():
        assert averages.measured().shape == (0,)
    averages.fold(torch.zeros(2, 0), [True, True])


# Recipe and schedule


def test_the_default_is_the_papers_recipe() -> None:
    recipe = Recipe()
    assert (recipe.begin_at, recipe.lr, recipe.batch_size) == ("layer4", 0.001, 128)
    assert (recipe.momentum, recipe.weight_decay, recipe.schedule) == (0.9, 0.001, "plateau")
    assert recipe.micro_batches == 8


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("epochs", 0), ("epochs", 1.5), ("batch_size", True), ("clip_len", -1), ("seed", -1),
        ("lr", 0), ("lr", math.nan), ("lr", math.inf), ("weight_decay", -0.1), ("momentum", 1),
        ("label_smoothing", 1.0), ("schedule", "plato"), ("precision", "float16"),
        ("micro_batch", 5), ("patience", 0),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named(option: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{option} is"):
        Recipe(**{option: value})  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.integers(1, 2000))
def test_the_default_micro_batch_divides_the_batch(batch_size: int) -> None:
    micro = default_micro_batch(batch_size)
    assert micro <= 16
    assert Recipe(batch_size=batch_size, micro_batch=micro).micro_batches * micro == batch_size


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=40), st.integers(1, 5))
def test_the_plateau_is_torchs(losses: list[float], patience: int) -> None:
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=patience, eps=0)
    recipe, plateau = Recipe(lr=1.0, patience=patience), Plateau()
    for loss in losses:
        theirs.step(loss)
        plateau = plateau.after(loss, patience=patience)
        rate = learning_rate(recipe, plateau, done=0.5)
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"])


def test_cosine_and_constant() -> None:
    cosine = [
        learning_rate(Recipe(lr=1, schedule="cosine"), Plateau(), done=d) for d in (0, 0.5, 1)
    ]
    assert cosine == pytest.approx([1, 0.5, 0])
    assert learning_rate(Recipe(lr=1, schedule="constant"), Plateau(drops=3), done=0.9) == 1


def test_differences_say_both_values() -> None:
    found = differences({"a": 1, "b": {"c": 2}, "d": 5}, {"a": 1, "b": {"c": 3}, "e": "x" * 99})
    assert found[0] == "b c is 2 there and 3 now"
    assert found[1] == "d is 5 there and none now"
    assert found[2].endswith("... now")


# Folders that appear whole


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "new") as part:
        (part / "file").write_text("x", encoding="utf-8")
        assert not (tmp_path / "new").exists()
    assert (tmp_path / "new" / "file").read_text(encoding="utf-8") == "x"
    with pytest.raises(KeyError), atomic_folder(tmp_path / "other"):
        raise KeyError
    with pytest.raises(OSError, match="new"), atomic_folder(tmp_path / "new"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
