"""The logistic funnel simulator."""
