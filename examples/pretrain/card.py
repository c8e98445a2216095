"""The model card of the bundled model: what it is, what it is not, and every figure's origin."""

from __future__ import annotations

import csv
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from c3dhub.networks import VideoNetwork

_ROWS = 12  # of the log, at most

_CARD = """\
---
library_name: c3dhub
pipeline_tag: video-classification
license: apache-2.0
tags:
- video
- 3d-resnet
- feature-extraction
- synthetic
---

# {name}

{note}

A {architecture} with {width} channels in its first stage: clips of {clip_len} frames of
{side}x{side} pixels in, {features} pooled features or the scores of {classes} classes out,
{parameters:,} parameters, stored as float16 and computed in float32. It comes with c3dhub, so it
loads on a machine without a network.

```python
import c3dhub

model = c3dhub.load("{name}")
features = model.extract_features("video.mp4")  # features.pooled: float32 (n_clips, {features})
```

## What it is for

Trying c3dhub out, tests, teaching, and a start for small networks that is better than random
weights. It has never seen a real video, a real person, an object or a face. Its class names are
those of the rendered actions; on real footage they are guesses. Do not use it to judge what people
do. Where features must be good, take a model trained on Kinetics (`c3dhub list`).

## Training data

Clips drawn by a formula, which also gives the label: one to three articulated figures with random
bodies, clothes, cameras, places, light and noise act one of {classes} classes. No recording of
anybody is among them. The generator is `examples/pretrain` in c3dhub's repository and gives the
same pixels for the same seed. Licence of data and weights: Apache-2.0.

Classes: {names}.

## Recipe

{recipe}

`examples/pretrain/train.py` with these values gives these weights again on the same kind of machine
with the same number of threads.{remarks} The whole log is `examples/pretrain/log.csv`; its
held-out rows:

{log}

## Results

{results}
"""


def model_card(
    network: VideoNetwork,
    recipe: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    log: Path,
    *,
    note: str,
    remarks: str = "",
) -> str:
    """Return the card as Markdown; ``log`` is the run's log.csv, ``remarks`` go with the recipe."""
    config = network.config
    assert config.classes is not None
    text = _CARD.format(
        name=config.name,
        note=textwrap.fill(note, 100),
        architecture=config.architecture,
        width=config.options["width"],
        clip_len=config.clip_len,
        side=config.input.crop_size,
        features=network.num_features,
        classes=config.num_classes,
        parameters=sum(p.numel() for p in network.parameters()),
        names="{names}",
        recipe=table(["setting", "value"], [[k, str(v)] for k, v in recipe.items()]),
        remarks=f"\n{textwrap.fill(remarks, 100)}" if remarks else "",
        log=_log(log),
        results=_results(metrics),
    )
    return text.replace(
        "Classes: {names}.", textwrap.fill(f"Classes: {', '.join(config.classes)}.", 100)
    )


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _log(path: Path) -> str:
    """Return the rows with held-out figures, evenly thinned, the last one among them."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["held_out_accuracy"]]
    every = -(-len(rows) // _ROWS) or 1
    shown = rows[::-1][::every][::-1]
    return table(
        ["clips seen", "hours", "held-out loss", "held-out accuracy"],
        [
            [
                f"{int(float(row['clips'])):,}",
                f"{float(row['seconds']) / 3600:.2f}",
                f"{float(row['held_out_loss']):.3f}",
                f"{float(row['held_out_accuracy']) * 100:.1f} %",
            ]
            for row in shown
        ],
    )


def _results(metrics: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ["data", "measure", "%", "how"],
        [[m["dataset"], m["metric"], f"{m['value']:g}", m["protocol"]] for m in metrics],
    )
