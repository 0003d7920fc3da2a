"""Master data."""
