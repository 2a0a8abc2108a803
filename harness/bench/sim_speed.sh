#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# How many timer events (sets, disarms, expiries, deliveries) the simulator does in a second on one
# core with every property on, by guest: the best of RUNS runs. With --hour also 1,000 vCPUs with a
# tick of 10 ms for a simulated hour, and the memory that takes.
# Usage: harness/bench/sim_speed.sh [--hour] [LAZYTSC [RUNS]]
# Exit status: 0 at least 5 million for each guest; 1 less for one.
set -eu
cd "$(dirname "$0")/../.."
hour=
[ "${1:-}" != --hour ] || { hour=1; shift; }
lazytsc=${1:-build/release/harness/lazytsc} runs=${2:-5}
exec python3 - "$lazytsc" "$runs" "$hour" <<'END'
import json, resource, subprocess, sys, time

lazytsc, runs, hour = sys.argv[1], int(sys.argv[2]), sys.argv[3]

def run(*args):
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run([lazytsc, "sim", "--variants=lazy", "--json", *args], check=True,
                         capture_output=True).stdout
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime
    return json.loads(out)["rows"][-1]["timer_events"], cpu, end.ru_maxrss

slow = False
for guest, seconds in ("tick", 400), ("cyclic", 200), ("nohz-rr", 8), ("storm", 8), ("random", 40):
    best = max((lambda e, cpu, _: e / cpu)(*run(f"--guest={guest}", f"--duration={seconds}s",
                                                "--threads=1")) for _ in range(runs))
    print(f"{guest:8}  {best / 1e6:5.1f} million timer events a second of CPU time")
    slow |= best < 5e6
if hour:
    start = time.time()
    events, cpu, rss = run("--guest=tick", "--tick=10ms", "--vcpus=1000", "--duration=1h")
    print(f"1,000 vCPUs, one simulated hour: {events} timer events in {time.time() - start:.0f} s "
          f"({cpu:.0f} s of CPU time), {rss / 1024:.0f} MiB")
sys.exit(slow)
END
