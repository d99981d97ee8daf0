"""Checks of a log before training."""
