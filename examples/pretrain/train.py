"""Train a small 3D ResNet on rendered figures, from nothing, on a CPU.

python examples/pretrain/train.py runs/figures                    # begins, or goes on where it was
python examples/pretrain/train.py runs/figures --stop-after 60    # minutes; go on later

The folder gets last.pt (network, optimizer, position), log.csv and, at the end, a model that
``c3dhub.load("runs/figures/model")`` reads. A run that was stopped, even by SIGKILL, and begun
again ends with the same weights as one left alone.
"""

from __future__ import annotations

import argparse
import math
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from pathlib import Path

import torch
from feed import batches, flip_half, held_out
from figures import CLASSES
from runs import Log, Recipe, export, restore, save
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, AdamW, Optimizer

import c3dhub
from c3dhub.extraction.engines import native_bfloat16
from c3dhub.networks import VideoNetwork


class Trainer:
    """A network on its way: :meth:`train` goes on from wherever the folder says it is.

    Parameters
    ----------
    recipe: what the weights depend on.
    folder: for checkpoint, log and model; made where missing.
    workers: processes that render.
    device: where the network computes.
    """

    def __init__(
        self, recipe: Recipe, folder: Path, *, workers: int = 1, device: str = "cpu"
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.folder, self.workers = recipe, folder, workers
        self.device = torch.device(device)
        self.network = build(recipe, self.device)
        self.optimizer = make_optimizer(self.network, recipe)
        self.step, self.seconds = 0, 0.0
        self.stopping = False
        folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            self.step, self.seconds = restore(self.checkpoint, self.network, self.optimizer, recipe)
        self.log = Log(folder / "log.csv", step=self.step)

    @property
    def checkpoint(self) -> Path:
        """The file that a stopped run goes on from."""
        return self.folder / "last.pt"

    def save(self) -> None:
        """Write the checkpoint."""
        save(
            self.checkpoint,
            self.network,
            self.optimizer,
            self.recipe,
            step=self.step,
            seconds=self.seconds,
        )

    def train(
        self,
        *,
        until: int | None = None,
        save_every: float = 180.0,
        stop_after: float = math.inf,
        log_every: int = 50,
        test_every: int = 0,
        test_clips: int = 760,
    ) -> None:
        """Train to the end of the recipe, or to step ``until``, or for ``stop_after`` seconds.

        ``save_every`` is in seconds, ``log_every`` and ``test_every`` in steps (0: never).
        """
        last = self.recipe.steps if until is None else min(until, self.recipe.steps)
        began = saved = marked = time.monotonic()
        totals: list[tuple[float, float]] = []
        for frames, labels in self._batches(last):
            totals.append(self._learn(frames, labels))
            self.step += 1
            now = time.monotonic()
            self.seconds, marked = self.seconds + now - marked, now
            if self.step % log_every == 0:
                self._note(totals)
                totals = []
            if test_every and self.step % test_every == 0:
                self.test(test_clips)
                marked = time.monotonic()
            if now - saved > save_every:
                self.save()
                saved = now
            if self.stopping or now - began > stop_after:
                break
        self.save()

    def test(self, clips: int) -> tuple[float, float]:
        """Return mean loss and accuracy (0 to 1) on held-out clips, and log them."""
        loader = held_out(self.recipe.seed, clips, size=self.recipe.batch, workers=self.workers)
        loss, accuracy = evaluate(self.network, loader, self._autocast)
        row = self._position() | {"held_out_loss": loss, "held_out_accuracy": accuracy}
        self.log.add(row)
        print(f"step {self.step}: held-out loss {loss:.3f}, accuracy {accuracy:.1%}", flush=True)
        return loss, accuracy

    def _batches(self, last: int) -> Iterable[tuple[Tensor, Tensor]]:
        r = self.recipe
        return batches(r.seed, size=r.batch, first=self.step, last=last, workers=self.workers)

    def _learn(self, frames: Tensor, labels: Tensor) -> tuple[float, float]:
        """Take one step; return loss and accuracy on the batch."""
        frames, labels = flip_half(frames, labels, seed=self.recipe.seed, step=self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, self.step)
        self.network.train()
        labels = labels.to(self.device)
        with self._autocast():
            logits = self.network(prepare(self.network, frames))
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=self.recipe.smoothing)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss is {value} at step {self.step}; {self.checkpoint} holds the last good "
                "state: begin anew with a lower --lr"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return value, float((logits.argmax(1) == labels).float().mean())

    def _autocast(self) -> AbstractContextManager[object]:
        if not self.recipe.bfloat16:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _position(self) -> dict[str, float]:
        clips = self.step * self.recipe.batch
        return {"step": self.step, "clips": clips, "seconds": self.seconds}

    def _note(self, totals: list[tuple[float, float]]) -> None:
        loss, accuracy = (sum(column) / len(totals) for column in zip(*totals, strict=True))
        rate = learning_rate(self.recipe, self.step)
        self.log.add(self._position() | {"lr": rate, "loss": loss, "accuracy": accuracy})
        print(
            f"step {self.step}/{self.recipe.steps}  {self.seconds / 60:.1f} min  "
            f"loss {loss:.3f}  accuracy {accuracy:.1%}",
            flush=True,
        )


def build(recipe: Recipe, device: torch.device) -> VideoNetwork:
    """Return the network with the random weights of the recipe's seed."""
    network = c3dhub.create_model(
        recipe.arch, num_classes=len(CLASSES), width=recipe.width, device=device
    )
    if recipe.bfloat16 and device.type == "cpu":
        keep_float32(network.get_submodule("layer3"))
    return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload, no-any-return]


def keep_float32(module: nn.Module) -> None:
    """Have a module compute in float32 under autocast.

    oneDNN's bfloat16 gradient of the weights of a 3x3x3 convolution over two frames is wrong in
    two of its three taps (torch 2.13), as in layer3 of 16-frame clips: now and then it is NaN.
    """
    entered: list[AbstractContextManager[object]] = []

    def before(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        entered.append(torch.autocast("cpu", enabled=False))
        entered[-1].__enter__()
        return tuple(x.float() for x in args)

    def after(_: nn.Module, args: object, output: Tensor) -> Tensor:
        entered.pop().__exit__(None, None, None)
        return output

    module.register_forward_pre_hook(before)
    module.register_forward_hook(after)


def make_optimizer(network: VideoNetwork, recipe: Recipe) -> Optimizer:
    """Return SGD or AdamW that decays only weights with more than one dimension."""
    weights = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": weights, "weight_decay": recipe.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        return SGD(groups, lr=recipe.lr, momentum=0.9, nesterov=True)
    if recipe.optimizer == "adamw":
        return AdamW(groups, lr=recipe.lr)
    raise ValueError(f"optimizer is {recipe.optimizer!r}; it must be 'sgd' or 'adamw'")


def learning_rate(recipe: Recipe, step: int) -> float:
    """Return the rate of a step: up in a line, down in a half cosine."""
    warm = max(1, round(recipe.steps * recipe.warmup))
    if step < warm:
        return recipe.lr * (step + 1) / warm
    share = (step - warm) / max(1, recipe.steps - warm)
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * min(share, 1)))


def prepare(network: VideoNetwork, frames: Tensor) -> Tensor:
    """Return uint8 (N, T, H, W, 3) as the network takes it: float32 (N, 3, T, H, W)."""
    clips = network.transforms.normalize(frames.to(network.device))
    return clips.contiguous(memory_format=torch.channels_last_3d)


@torch.inference_mode()
def evaluate(
    network: VideoNetwork,
    loader: Iterable[tuple[Tensor, Tensor]],
    autocast: Callable[[], AbstractContextManager[object]],
) -> tuple[float, float]:
    """Return mean cross entropy and accuracy."""
    network.eval()
    loss = right = count = 0.0
    for frames, labels in loader:
        with autocast():
            logits = network(prepare(network, frames)).float()
        labels = labels.to(logits.device)
        loss += float(F.cross_entropy(logits, labels, reduction="sum"))
        right += float((logits.argmax(1) == labels).sum())
        count += len(labels)
    return loss / count, right / count


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="for checkpoint, log and model")
    for field in fields(Recipe):
        if field.name != "bfloat16":
            kind = type(field.default)
            option = f"--{field.name.replace('_', '-')}"
            parser.add_argument(option, type=kind, default=field.default, help=f"{field.default}")
    parser.add_argument("--precision", choices=("auto", "bfloat16", "float32"), default="auto")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1, help="processes that render (1)")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0 takes all cores")
    parser.add_argument("--save-every", type=float, default=3, help="minutes (3)")
    parser.add_argument("--stop-after", type=float, default=math.inf, help="minutes (no limit)")
    parser.add_argument("--test-every", type=int, default=625, help="steps (625)")
    parser.add_argument("--test-clips", type=int, default=760, help="held-out clips (760)")
    parser.add_argument("--float16", action="store_true", help="store the model in half the bytes")
    run(parser.parse_args())


def run(chosen: argparse.Namespace) -> None:
    """Train as the command line says."""
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    native = native_bfloat16(torch.device(chosen.device))
    values = {f.name: getattr(chosen, f.name) for f in fields(Recipe) if f.name != "bfloat16"}
    bfloat16 = chosen.precision == "bfloat16" or (chosen.precision == "auto" and native)
    recipe = Recipe(**values, bfloat16=bfloat16)
    trainer = Trainer(recipe, chosen.folder, workers=chosen.workers, device=chosen.device)
    signal.signal(signal.SIGTERM, lambda *_: setattr(trainer, "stopping", True))
    trainer.train(
        save_every=chosen.save_every * 60,
        stop_after=chosen.stop_after * 60,
        test_every=chosen.test_every,
        test_clips=chosen.test_clips,
    )
    if trainer.step == recipe.steps:
        trainer.test(chosen.test_clips)
        export(trainer.network, chosen.folder / "model", half=chosen.float16)


if __name__ == "__main__":
    main()
