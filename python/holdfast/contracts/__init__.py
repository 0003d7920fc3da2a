"""What crosses a border: facts, requests, answers and problems, as msgspec Structs (docs/http.md, docs/facts.md).

Always: nothing here does I/O; the parts above import it, it imports none of them.
"""
