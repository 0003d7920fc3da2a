"""A world in which the real protocol runs without NATS, without a clock, and against everything that can go wrong.

`python -m tests.simulation` runs it; docs/simulation.md tells how it works and what it has found.
"""
