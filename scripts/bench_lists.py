"""Measures every list with eight readers, as scripts/bench-lists has prepared it.

Usage: bench_lists.py FOLDER SECONDS, with the demo's environment.
"""

import http.client
import json
import os
import subprocess
import sys
from urllib.parse import urlsplit

folder, seconds = sys.argv[1], sys.argv[2]
READERS = 8
GOAL_MS = 20
address = urlsplit(os.environ["BURSAR_URL"]).netloc
admin, office = os.environ["BURSAR_ADMIN_TOKEN"], os.environ["BURSAR_BACKOFFICE_TOKEN"]


def user(number):
    return f"00000000-0000-0000-0000-{number:012x}"


def call(method, path, body=None):
    headers = {"Authorization": f"Bearer {admin}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(address)
    connection.request(method, path, body and json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        sys.exit(f"{method} {path}: {answer.status} {text.decode()}")
    return json.loads(text)


def token(number):
    """A token for a user's own transfers."""
    wanted = {
        "subject": f"bench-{number}",
        "user_id": user(number),
        "permissions": ["allow_transfer"],
        "ttl_seconds": 3600,
    }
    return call("POST", "/admin/v1/tokens", wanted)["token"]


def pages(query):
    """The paths of the first 100 pages of an admin list."""
    path = f"/admin/v1/transfers?{query}"
    paths = [path]
    while len(paths) < 100:
        cursor = call("GET", paths[-1])["next_cursor"]
        if cursor is None:
            break
        paths.append(f"{path}&cursor={cursor}")
    return paths


def measure(what, requests):
    path = os.path.join(folder, "requests.tsv")
    with open(path, "w", encoding="utf-8") as lines:
        lines.writelines(f"Authorization\tBearer {token}\t{path}\n" for token, path in requests)
    wrk = ["wrk", "--threads", "1", "--connections", str(READERS), "--duration", f"{seconds}s"]
    wrk += ["--latency", "--script", "scripts/bench_lists.lua", os.environ["BURSAR_URL"]]
    environment = dict(os.environ, BENCH_REQUESTS=path)
    out = subprocess.run(wrk, env=environment, check=True, capture_output=True, text=True).stdout
    result = next(line for line in out.splitlines() if line.startswith("RESULT"))
    _, count, failed, p50, p99, worst = result.split()
    verdict = "" if float(p99) < GOAL_MS else f"  over {GOAL_MS} ms"
    print(f"{what:<44}{count:>8}{failed:>7}{p50:>9}{p99:>9}{worst:>9}{verdict}", flush=True)


# A limit on requests per user must not be what is measured: there are many.
traders = [(number, token(number)) for number in range(1, 151)]
history = "/back-api/backoffice/transfers/account/?userId="
listed = "/back-api/api/v2/transfers?"
day = "from=2026-08-01&to=2026-08-02"

print(f"{'8 readers':<44}{'requests':>8}{'failed':>7}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}")
measure("account history, 150 busiest users", [(office, history + user(n)) for n, _ in traders])
measure("account history, busiest user, 100 pages",
        [(office, f"{history}{user(1)}&cursor={page}") for page in range(100)])
measure("account history, 999 rows", [(office, f"{history}{user(1)}&limit=999")])
for what, query in [("", ""), (", success", "?status=success"), (", rejected", "?status=rejected"),
                    (", btc", "?currency_code=btc"), (", custom_id", "?custom_id=order-1"),
                    (", one day", "?start_at=2026-08-01&end_at=2026-08-02"),
                    (", offset 10000", "?offset=10000")]:
    measure(f"internal list{what}", [(one, f"/internal-transfer{query}") for _, one in traders])
for what, query in [("", ""), (", Completed", "status=Completed"), (", Failed", "status=Failed"),
                    (", AwaitingConfirmation", "status=AwaitingConfirmation"),
                    (", withdrawals", "type=Withdrawal"), (", one day", day)]:
    measure(f"global list, 100 pages{what}",
            [(office, f"{listed}{query}&cursor={page}") for page in range(100)])
measure("global list, 999 rows", [(office, f"{listed}pageSize=999")])
measure("global list, busiest user", [(office, f"{listed}userId={user(1)}")])
measure("global list, search for one", [(office, f"{listed}search=user1999@")])
measure("global list, search for 1,111", [(office, f"{listed}search=user11")])
for what, query in [("", ""), (", internal", "kind=internal"), (", Rejected", "status=rejected"),
                    (", busiest user", f"user_id={user(1)}"), (", eth", "asset=eth"),
                    (", eth of one user", f"asset=eth&user_id={user(1)}"),
                    (", amounts", "asset=btc&min_amount=1&max_amount=1.1"),
                    (", one day", "created_from=2026-08-01&created_to=2026-08-02")]:
    measure(f"admin list, 100 pages{what}", [(admin, path) for path in pages(query)])
for what, query in [("custom_id", "custom_id=order-1"), ("id", "id=500000"),
                    ("search for 1,111", "search=user11")]:
    measure(f"admin list, {what}", [(admin, f"/admin/v1/transfers?{query}")])
