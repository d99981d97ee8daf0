"""Columns to tensors."""
