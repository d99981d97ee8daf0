"""Parquet files as one log."""
