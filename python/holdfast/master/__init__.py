"""Master data: what a SKU is, and what each connection calls it (docs/master.md).

Always: files of one folder, DIR/master, that people or programs write; nothing here changes them.
"""

FOLDER = "master"
