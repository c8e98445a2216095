"""Find the moments of a video that look most alike: features of every clip, compared by cosine.

python examples/similar_moments.py video.mp4 r3d_18_kinetics400_v1
python examples/similar_moments.py video.mp4 resnet10     # random weights, needs no download
"""

from __future__ import annotations

import sys

import numpy as np

import c3dhub


def most_similar(features: c3dhub.Features, *, top: int = 5) -> list[tuple[float, int, int]]:
    """Return (cosine, clip, clip) of the most similar pairs of clips that do not touch."""
    rows = features.pooled / np.linalg.norm(features.pooled, axis=1, keepdims=True)
    cosine = rows @ rows.T  # (n_clips, n_clips)
    first, second = np.triu_indices(len(rows), k=2)
    best = np.argsort(-cosine[first, second])[:top]
    return [(float(cosine[first[i], second[i]]), int(first[i]), int(second[i])) for i in best]


def main(video: str, name: str) -> None:
    """Print the pairs with their times."""
    if name in c3dhub.list_models():
        model = c3dhub.load(name)
    else:
        model = c3dhub.create_model(name)
        print(f"{name} has random weights: a test of the machinery, not of the video")
    features = model.extract_features(video, progress=True)
    for cosine, i, j in most_similar(features):
        a, b = features.start_seconds[i], features.start_seconds[j]
        print(f"{cosine:.4f}   {a:8.2f} s   {b:8.2f} s")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
