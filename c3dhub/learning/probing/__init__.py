"""Frozen features, then scikit-learn: what a pretrained network is worth on your own videos.

``frozen`` makes and keeps features (``store``), ``transformer`` is :class:`c3dhub.VideoFeatures`,
``run`` is :func:`c3dhub.probe` with its folds, classifiers and scores.
"""
