"""The HTTP side: one aiohttp server in front of one node.

In: requests of api.md. Out: the node's answers, and problems for what is HTTP (keys, sizes, encodings, methods, time).
Always: bodies go to the core as they came and its answers leave as they are; nothing about stock is decided here.
"""
