"""Comparisons between ERP, shop and holdfast."""
