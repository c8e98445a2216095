"""Micro batches -> gradients -> one step of the optimizer, by one process or several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD

from ...networks import VideoNetwork
from ..datasets import ClipBatch
from .averages import RunningAverages
from .distributed import Processes
from .mixed_precision import autocast
from .recipe import Recipe
from .state import Totals


class Learner:
    """A network and its optimizer.

    What a micro batch is depends on the recipe alone; processes share them out. So BatchNorm sees
    the same clips, and the loss is the same but for rounding, for any number of processes.

    Parameters
    ----------
    network: on its device; the parameters to be trained require gradients.
    norms: the BatchNorm layers that are trained.
    """

    def __init__(
        self,
        network: VideoNetwork,
        recipe: Recipe,
        processes: Processes,
        *,
        norms: Sequence[_BatchNorm],
    ) -> None:
        self.network, self.recipe, self.processes = network, recipe, processes
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = SGD(
            self.parameters,
            lr=recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
        self._averages = RunningAverages(norms)
        self._rows = self._seen = torch.empty(0)

    @property
    def rate(self) -> float:
        """Learning rate of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def gather(
        self, members: range, batches: Iterator[ClipBatch], *, epoch: int
    ) -> tuple[Totals, float]:
        """Compute the mean gradient over micro batches.

        Parameters
        ----------
        members: numbers of the micro batches in the epoch.
        batches: gives those of this process, one after the other.

        Returns
        -------
        The sums over the clips of all processes, and the norm of the gradient.
        """
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        device = self.processes.device
        self._rows = torch.zeros(len(members), self._averages.length, device=device)
        self._seen = torch.zeros(len(members), device=device)
        sums = Totals()
        with self._averages.measuring():
            for index, number in enumerate(members):
                if number % self.processes.count != self.processes.rank:
                    continue
                batch = next(batches)
                if len(batch):
                    self._seed(epoch, number)
                    sums = sums.plus(self._learn(batch))
                    self._rows[index], self._seen[index] = self._averages.measured(), 1
        if self.processes.count > 1:
            self._share()
            sums = self.add_up(sums)
        return sums, self._average_gradients(sums.clips)

    def update(self, *, rate: float) -> None:
        """Move the weights along the gradient, and BatchNorm's averages along its statistics."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self._averages.fold(self._rows, (self._seen > 0).tolist())

    @torch.no_grad()
    def test(self, batch: ClipBatch) -> Totals:
        """Return the sums over the clips of a batch; the network must be in eval mode."""
        logits, labels = self._logits(batch)
        losses = F.cross_entropy(logits, labels, reduction="sum")
        return _totals(losses, logits, labels)

    def add_up(self, sums: Totals) -> Totals:
        """Return the sums over all processes."""
        if self.processes.count == 1:
            return sums
        numbers = torch.tensor([sums.loss, sums.right, sums.clips], dtype=torch.float64)
        return Totals(*self.processes.add_up(numbers.to(self.processes.device)).tolist())

    def _seed(self, epoch: int, number: int) -> None:
        """Should a network draw random numbers, they depend on the place in the run alone."""
        torch.manual_seed(((self.recipe.seed * 1_000_003 + epoch) * 1_000_003 + number) % 2**63)

    def _learn(self, batch: ClipBatch) -> Totals:
        logits, labels = self._logits(batch)
        smoothing = self.recipe.label_smoothing
        losses = F.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)
        losses.backward()  # type: ignore[no-untyped-call]
        return _totals(losses, logits, labels)

    def _logits(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        device = self.processes.device
        clips = self.network.transforms.normalize(batch.frames.to(device))
        if device.type == "cpu":
            clips = clips.contiguous(memory_format=torch.channels_last_3d)
        with autocast(self.recipe.precision, device):
            logits = self.network(clips)
        return logits.float(), batch.labels.to(device)

    def _share(self) -> None:
        """Add gradients and statistics up over all processes, in place."""
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        targets = [*self._gradients, self._rows, self._seen]
        flat = self.processes.add_up(torch.cat([target.reshape(-1) for target in targets]))
        pieces = torch.split(flat, [target.numel() for target in targets])
        for target, piece in zip(targets, pieces, strict=True):
            target.copy_(piece.view(target.shape))

    def _average_gradients(self, clips: float) -> float:
        if not clips:
            return 0.0
        for gradient in self._gradients:
            gradient.div_(clips)
        norms = torch.stack([torch.linalg.vector_norm(gradient) for gradient in self._gradients])
        return float(torch.linalg.vector_norm(norms))

    @property
    def _gradients(self) -> list[Tensor]:
        return [p.grad for p in self.parameters if p.grad is not None]


def _totals(losses: Tensor, logits: Tensor, labels: Tensor) -> Totals:
    right = (logits.argmax(1) == labels).sum()
    return Totals(float(losses.detach()), float(right), float(len(labels)))
