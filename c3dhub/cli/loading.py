"""From the options of a command to a network."""

from __future__ import annotations

import argparse
from dataclasses import fields

import torch

from ..extraction.feature_extractor import FeatureExtractor
from ..extraction.options import ComputeOptions
from ..hub import create_model, load
from .messages import say


def network_of(args: argparse.Namespace) -> FeatureExtractor:
    """Return the network that the options ask for, in its inference form."""
    if args.random_weights:
        say(f"{args.model}: random weights, for trying things out; the features mean nothing")
    network = load_plain(
        args.model, random_weights=args.random_weights, device=args.device, offline=args.offline
    )
    return network.prepared(
        ComputeOptions(**{each.name: getattr(args, each.name) for each in fields(ComputeOptions)})
    )


def load_plain(
    name: str, *, random_weights: bool = False, device: str | None = None, offline: bool = False
) -> FeatureExtractor:
    """Return the plain network, frozen and in eval mode.

    With ``random_weights`` ``name`` may be an architecture; seed 0, so that two processes have the
    same network.
    """
    if not random_weights:
        return load(name, device=device, local_files_only=offline)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = create_model(name, device=device)
    return network.eval().requires_grad_(False)
