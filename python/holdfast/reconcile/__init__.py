"""Comparing ERP, shop and holdfast, and putting right what differs (docs/reconcile.md).

Always: it only reads, unless corrections are asked for; a client of all three, in a process that serves nobody.
"""
