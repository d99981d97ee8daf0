"""Logits of towers to probabilities of a funnel."""
