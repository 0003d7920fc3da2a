"""Rehearsals of a sale with locust: shoppers, an ERP beside them, a leader that is killed, and a report of it all.

options has what can be chosen, locustfile the shoppers, shapes how many of them there are and when, erp the storm of
facts, accounts what each process keeps of it; rehearsal plays one (`python -m loadtests`), promises judges it by
slo.toml, report shows it. Always: stock is opened and units are accounted for with the parts of `holdfast rehearse`.
"""
