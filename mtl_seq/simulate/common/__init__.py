"""Shared parts of the simulators."""
