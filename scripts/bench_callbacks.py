"""Pays between users with a receiver each, and measures when their callbacks arrive.

Usage: bench_callbacks.py FOLDER SECONDS RATE HANGING PSQL, with the demo's environment and the
users that bench_users.py has made.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from urllib.parse import urlsplit

folder, seconds, rate, hanging, psql = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
CONNECTIONS = 16
HANG_AFTER_S = 5
P50_MS, P99_MS = 150, 2000
address = urlsplit(os.environ["BURSAR_URL"])
with open(os.path.join(folder, "users.tsv"), encoding="utf-8") as lines:
    users = [line.split() for line in lines]
# By webhook-id: when it arrived first. How many arrived where nobody answers, and more than once.
arrived, unanswered, again = {}, 0, 0


async def read_message(reader):
    """The head of an HTTP message, its first line and headers; the body is read and dropped."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return head[0], headers, body


def receiver(hangs, begun):
    async def talk(reader, writer):
        global unanswered, again
        try:
            while True:
                _, headers, _ = await read_message(reader)
                now = time.time()
                if hangs and now - begun >= HANG_AFTER_S:
                    unanswered += 1
                    await reader.read()
                    break
                if headers["webhook-id"] in arrived:
                    again += 1
                arrived.setdefault(headers["webhook-id"], (now, hangs))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    return talk


async def pay(requests, counts):
    """Sends what is asked for, one after the other."""
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    while (request := await requests.get()) is not None:
        writer.write(request)
        status, _, body = await read_message(reader)
        code = status.split()[1]
        counts[code] = counts.get(code, 0) + 1
        if code != "200" and counts[code] == 1:
            print(status, body.decode(), file=sys.stderr)
    writer.close()


def request(number, ports):
    user, token = users[number % len(users)]
    recipient = users[(number + 1) % len(users)][0]
    body = json.dumps({
        "currency_code": "USDT", "amount": "0.000001", "recipient": recipient,
        "callback_url": f"http://127.0.0.1:{ports[number % len(users)]}/{number}",
    })
    return (
        f"POST /internal-transfer HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def run():
    begun = time.time()
    servers = []
    for number in range(len(users)):
        hangs = number % len(users) < hanging
        servers.append(await asyncio.start_server(receiver(hangs, begun), "127.0.0.1", 0))
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    requests, counts = asyncio.Queue(), {}
    clients = [asyncio.create_task(pay(requests, counts)) for _ in range(CONNECTIONS)]
    late = 0
    for number in range(seconds * rate):
        wait = begun + number / rate - time.time()
        if wait > 0:
            await asyncio.sleep(wait)
        late = max(late, requests.qsize())
        requests.put_nowait(request(number, ports))
    for _ in clients:
        requests.put_nowait(None)
    await asyncio.gather(*clients)
    took = time.time() - begun
    # What is on its way to receivers that answer arrives within the goal, or has missed it.
    await asyncio.sleep(P99_MS / 1000 + 1)
    healthy = ",".join(f"'127.0.0.1:{port}'" for port in ports[hanging:])
    return took, counts, late, healthy


def percentile(sorted_values, share):
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]


took, counts, late, healthy = asyncio.run(run())
query = ("SELECT id, extract(epoch FROM created_at) FROM book_main.callbacks "
         f"WHERE host IN ({healthy})")
rows = subprocess.run(
    [psql, os.environ["BURSAR_DATABASE_URL"], "--no-psqlrc", "--tuples-only", "--no-align",
     "--field-separator", " ", "--command", query],
    check=True, capture_output=True, text=True,
).stdout.split("\n")
committed = {line.split()[0]: float(line.split()[1]) for line in rows if line}
missing = [one for one in committed if one not in arrived]
lags = sorted(1000 * (arrived[one][0] - at) for one, at in committed.items() if one in arrived)
print(f"{sum(counts.values()) / took:.0f} payments/s in {took:.1f} s, answers {counts}, "
      f"{late} requests waited at most for a connection")
print(f"{unanswered} attempts at receivers that hang, {again} callbacks arrived again")
print(f"{len(committed)} callbacks for receivers that answer, {len(missing)} of them missing")
p50, p99 = percentile(lags, 0.5), percentile(lags, 0.99)
print(f"from commit to arrival: p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {lags[-1]:.0f} ms "
      f"(goals: p50 {P50_MS} ms, p99 {P99_MS} ms)")
sys.exit(0 if p50 < P50_MS and p99 < P99_MS and not missing else 1)
