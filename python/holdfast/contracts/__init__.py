"""What crosses a border: facts, requests, answers and problems, as msgspec Structs (api.md).

Always: nothing here speaks to anything; the parts above import it, it imports none of them.
"""
