"""A company with two warehouses, products, a customer and an application key, in a new Tryton database.

In: the configuration and the name of a database in which modules were activated. Out: JSON with what tests need.
Always: runs once, in a separate process: Tryton keeps one registry of a database in a process.
"""

import json
import sys
from decimal import Decimal
from typing import Any

from trytond import config

config.update_etc(sys.argv[1])

from trytond.pool import Pool  # noqa: E402 - reads the configuration
from trytond.transaction import Transaction  # noqa: E402

SKUS = [f"T-{letter}" for letter in "ABCDEFGHIJKLMNOPQRST"]


def main() -> None:
    name = sys.argv[2]
    Pool.start()
    pool = Pool(name)
    pool.init()
    with Transaction().start(name, 0, readonly=True):
        [admin] = pool.get("res.user").search([("login", "=", "admin")])
        person = admin.id  # another one on each database
    with Transaction().start(name, person, context={"_skip_warnings": True}) as transaction:
        currencies, parties, companies = (
            pool.get("currency.currency"),
            pool.get("party.party"),
            pool.get("company.company"),
        )
        currency = currencies(name="Euro", code="EUR", symbol="E", rounding=Decimal("0.01"), digits=2)
        currency.save()
        party = parties(name="Shop", addresses=[{}])
        party.save()
        company = companies(party=party, currency=currency)
        company.save()
        users = pool.get("res.user")
        admin = users(person)
        admin.companies = [company]
        admin.company = company
        admin.save()
        transaction.commit()
    with Transaction().start(
        name, person, context={"company": company.id}, _lock_tables=["sale_configuration"]
    ) as transaction:
        settings = pool.get("sale.configuration")(1)
        settings.sale_invoice_method = "manual"
        settings.sale_shipment_method = "order"
        settings.save()
        transaction.commit()
    with Transaction().start(name, person, context={"company": company.id}) as transaction:
        known = fill(pool, company.id, currency.id, person)
        transaction.commit()
    print(json.dumps(known))


def fill(pool: Pool, company: int, currency: int, person: int) -> dict[str, object]:
    parties, locations, uoms = pool.get("party.party"), pool.get("stock.location"), pool.get("product.uom")
    (unit,) = uoms.search([("symbol", "=", "u")])
    customer = parties(name="Customers of the shop", addresses=[{}])
    supplier = parties(name="Maker", addresses=[{}])
    parties.save([customer, supplier])
    (paris,) = locations.search([("type", "=", "warehouse")])
    paris.code = "WH"
    paris.save()
    zones = {}
    for kind in ("input", "output", "storage"):
        zone = locations(name=f"Lyon {kind}", type="storage", code=f"L{kind[:2]}")
        zone.save()
        zones[kind] = zone
    lyon = locations(
        name="Lyon",
        type="warehouse",
        code="WH2",
        input_location=zones["input"],
        output_location=zones["output"],
        storage_location=zones["storage"],
    )
    lyon.lost_found_location = paris.lost_found_location
    lyon.save()
    shelf = locations(name="Shelf 1", type="storage", parent=paris.storage_location)
    shelf.save()
    products = products_of(pool, unit)
    applications = pool.get("res.user.application")
    application = applications(user=person, application="rest", state="validated")
    application.save()
    return {
        "key": application.key,
        "customer": customer.id,
        "supplier": supplier.id,
        "company": company,
        "currency": currency,
        "unit": unit.id,
        "products": products,
        "paris": paris.id,
        "lyon": lyon.id,
        "shelf": shelf.id,
        "customer_code": customer.code,
        "address": customer.addresses[0].id,
        "supplier_address": supplier.addresses[0].id,
        "input": paris.input_location.id,
        "storage": paris.storage_location.id,
        "lyon_storage": zones["storage"].id,
        "lost": locations.search([("type", "=", "lost_found")])[0].id,
    }


def products_of(pool: Pool, unit: Any) -> dict[str, int]:
    templates = pool.get("product.template")
    products = {}
    for sku in SKUS:
        template = templates(
            name=sku,
            type="goods",
            default_uom=unit,
            list_price=Decimal(10),
            salable=True,
            sale_uom=unit,
            purchasable=True,
            purchase_uom=unit,
            products=[{"suffix_code": sku}],
        )
        template.save()
        products[sku] = template.products[0].id
    return products


main()
