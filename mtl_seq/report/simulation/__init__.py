"""Summary of simulated data."""
