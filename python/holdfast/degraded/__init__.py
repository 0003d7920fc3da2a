"""What is done while a source is silent (docs/degraded.md).

Always: a client of a gateway, in a process that serves nobody; what it does are policy facts, in LOG like any other.
"""

FOLDER = "degraded"
