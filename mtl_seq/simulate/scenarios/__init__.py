"""Named worlds: TOML files beside this one, each with a version, a summary and knobs."""
