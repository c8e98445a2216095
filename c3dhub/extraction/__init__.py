"""Clips through a network: options, batches, engines, features."""
