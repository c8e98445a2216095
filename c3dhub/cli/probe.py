"""``c3dhub probe``: what a model's features are worth on labelled videos."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING

from ..clips.rule import ClipOptions
from ..extraction.options import ReadOptions, RowKeywords
from . import arguments, messages
from .outputs import plan_table

if TYPE_CHECKING:
    from ..learning.probing.probe_result import ProbeResult

_MOST_COLUMNS = 16  # classes of a confusion matrix that a screen has room for
_MOST_LINES = 10
_MOST_WARNINGS = 5

_EPILOG = """\
examples:
  c3dhub probe videos/ --model resnet50_kinetics            CLASS/video.mp4, cross-validated
  c3dhub probe UCF-101/ --split 1 --model resnet50_kinetics    official training and test videos
  c3dhub probe list.csv --groups '_g(\\d+)_' --leave-one-group-out --model NAME

Labels that stand in file names become a list with the header path,label[,group]:
  (echo path,label,group; ls | sed -E 's/(.*_([0-9]+)_([^_]+)\\.avi)/\\1,\\3,\\2/') > list.csv
"""


def add_parsers(subparsers: arguments.Subparsers) -> None:
    """Register ``probe``."""
    parser = subparsers.add_parser(
        "probe",
        help="how well a simple classifier on a model's features knows your classes",
        description="Compute the frozen features of labelled videos once, fit logistic\n"
        "regression or nearest neighbours to them, and say how many videos it gets right that\n"
        "it has not learned from.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_dataset_options(parser)
    _add_test_options(parser)
    arguments.add_model_options(parser)
    _add_row_options(parser)
    output = parser.add_argument_group("output")
    output.add_argument("--confusion", metavar="FILE.csv", help="write the confusion matrix")
    arguments.add_flags(output, json="print JSON, every video included", quiet=arguments.QUIET)
    parser.set_defaults(run=run_probe)


def _add_test_options(parser: argparse.ArgumentParser) -> None:
    test = parser.add_argument_group(
        "classifier and test",
        "Without --test, DATA's own test or validation part is taken; where it has none, or\n"
        "with --folds or --leave-one-group-out, all of DATA is cross-validated.",
    )
    test.add_argument(
        "--classifier",
        choices=("logistic", "knn"),
        default="logistic",
        help="logistic regression (default) or nearest neighbours by cosine similarity; how much "
        "regularisation or how many neighbours is chosen by cross-validation",
    )
    test.add_argument("--test", metavar="DATA", help="other videos to test with")
    test.add_argument("--test-subset", metavar="NAME", help="part to test with, such as val")
    test.add_argument(
        "--groups",
        metavar="REGEX",
        help="finds in file names who or where was filmed: (...) in it is the group; videos of "
        "one group are never both learned from and tested",
    )
    test.add_argument(
        "--folds", type=int, metavar="N", help="cross-validate all of DATA in N folds (default: 5)"
    )
    arguments.add_flags(test, leave_one_group_out="cross-validate, one fold per group")
    test.add_argument("--seed", type=int, default=0, metavar="N", help="of the folds (default: 0)")


def _add_row_options(parser: argparse.ArgumentParser) -> None:
    rows = parser.add_argument_group("features of a video")
    arguments.add_options(rows, "stages")
    rows.add_argument(
        "--pooling",
        choices=("mean", "max", "mean+max"),
        default="mean",
        help="over the clips of a video (default: mean)",
    )
    arguments.add_part(rows, ClipOptions, RowKeywords)
    arguments.add_part(rows, ReadOptions, RowKeywords)
    rows.add_argument(
        "--cache",
        metavar="FOLDER",
        help="where features are kept for the next time (default: C3DHUB_HOME/features)",
    )
    arguments.add_flags(rows, no_cache="keep no features")


def run_probe(args: argparse.Namespace) -> int:
    """Probe; return 0, or 1 where some videos could not be read."""
    table = plan_table("--confusion", args.confusion, args.data)
    if args.cache is not None and args.no_cache:
        raise ValueError("--cache and --no-cache contradict each other; leave one of them out")
    from ..learning.probing.probing import probe, require_sklearn  # late: imports torch
    from ..learning.probing.task import Plan, Task  # late: imports torch
    from ..learning.probing.train_and_test import DataChoice, read_parts  # late: imports torch
    from .loading import network_of  # late: imports torch

    require_sklearn()
    whole = args.folds is not None or args.leave_one_group_out
    choice = DataChoice(test_subset=args.test_subset, **arguments.dataset_options(args))
    train, test = read_parts(
        args.data,
        test=args.test,
        whole=whole and args.test is None and args.test_subset is None,
        choice=choice,
    )
    # What is wrong about the data shows before a model is downloaded.
    plan = Plan(args.folds, args.leave_one_group_out, args.seed)
    Task.of(train, test, groups=args.groups, plan=plan)
    names = ("classifier", "pooling", "groups", "folds", "leave_one_group_out", "seed")
    found = probe(
        train,
        test=test,
        model=network_of(args),
        cache=False if args.no_cache else args.cache or True,
        progress=arguments.shows_progress(args),
        **{name: getattr(args, name) for name in names},
        **arguments.chosen_options(args),
    )
    if table is not None:
        found.write_confusion(table)
    _report(found)
    messages.answer(found.to_dict() if args.json else shown(found))
    return 1 if found.broken else 0


def _report(found: ProbeResult) -> None:
    """Say on stderr what a reader of the figures should know."""
    for text in (*found.warnings[:_MOST_WARNINGS], *found.notes):
        messages.say(f"warning: {text}")
    if len(found.warnings) > _MOST_WARNINGS:
        beyond = len(found.warnings) - _MOST_WARNINGS
        messages.say(f"warning: ... and such warnings about {beyond} more videos; --json lists all")
    broken = [f"{each.path}: {each.reason}" for each in found.broken]
    total = len(broken) + len(found)
    messages.say_videos(broken, of=total, fate="cannot be read and are left out")


def shown(found: ProbeResult) -> str:
    """Return the result as people read it: classes first, the summary where the screen ends."""
    few = len(found.classes) <= _MOST_COLUMNS
    lines = [*(_matrix(found) if few else _worst(found)), "", *_summary(found)]
    return "\n".join(lines)


def _matrix(found: ProbeResult) -> list[str]:
    """Return a line for each class: its recall, and what its videos were taken for."""
    width = max(8, *(len(name) + 3 for name in found.classes))
    cell = max(3, len(str(found.confusion.max())) + 1)
    numbers = "".join(f"{number:{cell}d}" for number in range(len(found.classes)))
    lines = [f"{'class':{width}s}  videos  recall   taken for", f"{'':{width + 17}s}{numbers}"]
    for number, name in enumerate(found.classes):
        row = "".join(f"{count or '.':>{cell}}" for count in found.confusion[number].tolist())
        lines.append(f"{f'{number:2d} {name}':{width}s}{_recall(found, number)} {row}")
    return lines


def _worst(found: ProbeResult) -> list[str]:
    """Return the classes with the lowest recall and the most frequent confusions."""
    tested = [number for number, count in enumerate(found.counts.tolist()) if count]
    worst = sorted(tested, key=lambda number: float(found.recall[number]))[:_MOST_LINES]
    width = max(len(found.classes[number]) for number in worst)
    lines = [f"lowest recall, of {len(tested)} classes   (--json and --confusion give all)"]
    lines += [f"  {found.classes[n]:{width}s}{_recall(found, n)}" for n in worst]
    confusions = found.top_confusions(most=_MOST_LINES)
    if confusions:
        lines.append("most frequent confusions")
        lines += [f"  {count:5d}  {true} taken for {guess}" for true, guess, count in confusions]
    return lines


def _recall(found: ProbeResult, number: int) -> str:
    count = int(found.counts[number])
    return f"{count:8d} {messages.percent(float(found.recall[number]) if count else None)}"


def _summary(found: ProbeResult) -> list[str]:
    low, high = found.interval
    settings = found.settings
    chosen = Counter(f"{name} {value:g}" for each in found.chosen for name, value in each.items())
    counts = ", ".join(f"{value} ({count}x)" for value, count in chosen.most_common())
    what = (
        f"{settings['classifier']} on {'+'.join(settings['stages'])} of "
        f"{settings['model']['name']} ({settings['n_columns']} columns, {settings['pooling']} over "
        f"clips), {counts if len(found.chosen) > 1 else next(iter(chosen))}"
    )
    return [
        *messages.wrapped(what),
        *messages.wrapped(f"protocol: {found.protocol}"),
        f"accuracy {found.accuracy:6.1%}   {found.n_correct} of {len(found)} videos, "
        f"95 % interval {low:.1%} to {high:.1%}",
        f"chance   {found.chance:6.1%}   always the most frequent class",
    ]
