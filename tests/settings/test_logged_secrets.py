"""What a log line shows of secrets: nothing of the seed of a NATS user, nor of a password in an address."""

import subprocess
import sys

from holdfast.nats_server.users import new_seed, public_key

PROGRAM = """
import sys, structlog
from holdfast.logs import configure_logs
configure_logs("info")
seed = sys.argv[1]
url = f"nats://{seed}@127.0.0.1:4222,tls://node:s3cret@b:4222"
shop = "https://shop:s3cret@shop.example:8443/wp-json?consumer_secret=cs_" + 40 * "5"
faults = [{"of": shop, "why": ("no answer", shop)}]
structlog.get_logger().info("joined", url=url, seed=seed, why=f"no {seed}", shop=shop, faults=faults)
"""


def test_neither_a_seed_nor_a_password_is_in_a_line() -> None:
    seed = new_seed()
    done = subprocess.run([sys.executable, "-c", PROGRAM, seed], capture_output=True, text=True, check=True)
    assert "joined" in done.stderr
    assert "127.0.0.1:4222" in done.stderr
    assert seed not in done.stderr
    assert seed[2:] not in done.stderr
    assert "s3cret" not in done.stderr
    assert "cs_5" not in done.stderr
    assert done.stderr.count("@shop.example:8443/wp-json") == 3
    assert public_key(seed).startswith("U"), "the public half may be shown"
