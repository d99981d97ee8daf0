"""From a log to training data."""
