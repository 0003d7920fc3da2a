"""Who may lead, one sentence each: the quarantine, the lease and the peers, with a log that does as it is told."""

from holdfast.node import events as e
from tests.test_protocol_rules import Driver


def test_a_quarantined_leader_steps_down_with_its_core_and_does_not_claim_again() -> None:
    driver = Driver().caught_up().store()
    core = driver.core
    driver.ask("r1")
    driver.handle(e.Quarantined("digest-differs", "n2 has another digest at 1"))
    assert (driver.role, driver.core is core) == ("following", True)
    assert driver.one(e.Alarm).name == "quarantine"
    reject = driver.one(e.Reject)
    assert (reject.problem, reject.outcome) == (e.Problem.LOG_UNAVAILABLE, e.Outcome.NOT_DONE)
    assert driver.one(e.Follow).after == 1
    assert driver.ask("r2") == (e.Problem.LOG_UNAVAILABLE, e.Outcome.NOT_DONE)
    driver.handle(e.CaughtUp(1))
    assert driver.pass_ms(60_000).all_of(e.Append) == []
    driver.handle(e.Lifted("digest-differs")).store()
    assert (driver.role, driver.core.epoch) == ("leading", 2)


def test_an_append_in_flight_is_resolved_before_a_quarantine_takes_the_lead_away() -> None:
    driver = Driver().caught_up().store()
    driver.ask("r1")
    append = driver.turn().one(e.Append)
    driver.handle(e.Quarantined("in-shorter", "IN ends at 3, LOG has taken 9"))
    assert (driver.role, driver.all_of(e.Follow)) == ("leading", [])
    driver.log.append(append.message)
    driver.handle(e.AppendStored(append.append_id, 2))
    assert [command.waiter for command in driver.one(e.Answer).commands] == ["r1"]
    assert (driver.role, driver.one(e.Follow).after) == ("following", 2)


def test_each_cause_of_a_quarantine_is_lifted_on_its_own() -> None:
    driver = Driver()
    driver.handle(e.Quarantined("digest-differs", "a"))
    driver.handle(e.Quarantined("log-altered", "b"))
    driver.caught_up()
    driver.handle(e.Lifted("digest-differs"))
    assert (driver.role, driver.protocol.quarantine) == ("following", {"log-altered": "b"})
    driver.handle(e.Lifted("log-altered"))
    assert driver.role == "claiming"
