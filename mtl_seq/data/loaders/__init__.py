"""Batches from encoded rows and from streams."""
