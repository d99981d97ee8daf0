"""CSV files: reading, schema inference, conversion."""
