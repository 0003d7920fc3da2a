"""One process that keeps a gateway's others running: the nats-server, the workers, and all others that a gateway needs.

Role: `run` owns DATA, the port and the nats-server and holds no state that a restart would lose; `children`
starts, watches and restarts; `control_pipe` connects parent and child; `address` reserves the port; `record` shows
other programs where the gateway is. Always: nothing here imports a gateway, a node or the NATS client before the
children have been started; when a supervisor is killed, all of them end.
"""
