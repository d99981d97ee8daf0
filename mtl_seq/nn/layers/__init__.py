"""Layers that bottoms and heads are built from."""
