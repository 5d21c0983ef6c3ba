# SPDX-License-Identifier: MIT
"""Measurements of bench/relay with hosts as they are on a real network: far away, slow, silent, throttled."""

import time

from relays import Peak, line, pss_of, table, tell, title, tree, trouble
from world import FAST, SILENT, SLOW, THROTTLED

PAUSES = (0, 10, 50, 200)
DESTINATIONS = (1, 10, 1000)
PER_CONNECTION = 10
CELL_SECONDS = 10       # of one relay at one pause and number of destinations
CELL_MESSAGES = {1: 20000, 10: 20000, 1000: 8000}
SLOW_MS = 1000          # before each reply of a slow host
THROTTLE = 2            # sessions that a throttled host allows
BACKLOG_SECONDS = 600   # at most, of one relay
OPEN_SECONDS = 60       # in which the sessions must be there


def rate(relay, sink, source, domains, pause, seconds):
    """Messages a second, in and out at once, everything known before."""
    relay.reset()
    relay.start(full=len(domains) >= 1000)
    try:
        sink.turn("pause_ms", 0)
        before = sink.now()
        process = source.start(domains, len(domains), PER_CONNECTION)
        sink.wait(before, len(domains), None)
        source.end(process)
        sink.turn("pause_ms", pause)
        before, began = sink.now(), time.monotonic()
        n = CELL_MESSAGES[len(domains)]
        process = source.start(domains, n, PER_CONNECTION)
        came, took = sink.wait(before, n, began, seconds=seconds)
        process.kill()
        process.wait()
        after = sink.now()
        shook = after["full"] + after["resumed"] - before["full"] - before["resumed"]
        return {"rate": came / took if took else 0.0, "handshakes": shook / max(came, 1)}
    finally:
        relay.stop()


def growth(w, sink, source, relays, quick):
    found = {}
    pauses = (0, 50) if quick else PAUSES
    for pause in pauses:
        for n in DESTINATIONS:
            for relay in relays:
                tell(relay, f"{n} destinations, {pause} ms before each reply")
                found[relay.name, n, pause] = rate(relay, sink, source, w.domains[:n], pause,
                                                   CELL_SECONDS / 2 if quick else CELL_SECONDS)
    title("Messages a second, in and out, by the pause before each reply; to 1,000 destinations a full handshake each")
    rows = []
    for n in DESTINATIONS:
        for relay in relays:
            row = [found[relay.name, n, pause] for pause in pauses]
            rows.append((f"{n:,} destinations, {relay.name}", *(f"{x['rate']:,.0f}" for x in row)))
            rows.append(("  handshakes a message", *(f"{x['handshakes']:.2f}" for x in row)))
        if len(relays) == 2:
            ours, theirs = ([found[r.name, n, p]["rate"] for p in pauses] for r in relays)
            rows.append(("  ratio", *(f"{a / b:.1f} x" if b else "" for a, b in zip(ours, theirs))))
    table(["", *(f"{p} ms" for p in pauses)], rows)


def mixed(i):
    """What the host of domain i is in a backlog: of ten seven are fast."""
    return {7: SLOW, 8: SILENT, 9: THROTTLED}.get(i % 10, FAST)


def work_off(relay, sink, source, domains, n):
    relay.reset()
    relay.start(frozen=True)
    try:
        accepted, _ = source.end(source.start(domains, n, PER_CONNECTION))
        relay.stop()
        fast = accepted // len(domains) * sum(mixed(i) == FAST for i in range(len(domains)))
        before, began = sink.now(), time.monotonic()
        relay.start()
        peak = Peak(relay.root)
        came, took = sink.wait(before, fast, began, kind=FAST, seconds=BACKLOG_SECONDS)
        after = sink.now()
        return {"fast": fast, "came": came, "seconds": took, "peak": peak.end(), "refused": after["refused"] - before["refused"],
                "kinds": [a - b for a, b in zip(after["kinds"], before["kinds"])]}
    finally:
        relay.stop()


def backlog(w, sink, source, relays, n):
    for kind, pause in ((SLOW, SLOW_MS), (THROTTLED, 0)):
        sink.turn("pause_ms", pause, kind)
    sink.turn("limit", THROTTLE, THROTTLED)
    rows = []
    n = n // len(w.domains) * len(w.domains)
    for relay in relays:
        tell(relay, f"works off {n:,}")
        r = work_off(relay, sink, source, w.domains, n)
        if r["came"] < r["fast"]:
            trouble.append(f"{relay.name}: {r['fast'] - r['came']} of {r['fast']} to fast hosts were not there in the end")
        rows.append((relay.name, f"{r['came']:,}", f"{r['seconds']:.1f}", f"{r['came'] / max(r['seconds'], 0.001):,.0f}",
                     f"{r['kinds'][SLOW]:,}", f"{r['kinds'][THROTTLED]:,}", f"{r['refused']:,}", f"{r['peak'] / 1024:.0f}"))
    title(f"A queue of {n:,} to {len(w.domains):,} hosts: 7 of 10 fast, one slow ({SLOW_MS} ms before each reply), one silent, "
          f"one throttled ({THROTTLE} sessions)")
    table(["until the fast ones are through", "fast", "seconds", "a second", "slow", "throttled", "heard 421", "peak MiB"], rows)


def open_sessions(w, sink, source, relay, n):
    """Sessions that have sent a text and wait for the reply: TLS is up, and all there is to hold is held."""
    title(f"{n:,} open sessions")
    relay.reset()
    relay.start(frozen=True)
    try:
        source.end(source.start(w.domains, n + n // 2, PER_CONNECTION))
        relay.stop()
        sink.turn("hold", 1)
        relay.start(full=True)
        line("memory at rest", f"{pss_of(tree(relay.root)) / 1024:.1f} MiB")
        peak, began, held, moved = Peak(relay.root), time.monotonic(), 0, time.monotonic()
        while held < n and (held == 0 or time.monotonic() - moved < 5) and time.monotonic() - began < OPEN_SECONDS:
            time.sleep(0.2)
            now = sink.now()["held"]
            held, moved = now, time.monotonic() if now > held else moved
        time.sleep(3)       # who has room gives it back
        line("sessions that wait for their reply", f"{sink.now()['held']:,}, of {sink.now()['open']:,} open")
        pids = tree(relay.root)
        line("memory, all processes", f"{pss_of(pids) / 1024:.1f} MiB, peak {peak.end() / 1024:.1f} MiB, {len(pids)} processes "
             "(target: at most 128 MiB)")
        for role, pids in relay.roles().items():
            line(f"  {role}", f"{pss_of(pids) / 1024:.1f} MiB")
        if held < n:
            trouble.append(f"{held} of {n} sessions were open in the end")
    finally:
        sink.turn("hold", 0)
        relay.stop()
    print(flush=True)
