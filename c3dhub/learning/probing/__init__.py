"""Frozen features, then scikit-learn: what a pretrained network is worth on your own videos.

``frozen_features`` makes features and ``feature_store`` keeps them, ``transformer`` is
:class:`c3dhub.VideoFeatures`, ``probing`` is :func:`c3dhub.probe` with its data, task, folds,
classifiers and scores.
"""
