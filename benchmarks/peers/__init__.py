"""The same reservations and reads served by other means beside holdfast, in one run: `make bench-peers`.

serve is the process of one peer, stores its two databases, servers starts what is needed, measure takes the rounds and
checks that nothing was oversold, report and picture show what was found.
"""
