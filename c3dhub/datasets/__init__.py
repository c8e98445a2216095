"""Labelled videos: what is on disk becomes a list, and a list becomes batches of clips.

``items`` says what a list is.
"""

from __future__ import annotations

from .items import VideoItem, VideoList

__all__ = ["VideoItem", "VideoList"]
