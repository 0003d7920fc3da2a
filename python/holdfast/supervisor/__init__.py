"""One process that keeps a gateway's others running: the nats-server, the workers, and whatever else a gateway needs.

Role: `run` owns DATA, the port and the nats-server and holds no state of its own that a restart would miss; `children`
starts, watches and restarts; `channel` is how parent and child speak; `address` keeps the port; `record` tells other
programs where the gateway is. Always: nothing here imports a gateway, a node or the NATS client before the children
are on their way; a supervisor that is killed takes all of them with it.
"""
