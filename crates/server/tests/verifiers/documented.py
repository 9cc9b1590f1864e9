"""Says of each callback on standard input what the document's `verify` says of it."""

import json
import sys

document = {}
with open(sys.argv[1], encoding="utf-8") as file:
    exec(file.read(), document)

print(json.dumps([
    document["verify"]([case["secret"]], case["headers"], case["body"].encode())
    for case in json.load(sys.stdin)
]))
