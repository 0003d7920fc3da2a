"""A log that lost something is put right from the journals, and proven; what a person must decide is said."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from holdfast.nats.connection import Connection, Endpoint
from holdfast.protocol.errors import Unavailable
from holdfast.recovery.repair import Proof, Repairer, RepairError
from holdfast.recovery.repair_plan import Examination, Plan, examine, plan
from holdfast.settings import Settings
from holdfast.storage.journal_reader import read_journal_view
from holdfast.storage.segments import read_copied
from tests.support.batches import batch_after
from tests.support.journals import NAMES, filled, kept, leads, log_messages, node_with_journal, rewrite_log
from tests.support.servers import connected, embedded, leading, put, stocked, until
from tests.support.serving import holdfast

SETTINGS = Settings()


async def looked(connection: Connection, data: Path, trust: str | None = None) -> tuple[Examination, Plan]:
    found = await examine(connection, data, "main", SETTINGS)
    return found, await asyncio.to_thread(plan, found, trust)


async def repaired(connection: Connection, data: Path, trust: str | None = None) -> tuple[Proof, Repairer]:
    _, made = await looked(connection, data, trust)
    repairer = Repairer(connection, data, "main", SETTINGS)
    return await repairer.carry_out(made), repairer


@asynccontextmanager
async def server_with_work(data: Path) -> AsyncIterator[tuple[Connection, list[bytes], str, Endpoint]]:
    async with embedded(data) as server:
        digest = await filled(server, data)
        async with connected(server.endpoint) as connection:
            yield connection, await log_messages(connection), digest, server.endpoint


def blocks(data: Path) -> list[Path]:
    return sorted(data.glob(f"nats/store/**/{NAMES.log}/msgs/*.blk"))


async def test_a_whole_log_is_sound(tmp_path: Path) -> None:
    async with server_with_work(tmp_path) as (connection, messages, digest, _):
        found, made = await looked(connection, tmp_path)
        assert made.sound
        assert made.steps == []
        assert found.position is not None
        assert found.position.sequence == len(messages)
        proof = await Repairer(connection, tmp_path, "main", SETTINGS).prove(found.comparisons[0].journal)
        assert (proof.sequence, proof.digest) == (len(messages), digest)


async def test_a_lost_end_is_put_back_byte_by_byte(tmp_path: Path) -> None:
    async with server_with_work(tmp_path) as (connection, messages, digest, endpoint):
        await rewrite_log(connection, messages[:-6])
        _, made = await looked(connection, tmp_path)
        assert made.append_from is not None
        assert "lost 6 at its end" in made.findings[0]
        proof, _ = await repaired(connection, tmp_path)
        assert await log_messages(connection) == messages
        assert (proof.sequence, proof.digest) == (len(messages), digest)
        assert (await looked(connection, tmp_path))[1].sound
        async with node_with_journal(endpoint, tmp_path) as node:
            await leads(node)
            assert (await put(node, "after", ("S1", 1)))[0] == 201


async def test_a_flipped_bit_in_the_last_block_is_noticed_and_mended_while_the_gateway_waits(tmp_path: Path) -> None:
    async with embedded(tmp_path) as server:
        digest = await filled(server, tmp_path, holds=40)
        async with connected(server.endpoint) as connection:
            messages = await log_messages(connection)
    block = blocks(tmp_path)[-1]
    block.with_name("index.db").unlink(missing_ok=True)  # as after kill -9: the server reads the blocks themselves
    content = bytearray(block.read_bytes())
    content[len(content) // 2] ^= 1
    block.write_bytes(content)
    async with embedded(tmp_path) as server, connected(server.endpoint) as connection:
        left = await log_messages(connection)
        assert len(left) < len(messages), "the server cuts the stream without a word"
        assert left == messages[: len(left)]
        async with node_with_journal(server.endpoint, tmp_path) as node:
            await until(lambda: node.counters().get("alarm_quarantine_total") == 1)
            await asyncio.sleep(0.3)
            assert any("holdfast repair" in reason for reason in node.ready())
            with pytest.raises(Unavailable) as told:
                await put(node, "new", ("S1", 1))
            assert (told.value.problem, told.value.outcome) == ("log-unavailable", "not-done")
            read = await node.read(lambda engine, as_of: engine.availability("S1", "web", None, None, as_of))
            assert orjson.loads(read[1])["as_of"]["mode"] == "stale"
            done = await asyncio.to_thread(holdfast, "repair", "--data", str(tmp_path))
            assert done.returncode == 1, done.stderr
            assert "TO DO" in done.stdout
            assert len(await log_messages(connection)) == len(left), "nothing is changed without a yes"
            done = await asyncio.to_thread(holdfast, "repair", "--data", str(tmp_path), "--yes")
            assert done.returncode == 0, done.stdout + done.stderr
            assert "Restored and proven" in done.stdout
            await leads(node)
            assert node.state()["digest"] == digest
            assert (await put(node, "new", ("S1", 1)))[0] == 201
        assert (await log_messages(connection))[: len(messages)] == messages


async def test_with_the_gateway_stopped_it_starts_the_log_itself(tmp_path: Path) -> None:
    async with server_with_work(tmp_path) as (connection, messages, digest, _):
        await rewrite_log(connection, messages[:-3])
    done = await asyncio.to_thread(holdfast, "repair", "--data", str(tmp_path), "--yes", "--json")
    assert done.returncode == 0, done.stderr
    told = orjson.loads(done.stdout)
    assert told["proof"]["digest"] == digest
    done = await asyncio.to_thread(holdfast, "repair", "--data", str(tmp_path))
    assert done.returncode == 0
    assert "Sound" in done.stdout


async def test_a_log_altered_inside_is_written_anew_and_the_old_one_kept(tmp_path: Path) -> None:
    async with server_with_work(tmp_path) as (connection, messages, digest, _):
        altered = [*messages[:4], messages[4].replace(b'"now_ms":1', b'"now_ms":2'), *messages[5:]]
        assert altered != messages
        await rewrite_log(connection, altered)
        found, made = await looked(connection, tmp_path)
        assert made.recreate_from is not None or made.undecided
        proof, repairer = await repaired(connection, tmp_path, trust="n1")
        assert await log_messages(connection) == messages
        assert proof.digest == digest
        assert repairer.backup is not None
        with repairer.backup.open("rb") as file:
            assert [message for _, message in read_copied(file)] == altered
        assert found.comparisons[0].differs_at == 5


async def test_a_garbled_message_inside_is_no_second_history(tmp_path: Path) -> None:
    async with server_with_work(tmp_path) as (connection, messages, _, _):
        await rewrite_log(connection, [*messages[:4], messages[4][:-1] + b"?", *messages[5:]])
        _, made = await looked(connection, tmp_path)
        assert made.undecided == ""
        assert made.recreate_from is not None
        assert "the log was altered" in made.findings[0]
    done = await asyncio.to_thread(holdfast, "repair", "--data", str(tmp_path), "--yes")
    assert done.returncode == 1
    assert "--recreate" in done.stderr
    done = await asyncio.to_thread(holdfast, "repair", "--data", str(tmp_path), "--yes", "--recreate")
    assert done.returncode == 0, done.stdout + done.stderr
    async with embedded(tmp_path) as server, connected(server.endpoint) as connection:
        assert await log_messages(connection) == messages


async def test_what_the_log_had_beyond_the_journal_is_kept_when_it_is_written_anew(tmp_path: Path) -> None:
    async with server_with_work(tmp_path) as (connection, messages, _, endpoint):
        async with leading(endpoint, name="n1") as node:  # no journal: as if the disk had been full
            await put(node, "later", ("S1", 1))
        longer = await log_messages(connection)
        assert len(longer) == len(messages) + 2
        await rewrite_log(connection, [b"?", *longer[1:]])
        proof, _ = await repaired(connection, tmp_path)
        assert await log_messages(connection) == longer
        assert proof.sequence == len(longer)


async def test_two_histories_are_a_persons_to_decide(tmp_path: Path) -> None:
    async with server_with_work(tmp_path) as (connection, messages, _, endpoint):
        await rewrite_log(connection, messages[:-4])
        async with node_with_journal(endpoint, tmp_path, name="n2") as node:  # it has no journal that would tell
            await leads(node)
            assert (await put(node, "other", ("S2", 1)))[0] == 201
        other = await log_messages(connection)
        found, made = await looked(connection, tmp_path)
        assert "n1" in made.undecided
        assert "Two histories" in made.undecided
        assert made.append_from is made.recreate_from is None
        assert next(one for one in found.comparisons if one.journal.node == "n1").forked
        with pytest.raises(RepairError):
            await Repairer(connection, tmp_path, "main", SETTINGS).carry_out(made)
        assert await log_messages(connection) == other
        await repaired(connection, tmp_path, trust="log")
        assert await log_messages(connection) == other
        assert not list((tmp_path / "journal" / "n1").glob("*.hfjournal"))
        assert list((tmp_path / "repair").glob("journal-n1-*/*.hfjournal"))
        assert (await looked(connection, tmp_path))[1].sound


async def test_a_person_may_decide_for_a_journal(tmp_path: Path) -> None:
    async with server_with_work(tmp_path) as (connection, messages, digest, endpoint):
        await rewrite_log(connection, messages[:-4])
        async with node_with_journal(endpoint, tmp_path, name="n2") as node:
            await leads(node)
            await put(node, "other", ("S2", 1))
        proof, repairer = await repaired(connection, tmp_path, trust="n1")
        assert await log_messages(connection) == messages
        assert proof.digest == digest
        assert repairer.backup is not None
        assert not list((tmp_path / "journal" / "n2").glob("*.hfjournal")), "the other history is set aside"


async def test_an_in_that_lost_its_end_is_filled_so_that_new_facts_count(tmp_path: Path) -> None:
    async with server_with_work(tmp_path) as (connection, _, digest, endpoint):
        config = (await connection.api(f"STREAM.INFO.{NAMES.incoming}"))["config"]
        await connection.api(f"STREAM.DELETE.{NAMES.incoming}")
        await connection.api(f"STREAM.CREATE.{NAMES.incoming}", config)
        _, made = await looked(connection, tmp_path)
        assert made.fill_in_upto == 1
        proof, _ = await repaired(connection, tmp_path)
        assert (proof.digest, proof.in_upto) == (digest, 1)
        async with node_with_journal(endpoint, tmp_path) as node:
            await leads(node)
            await stocked(node, skus=1, on_hand=5)
            assert (
                orjson.loads(
                    (await node.read(lambda core, as_of: core.availability("S0", "web", None, None, as_of)))[1]
                )["sellable"]
                == 5
            )


async def test_a_damaged_journal_is_set_aside_when_the_log_has_it_all(tmp_path: Path) -> None:
    async with server_with_work(tmp_path) as (connection, messages, _, endpoint):
        (path,) = (tmp_path / "journal" / "n1").glob("*.hfjournal")
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 8
        path.write_bytes(content)
        _, made = await looked(connection, tmp_path)
        assert "damaged" in made.findings[0]
        assert [one.node for one in made.set_aside] == ["n1"]
        await repaired(connection, tmp_path)
        async with node_with_journal(endpoint, tmp_path) as node:
            await leads(node)
    assert kept(tmp_path)[: len(messages)] == messages


async def test_a_damaged_journal_that_had_more_than_the_log_is_not_given_up_unasked(tmp_path: Path) -> None:
    async with server_with_work(tmp_path) as (connection, messages, _, _):
        await rewrite_log(connection, messages[:-5])
        (path,) = (tmp_path / "journal" / "n1").glob("*.hfjournal")
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 8
        path.write_bytes(content)
        _, made = await looked(connection, tmp_path)
        assert "--trust log" in made.undecided


async def test_somebody_who_writes_meanwhile_stops_the_repair(tmp_path: Path) -> None:
    async with server_with_work(tmp_path) as (connection, messages, _, _):
        await rewrite_log(connection, messages[:-4])
        await connection.request(NAMES.log_subject, batch_after("0" * 64, 99), 2_000)
        repairer = Repairer(connection, tmp_path, "main", SETTINGS)
        with pytest.raises(RepairError, match="another process wrote"):
            await repairer._append(NAMES.log, NAMES.log_subject, len(messages) - 3, messages[-4])


async def test_a_journal_that_is_being_written_is_read(tmp_path: Path) -> None:
    async with embedded(tmp_path) as server, node_with_journal(server.endpoint, tmp_path) as node:
        await leads(node)
        await stocked(node)
        for at in range(5):
            await put(node, f"r{at}", ("S1", 1))
        await until(lambda: node.counters()["journal_lag"] == 0)
        found = read_journal_view(tmp_path / "journal" / "n1", "main")
        assert found is not None
        assert (found.end.sequence, found.end.chain) == node.journal_writer.end
        assert len(list(found.messages())) == found.end.sequence
