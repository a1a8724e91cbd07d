"""Plays caril's plant with a CARLA server. See docs/carla.md."""

__version__ = "0.1.0"
