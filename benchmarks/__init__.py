"""Benchmarks: studies, their kept results, and the pages rendered from them."""
