"""Labelled videos: datasets, probes, training, evaluation."""
