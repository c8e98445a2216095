"""Put a finished training run into the package as the model in the box.

python examples/pretrain/bundle.py runs/figures
python examples/pretrain/bundle.py runs/figures --results results.json

Writes the weights as float16, config and model card to c3dhub/registry/bundled/resnet18_figures/,
the class names to c3dhub/registry/labels/, log and recipe beside this script, and the model's entry
with sha256, size and metrics into weights_manifest.json. The accuracy on held-out clips is measured
here, with the
very weights that are stored. ``results.json`` adds other measurements, a list of objects
{"dataset", "metric", "value" (in %), "protocol"}: they stand in the manifest and in the card. What
else is to be known of the training stands in the run's remarks.txt and goes into the card, too.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from card import model_card
from entry import model_entry, with_entry
from feed import held_out
from figures import CLASSES
from runs import export
from train import evaluate

import c3dhub
from c3dhub.base.files import atomic_path, sha256_of
from c3dhub.networks import VideoNetwork

ROOT = Path(__file__).resolve().parent.parent.parent
NAME = "resnet18_figures"
_FIELDS: dict[str, tuple[type, ...]] = {
    "dataset": (str,),
    "metric": (str,),
    "value": (int, float),
    "protocol": (str,),
}


@dataclass(frozen=True)
class Run:
    """A training run: the folder that train.py filled, and its checkpoint's content."""

    folder: Path
    state: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path, *, unfinished: bool = False) -> Run:
        """Read a run. Raises ValueError for one that is not done, unless ``unfinished``."""
        run = cls(folder, torch.load(folder / "last.pt", weights_only=True, map_location="cpu"))
        if run.steps_left > 0 and not unfinished:
            raise ValueError(
                f"{folder} has {run.steps_left} steps to go: train on with train.py, or give "
                "--unfinished for a model to try things out with"
            )
        return run

    @property
    def recipe(self) -> dict[str, Any]:
        """What the weights depend on."""
        return dict(self.state["recipe"])

    @property
    def steps_left(self) -> int:
        """Batches that are still to come."""
        steps: int = max(1, self.recipe["clips"] // self.recipe["batch"])
        return steps - int(self.state["step"])

    def network(self) -> VideoNetwork:
        """Return the trained network."""
        recipe = self.recipe
        network = c3dhub.create_model(
            recipe["arch"], num_classes=len(CLASSES), width=recipe["width"], device="cpu"
        )
        network.load_state_dict(self.state["model"])
        return network


def bundle(
    run: Run, *, root: Path = ROOT, results: Sequence[Mapping[str, Any]] = (), clips: int = 1900
) -> list[dict[str, Any]]:
    """Put a run into the repository at ``root``; return the metrics that were written.

    ``clips`` is how many held-out clips are measured. Nothing is written before all is computed.
    """
    folder = root / "c3dhub" / "registry" / "bundled" / NAME
    with tempfile.TemporaryDirectory() as temporary:
        new = Path(temporary)
        export(run.network(), new, half=True)
        stored = c3dhub.load(new, device="cpu")
        _require_finite(stored)
        metrics = [measured(stored, run, clips), *(dict(row) for row in results)]
        weights = new / "model.safetensors"
        entry = model_entry(
            stored, metrics, sha256=sha256_of(weights), size=weights.stat().st_size,
            path=f"bundled/{NAME}/{weights.name}", note=about(run),
        )  # fmt: skip
        card = model_card(
            stored, run.recipe, metrics, run.folder / "log.csv",
            note=about(run), remarks=remarks_of(run),
        )  # fmt: skip
        manifest = root / "weights_manifest.json"
        changed = with_entry(manifest.read_text(encoding="utf-8"), NAME, entry)
        folder.mkdir(parents=True, exist_ok=True)
        for file in (weights, new / "config.json"):
            shutil.copyfile(file, folder / file.name)
    _write(folder / "README.md", card)
    _write(root / "c3dhub" / "registry" / "labels" / "figures.txt", "\n".join(CLASSES) + "\n")
    _write(manifest, changed)
    log = (run.folder / "log.csv").read_text(encoding="utf-8")
    _write(root / "examples" / "pretrain" / "log.csv", log)
    return metrics


def remarks_of(run: Run) -> str:
    """Return what remarks.txt in the run's folder says that the recipe does not, if it is there."""
    path = run.folder / "remarks.txt"
    return " ".join(path.read_text(encoding="utf-8").split()) if path.is_file() else ""


def measured(network: VideoNetwork, run: Run, clips: int) -> dict[str, Any]:
    """Return the accuracy on clips that training never saw, as a metric of the manifest."""
    size, seed = 38, run.recipe["seed"]  # so that classes come equally often
    count = max(1, round(clips / size)) * size
    _, accuracy = evaluate(network, held_out(seed, clips, size=size, workers=0), nullcontext)
    return {
        "dataset": "held-out rendered figures",
        "metric": "top-1 accuracy",
        "value": round(accuracy * 100, 2),
        "protocol": f"clip level, {count} clips of a seed that training never uses; measured by "
        "examples/pretrain/bundle.py with the weights as stored",
    }


def read_results(path: Path) -> list[dict[str, Any]]:
    """Read other measurements. Raises ValueError for what is no list of metrics."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(rows, list):
        raise ValueError(f"{path} must hold a list of metrics")
    for row in rows:
        if not isinstance(row, dict) or row.keys() != _FIELDS.keys():
            raise ValueError(f"{path}: {row} must have exactly the fields {', '.join(_FIELDS)}")
        wrong = [name for name, kind in _FIELDS.items() if not isinstance(row[name], kind)]
        if wrong or not 0 < row["value"] <= 100:
            raise ValueError(f"{path}: {row}: text, but for value, which is a share in %")
    return rows


def about(run: Run) -> str:
    """Return in two sentences what the model is, and what it is not."""
    text = (
        "A small model that has seen nothing but rendered motion: for demos, tests and weak "
        "transfer. For real work use a model trained on Kinetics."
    )
    left = run.steps_left
    return text + (f" A trial: {left} steps of its training are missing." if left > 0 else "")


def _require_finite(network: VideoNetwork) -> None:
    bad = [key for key, value in network.state_dict().items() if not value.isfinite().all()]
    if bad:
        raise ValueError(f"{', '.join(bad[:5])}: not finite as float16; store float32 instead")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as new:
        new.write_text(text, encoding="utf-8", newline="\n")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the folder that train.py filled")
    parser.add_argument("--results", type=Path, help="JSON with other measurements")
    parser.add_argument("--clips", type=int, default=1900, help="held-out clips (1900)")
    parser.add_argument("--unfinished", action="store_true", help="take a run that is not done")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (this one)")
    chosen = parser.parse_args()
    try:
        results = [] if chosen.results is None else read_results(chosen.results)
        run = Run.read(chosen.run, unfinished=chosen.unfinished)
        metrics = bundle(run, root=chosen.root, results=results, clips=chosen.clips)
    except (OSError, ValueError) as error:
        parser.exit(1, f"bundle.py: error: {error}\n")
    for metric in metrics:
        print(f"{metric['value']:g} %  {metric['metric']} on {metric['dataset']}")


if __name__ == "__main__":
    main()
