"""Report figures, tables and pages."""
