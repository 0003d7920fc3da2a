"""No oversell under any concurrency, through HTTP: tests that a check followed by an act would fail."""

import asyncio

from tests.support.served import Api, cart, fresh


async def test_120_shoppers_for_4_units(api: Api) -> None:
    sku = await api.stocked(4)

    async def shop(number: int) -> int:
        own = Api(api.port)
        name = fresh("shopper")
        held = await own.reserve((sku, 1), reservation=name, owner=f"shopper-{number}")
        if held.status == 409:
            assert held.problem == "insufficient-stock"
            return 0
        assert held.status == 201
        confirmed = await own("POST", f"/v1/reservations/{name}/confirm", {"order_ref": name})
        assert confirmed.status == 200
        return 1

    sold = await asyncio.gather(*(shop(number) for number in range(120)))
    assert sum(sold) == 4
    assert await api.sellable(sku) == 0
    found = (await api("GET", f"/v1/availability/{sku}/explain?channel=web")).json
    assert sum(term["quantity"] for term in found["terms"]) == 0


async def test_one_cart_may_not_count_one_unit_twice(api: Api) -> None:
    sku = await api.stocked(3)
    answers = await asyncio.gather(*(Api(api.port).reserve((sku, 2), (sku, 2)) for _ in range(10)))
    assert {answer.status for answer in answers} == {409}
    answers = await asyncio.gather(*(Api(api.port).reserve((sku, 2), (sku, 1)) for _ in range(10)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 9


async def test_a_kit_against_its_component(api: Api) -> None:
    bulb, kit = await api.stocked(12), fresh("lamp")
    await api.policies(
        {"kind": "item", "sku": kit, "base_unit": "each", "kit": [{"sku": bulb, "quantity": 3}]},
    )
    kits = [Api(api.port).reserve((kit, 1)) for _ in range(20)]
    loose = [Api(api.port).reserve((bulb, 1)) for _ in range(20)]
    answers = await asyncio.gather(*(one for pair in zip(kits, loose, strict=True) for one in pair))
    held = [answer.json["lines"][0] for answer in answers if answer.status == 201]
    units = sum(3 if line["sku"] == kit else 1 for line in held)
    assert units == 12, "to the last unit, and not one more"
    assert await api.sellable(bulb) == 0
    assert await api.sellable(kit) == 0


async def test_many_times_the_same_put_is_one_reservation(api: Api) -> None:
    sku, name = await api.stocked(100), fresh("twin")
    answers = await asyncio.gather(*(Api(api.port).reserve((sku, 7), reservation=name) for _ in range(30)))
    assert sorted(answer.status for answer in answers) == [200] * 29 + [201]
    assert {answer.json["version"] for answer in answers} == {1}
    assert await api.sellable(sku) == 93


async def test_confirming_races_with_releasing(api: Api) -> None:
    sku = await api.stocked(1)
    for _ in range(10):
        name = await api.held((sku, 1))
        confirm, release = await asyncio.gather(
            Api(api.port)("POST", f"/v1/reservations/{name}/confirm"),
            Api(api.port)("POST", f"/v1/reservations/{name}/release"),
        )
        assert confirm.status == 200, "a late confirm takes it again: nobody else wanted it"
        assert (release.status, confirm.json["state"]) in {(200, "committed"), (409, "committed")}
        assert await api.sellable(sku) == 0
        await api("POST", f"/v1/reservations/{name}/cancel")
        assert await api.sellable(sku) == 1


async def test_replacing_under_load_loses_no_unit(api: Api) -> None:
    sku = await api.stocked(40)
    names = [fresh("swap") for _ in range(10)]

    async def swap(name: str) -> None:
        own = Api(api.port)
        for quantity in (4, 1, 3, 2, 4):
            answer = await own.reserve((sku, quantity), reservation=name)
            assert answer.status in {200, 201}, "4 each always fit"

    await asyncio.gather(*(swap(name) for name in names))
    assert await api.sellable(sku) == 0
    for name in names:
        await api("POST", f"/v1/reservations/{name}/release")
    assert await api.sellable(sku) == 40


async def test_reads_never_see_what_is_not_stored(api: Api) -> None:
    sku = await api.stocked(1_000)
    stop = asyncio.Event()
    seen: list[tuple[int, int]] = []

    async def read() -> None:
        own = Api(api.port)
        while not stop.is_set():
            answer = await own("GET", f"/v1/availability/{sku}?channel=web")
            if answer.json["as_of"]["mode"] == "live":
                seen.append((answer.json["as_of"]["sequence"], answer.json["sellable"]))

    readers = [asyncio.create_task(read()) for _ in range(3)]
    held = await asyncio.gather(*(Api(api.port).reserve((sku, 1)) for _ in range(200)))
    stop.set()
    await asyncio.gather(*readers)
    taken: dict[int, int] = {}
    for answer in held:
        assert answer.status == 201
        taken[answer.json["sequence"]] = taken.get(answer.json["sequence"], 0) + 1
    for sequence, sellable in seen:
        expected = 1_000 - sum(count for at, count in taken.items() if at <= sequence)
        assert sellable == expected, "exactly what the log says at that sequence"


async def test_a_batch_and_single_requests_share_the_stock(api: Api) -> None:
    sku = await api.stocked(50)
    batch = {"requests": [{"id": fresh("batched"), **cart((sku, 1))} for _ in range(40)]}
    answers = await asyncio.gather(
        Api(api.port)("POST", "/v1/reservations:batch", batch),
        *(Api(api.port).reserve((sku, 1)) for _ in range(40)),
    )
    made = sum(result["status"] == 201 for result in answers[0].json["results"])
    made += sum(answer.status == 201 for answer in answers[1:])
    assert made == 50
