"""One process's part in a scope: follow the log, lead it, answer from memory.

Role: `node` does what the protocol decides (asyncio), `replay` rebuilds, `bootstrap` chooses where a rebuild begins,
`journal_writer` keeps the node's own copy of LOG. Always: a node holds one engine.
"""
