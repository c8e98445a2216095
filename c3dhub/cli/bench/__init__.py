"""Measuring: how fast a network runs here, in every form that this installation serves.

``timing.py`` runs candidates in turn, ``forms.py`` prepares them, ``rates.py`` says what one run
of each does, ``accuracy.py`` what a form loses, ``recommend.py`` which form to take, ``record.py``
keeps the figures. ``c3dhub bench`` and the scripts in ``benchmarks/`` are written with these.
"""
