"""One process's part in a scope: follow the log, lead it, answer from memory.

Role: `protocol` decides what to do (pure), `runner` does it (asyncio), `replay` rebuilds, `verify` proves.
Always: only this package holds an engine.
"""
