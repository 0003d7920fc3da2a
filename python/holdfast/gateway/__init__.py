"""The HTTP side: one aiohttp server in front of one node.

In: requests as in docs/http.md. Out: the node's answers, and problems for what is HTTP (keys, sizes, encodings,
methods, time).
Always: bodies go to the core unparsed, and its answers go out unchanged; nothing about stock is decided here.
"""
