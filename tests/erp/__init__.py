"""Connections to ERPs."""
