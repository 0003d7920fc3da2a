"""Webhooks: events sent to endpoints, signed as Standard Webhooks has it.

In: OUT, and a table `[webhook.NAME]` for each endpoint. Out: requests; places and parked events in a stream. Always: an
event is sent until the endpoint has it or it is parked; what is about one reservation, or one SKU of a channel, is sent
in order; an event sent twice has the same id.
"""
