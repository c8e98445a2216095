"""``c3dhub finetune``: train a model on labelled videos."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from . import arguments, messages

if TYPE_CHECKING:
    from ..learning.datasets import VideoList
    from ..learning.training import FinetuneResult

_DESCRIPTION = """\
Train a pretrained model on labelled videos; DIR then loads like any other model. Stopped at any
moment and started again with the same options, it goes on where it was. The defaults are the
recipe of Hara et al., CVPR 2018: layer4 and the classifier, SGD, batches of 128 clips, learning
rate 0.001, divided by 10 when the validation loss stops falling."""

_EPILOG = """\
examples:
  c3dhub finetune videos/ --model resnet18_kinetics -o mine --epochs 10
  torchrun --nproc-per-node 4 -m c3dhub finetune videos/ --model resnet18_kinetics -o mine
"""


def add_parsers(subparsers: arguments.Subparsers) -> None:
    """Register ``finetune``."""
    parser = subparsers.add_parser(
        "finetune",
        help="train a model on labelled videos",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", metavar="DATA", help="folder per class, or a list of videos")
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="a new folder, or that of the same run"
    )
    _add_data(parser.add_argument_group("videos"))
    _add_model(parser.add_argument_group("model"))
    _add_recipe(parser.add_argument_group("recipe"))
    _add_run(parser.add_argument_group("run"))
    parser.set_defaults(run=run_finetune)


def _add_data(group: Any) -> None:
    group.add_argument("--val", metavar="DATA", help="videos to validate with")
    group.add_argument(
        "--hold-out",
        type=float,
        default=0.2,
        metavar="X",
        help="without --val: share of DATA to validate with, 0 for none (default: 0.2)",
    )
    group.add_argument("--layout", metavar="NAME", help="of DATA (default: found out)")
    group.add_argument(
        "--subset", metavar="NAME", help="part of DATA to train on (default: train, if any)"
    )
    group.add_argument(
        "--val-subset", metavar="NAME", help="part of --val, or of DATA, to validate"
    )
    group.add_argument("--split", type=int, default=1, metavar="N", help="split (default: 1)")
    group.add_argument("--videos", metavar="DIR", help="where the videos of a list are")
    group.add_argument("--classes", metavar="FILE", help="class names, one a line")


def _add_model(group: Any) -> None:
    group.add_argument(
        "--model",
        required=True,
        metavar="NAME",
        help="a name of `c3dhub list`, hf://org/repo@revision, a folder that c3dhub wrote; with "
        "--scratch also an architecture",
    )
    arguments.add_flags(group, scratch="begin from random weights")
    group.add_argument(
        "--begin-at",
        metavar="STAGE",
        help="first stage to be trained: stem, layer1 .. layer4, or fc for the classifier alone "
        "(default: layer4, for DenseNets denseblock4; with --scratch stem)",
    )
    arguments.add_flags(group, offline=arguments.OFFLINE)


def _add_recipe(group: Any) -> None:
    for option, kind, default, text in (
        ("--epochs", int, 20, "times that every video is seen"),
        ("--patience", int, 10, "epochs without improvement that plateau waits for"),
        ("--batch-size", int, 128, "clips per step"),
        ("--weight-decay", float, 0.001, "of SGD"),
        ("--momentum", float, 0.9, "of SGD"),
        ("--label-smoothing", float, 0.0, "0 up to 1"),
        ("--seed", int, 0, "of the new head, the order and the augmentation"),
        ("--frame-stride", int, 1, "frames between the frames of a clip"),
        ("--clips-per-video", int, 1, "clips of each video in an epoch"),
        ("--flip", float, 0.5, "how often a clip is mirrored; 0 where sides matter"),
    ):
        metavar = "N" if kind is int else "X"
        group.add_argument(
            option, type=kind, default=default, metavar=metavar, help=f"{text} (default: {default})"
        )
    group.add_argument(
        "--lr", type=float, metavar="X", help="learning rate (default: 0.001, with --scratch 0.1)"
    )
    group.add_argument(
        "--schedule", choices=("plateau", "cosine", "constant"), default="plateau",
        help="of the learning rate (default: plateau)",
    )  # fmt: skip
    group.add_argument(
        "--micro-batch", type=int, metavar="N",
        help="clips at once; BatchNorm of trained layers sees these (default: 16)",
    )  # fmt: skip
    arguments.add_options(group, "clip_len")
    group.add_argument(
        "--augmentation", choices=("paper", "none"), default="paper",
        help="paper: multi-scale corner crops and flips (default); none: the centre",
    )  # fmt: skip
    group.add_argument(
        "--precision", choices=("float32", "bfloat16"), default="float32",
        help="default: float32; bfloat16 is faster where the hardware has it",
    )  # fmt: skip


def _add_run(group: Any) -> None:
    group.add_argument(
        "--workers", type=int, metavar="N", help="processes that decode (default: one per core)"
    )
    arguments.add_options(group, "device")
    group.add_argument(
        "--resume", choices=("auto", "never", "must"), default="auto",
        help="auto (default) goes on where DIR holds the same run; must, never insist",
    )  # fmt: skip
    group.add_argument(
        "--save-every", type=int, default=100, metavar="N",
        help="steps between checkpoints, beside one after each epoch (default: 100)",
    )  # fmt: skip
    arguments.add_flags(group, json=arguments.JSON, quiet="no table and no progress on stderr")


def run_finetune(args: argparse.Namespace) -> int:
    """Train; return 0, or 1 where some videos could not be read."""
    from ..learning.datasets import Augmentation  # late: imports torch
    from ..learning.training import finetune  # late: imports torch

    train, val = _read(args)
    names = (
        "model", "output", "hold_out", "begin_at", "scratch", "epochs", "lr", "schedule",
        "patience", "batch_size", "micro_batch", "weight_decay", "momentum", "label_smoothing",
        "precision", "seed", "clip_len", "frame_stride", "clips_per_video", "device", "resume",
        "save_every",
    )  # fmt: skip
    result = finetune(
        train,
        val=val,
        augmentation=Augmentation(flip=args.flip) if args.augmentation == "paper" else None,
        workers=_workers() if args.workers is None else args.workers,
        local_files_only=args.offline,
        progress=False if args.quiet else None,
        report=_say_quietly if args.quiet else partial(print, file=sys.stderr),
        **{name: getattr(args, name) for name in names},
    )
    if os.environ.get("RANK", "0") == "0":  # of the processes of torchrun one speaks
        messages.answer(result.to_dict() if args.json else _summary(result))
    return 1 if result.broken else 0


def _read(args: argparse.Namespace) -> tuple[VideoList, VideoList | None]:
    """Return what to train on and what to validate with; None leaves that to --hold-out."""
    from ..learning.datasets import read_dataset  # late: imports av
    from ..learning.training.prepare import training_part, validation_part  # late: imports torch

    keywords = arguments.dataset_options(args)
    subset = keywords.pop("subset")
    read = training_part if subset is None else partial(read_dataset, subset=subset)
    train = read(args.data, **keywords)
    keywords["classes"] = train.classes
    where = args.data if args.val is None else args.val
    if args.val_subset is not None:
        return train, read_dataset(where, subset=args.val_subset, **keywords)
    if args.val is None and not args.hold_out:
        return train, None
    return train, validation_part(where, optional=args.val is None, **keywords)


def _summary(result: FinetuneResult) -> str:
    best, classes = result.best, len(result.classes)
    lines = [f"{result.folder}: {classes} classes, {len(result.history)} epochs"]
    how = f"training loss {best.train_loss:.4f}, accuracy {best.train_accuracy:.1%}"
    if best.val_accuracy is not None:
        how = f"validation loss {best.val_loss:.4f}, accuracy {best.val_accuracy:.1%} of clips"
    chosen = "" if best.val_accuracy is None else " (the highest accuracy, then the lowest loss)"
    lines.append(f"  kept: epoch {best.epoch}{chosen}, {how}")
    if result.broken:
        lines.append(f"  {len(result.broken)} videos could not be read:")
        lines += [f"    {path}: {reason}" for path, reason in result.broken]
    lines.append(f'  c3dhub.load("{result.folder}"), or --model {result.folder}')
    return "\n".join(lines)


def _workers() -> int:
    """Return a core for each decoding process, shared with the other training processes."""
    return max(arguments.cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")), 1)


def _say_quietly(text: str) -> None:
    """Say what went wrong, but not how far it is."""
    if "training goes on without it" in text:
        messages.say(f"warning: {text}")
