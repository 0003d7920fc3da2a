"""What others act on: events and published figures, derived from LOG by one process, beside the gateways.

In: LOG. Out: the streams OUT and AVAILABLE (docs/events.md). Always: a checkout never waits for it.
"""
