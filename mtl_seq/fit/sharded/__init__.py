"""Embedding tables sharded over processes."""
