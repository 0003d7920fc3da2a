"""What happens to processes, servers and the ways between them.

Role: strike at random times, each kind at the mean rate that the plan gives it, and make good again after a while. In:
the plan. Out: calls of the world's parts. Always: when the storm is over nothing stays broken.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.snapshots import foreign

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World


class Faults:
    """The ill fate of one history."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._kinds: dict[str, Callable[[], None]] = {
            "kill": lambda: self._victim().kill(),
            "pause": self._pause,
            "stop": lambda: self._victim().stop(),
            "server_restart": self._server_restart,
            "server_stuck": self._server_stuck,
            "log_full": self._log_full,
            "deposed": self._deposed,
            "cut": self._cut,
            "cut_to_slot": self._cut_to_slot,
            "in_cut": self._in_cut,
            "lease_lost": self.world.lease.lose,
            "disconnect": self._disconnect,
            "wall_jump": self._wall_jump,
            "slow_spell": self._slow_spell,
            "erp_burst": self._erp_burst,
            "snapshot": self._snapshot,
            "foreign_snapshot": self._foreign_snapshot,
            "forge_pulse": self.world.network.forge_pulse,
            "replay_pulse": self.world.network.replay_pulse,
            "forge_question": self.world.network.forge_question,
            "replay_question": self.world.network.replay_question,
            "forge_reply": self.world.network.forge_reply,
        }
        for kind in self.world.attacker.kinds:
            self._kinds[kind] = partial(self.world.attacker.strike, kind)

    def begin(self) -> None:
        """Each kind strikes for the first time after about its mean time."""
        for name in self.world.plan.faults:
            self._later(name)

    def end(self) -> None:
        """Everything works again."""
        world = self.world
        world.server.deposed.clear()
        world.server.full = False
        if not world.server.up or world.server.stuck:
            world.server.come_up()
            for process in world.processes:
                process.connect(connected=False)  # a server that comes up again is connected to again
        for process in world.processes:
            process.resume(process.life)
            process.connect(connected=True)
        world.server.wake()
        world.later(world.random.randint(0, 3_000), world.server.put_back)
        world.later(world.random.randint(0, 3_000), self._fill_in)

    def _fill_in(self) -> None:
        """An operator looks again: what a leader had fetched before IN lost it may reach LOG only now."""
        self.world.server.fill_in()
        self.world.later(1_000, self._fill_in)

    def _later(self, name: str) -> None:
        delay_ms = 1 + int(self.world.random.expovariate(1 / self.world.plan.faults[name]))
        self.world.later(delay_ms, self._strike, name)

    def _strike(self, name: str) -> None:
        if self.world.storm:
            self.world.met[name] += 1
            self._kinds[name]()
            self._later(name)

    def _victim(self) -> Process:
        """Those who lead more often than others."""
        leading = [process for process in self.world.processes if process.leading]
        if leading and self.world.random.random() < 0.7:
            return self.world.random.choice(leading)
        return self.world.random.choice(self.world.processes)

    def _for_ms(self) -> int:
        """Mostly short, sometimes past every timeout."""
        return self.world.random.choice((30, 120, 400, 1_200, 4_000))

    # ---- processes

    def _pause(self) -> None:
        victim = self._victim()
        victim.pause()
        self.world.later(self._for_ms(), victim.resume, victim.life)

    def _disconnect(self) -> None:
        victim = self._victim()
        victim.connect(connected=False)
        self.world.later(self._for_ms(), self._reconnect, victim)

    def _reconnect(self, process: Process) -> None:
        process.connect(connected=True)

    def _snapshot(self) -> None:
        self._victim().snapshots.take()

    def _wall_jump(self) -> None:
        victim = self._victim()
        jump_ms = self.world.random.choice((-86_400_000, -3_600_000, -2_000, 2_000, 3_600_000, 86_400_000))
        self.world.say(victim.name, "its wall clock jumps by {} ms", jump_ms)
        victim.wall_offset_ms += jump_ms

    # ---- the server

    def _server_restart(self) -> None:
        server = self.world.server
        if server.up:
            server.go_down()
            self.world.later(self._for_ms() // 2, self._restarted)

    def _restarted(self) -> None:
        server = self.world.server
        if not server.up:
            server.come_up()
            if self.world.random.random() < 0.3:
                self.world.lease.forget()
            for process in self.world.processes:
                process.connect(connected=False)
                self.world.later(self.world.random.randint(1, 200), self._reconnect, process)

    def _cut(self) -> None:
        """The server restarts without the tail of LOG."""
        server = self.world.server
        if server.up:
            server.go_down()
            server.cut(self.world.random.randint(1, 5))
            self.world.later(self._for_ms() // 4, self._restarted)

    def _in_cut(self) -> None:
        """The server restarts without the tail of IN. An operator notices, or senders go on before that."""
        world, server = self.world, self.world.server
        if server.up and len(server.incoming) > 3:
            server.go_down()
            server.cut_in(world.random.randint(1, 3))
            world.later(self._for_ms() // 4, self._restarted)
            if world.random.random() < 0.5:
                world.later(world.random.randint(500, 3_000), server.fill_in)

    def _cut_to_slot(self) -> None:
        """The server restarts without just what others wrote since a process began an append that it still repeats."""
        server = self.world.server
        for process in self.world.processes:
            slot = process.slot
            if slot is not None and server.up and server.log[slot[0] :] and server.log[slot[0]] != slot[1]:
                self.world.met["slot freed"] += 1
                server.go_down()
                server.cut(len(server.log) - slot[0])
                self.world.later(self._for_ms() // 4, self._restarted)
                return

    def _server_stuck(self) -> None:
        server = self.world.server
        if server.up and not server.stuck:
            server.stuck = True
            self.world.say("server", "no longer answers writes")
            self.world.later(self._for_ms(), self._unstick)

    def _unstick(self) -> None:
        if self.world.server.stuck:
            self.world.server.go_down()
            self.world.later(20, self._restarted)

    def _log_full(self) -> None:
        self.world.server.full = True
        self.world.say("server", "LOG is full")
        self.world.later(self._for_ms(), self._emptied)

    def _emptied(self) -> None:
        self.world.server.full = False

    def _deposed(self) -> None:
        """A process keeps talking to a server that has lost the lead of the stream without knowing it."""
        victim, server = self._victim(), self.world.server
        server.deposed[victim.name] = len(server.log)
        self.world.say(victim.name, "talks to a deposed server that knows {} messages", len(server.log))
        self.world.later(self._for_ms(), self._replaced, victim)

    def _replaced(self, process: Process) -> None:
        if self.world.server.deposed.pop(process.name, None) is not None:
            process.log_feed.wake()

    def _slow_spell(self) -> None:
        weather, usual = self.world.weather, self.world.weather.slow_ms
        weather.slow_ms = 600
        self.world.say("network", "is slow")
        self.world.later(self._for_ms(), self._fast, usual)

    def _fast(self, usual_ms: int) -> None:
        if self.world.storm:
            self.world.weather.slow_ms = min(usual_ms, 40)

    # ---- others

    def _erp_burst(self) -> None:
        for _ in range(self.world.random.randint(3, 12)):
            self.world.erp.movement()

    def _foreign_snapshot(self) -> None:
        self.world.snapshots.put(foreign(self.world))
