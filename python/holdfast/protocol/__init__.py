"""Leader and follower as a pure state machine: events in, effects out.

Role: decide what a process does about each event; `holdfast.node` carries it out. In: events and
commands (`messages`). Out: effects. Always: no I/O, no clock, no asyncio, so that a simulation drives the same code.
"""
