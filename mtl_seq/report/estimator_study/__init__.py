"""Which off-policy estimator is right: study and plot."""
