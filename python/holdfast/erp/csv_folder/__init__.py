"""An ERP that writes CSV files into a folder, and reads orders from one.

Always: a file counts once or not at all, in the order of the numbers in the files' names.
"""
