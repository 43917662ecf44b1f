#!/usr/bin/env python3
"""User instructions a request, by callgrind: exact enough for two commits to be told apart on any machine.

    cargo bench --bench compare --no-run
    benches/instructions.py                      # every load, kestrel beside axum and hyper
    benches/instructions.py browser kestrel      # one load, one server

Each server is run twice on one connection, with some requests and with six times as many; what is left of the difference,
divided, is a request. Needs valgrind."""

import pathlib
import re
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
FEW, MANY = 500, 3000

CURL = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n"
BROWSER = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\n"
    b'sec-ch-ua: "Chromium";v="130", "Not?A_Brand";v="99"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: "Linux"\r\n'
    b"Upgrade-Insecure-Requests: 1\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    b"Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n"
    b"Cookie: session=0123456789abcdef0123456789abcdef\r\n\r\n"
)
# The request, and how many of it are written at once.
LOADS = {"curl": (CURL, 1), "browser": (BROWSER, 1), "pipelined": (CURL, 16), "pipelined-browser": (BROWSER, 16)}
ANSWER = b"Hello World!"


def program():
    """What `cargo bench --no-run` built last."""
    found = [path for path in (ROOT / "target/release/deps").glob("compare-*") if not path.suffix]
    if not found:
        raise SystemExit("first: cargo bench --bench compare --no-run")
    return max(found, key=lambda path: path.stat().st_mtime)


def collected(server, request, depth, count):
    """Instructions of a server that answers so many requests."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program(), "--serve", server, "http1"]
    pipe = subprocess.PIPE
    child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    with socket.create_connection(("127.0.0.1", int(child.stdout.readline()))) as client:
        for _ in range(0, count, depth):
            client.sendall(request * depth)
            answers = b""
            while answers.count(ANSWER) < depth:
                piece = client.recv(65536)
                if not piece:
                    raise SystemExit(f"{server} closed the connection")
                answers += piece
    child.stdin.close()
    said = child.stderr.read()
    child.wait()
    return int(re.search(r"Collected : (\d+)", said).group(1))


def main():
    loads = [name for name in sys.argv[1:] if name in LOADS] or list(LOADS)
    servers = [name for name in sys.argv[1:] if name not in LOADS] or ["kestrel", "axum", "hyper"]
    for load in loads:
        for server in servers:
            few, many = (collected(server, *LOADS[load], count) for count in (FEW, MANY))
            print(f"{load:18} {server:8} {(many - few) / (MANY - FEW):8.0f}", flush=True)


main()
