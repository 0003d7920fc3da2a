"""Real processes, real faults: what is killed, stopped and broken under load, and what must hold afterwards.

`service` runs the gateways, `shoppers` load them and write down every answer, `nemeses` break things, `checker` reads
the log and judges every answer, `runs` names the rounds, `report` is the table. docs/faults.md has the results.
"""
