#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The page that `lazytsc replay --html` writes, looked at in a headless browser: it needs nothing from
elsewhere; the sentence, each cell of the table and each picture's figures are those of --json; the strip
shows the steps of the part that it is zoomed to; a trace's name cannot break out of the data. A
screenshot is kept in BUILD-DIRECTORY/page.png. Of exits alone, or of one write, there are no pictures
of what is not known. Skipped where chromium is missing.

Usage: page.py LAZYTSC SOURCE-DIRECTORY BUILD-DIRECTORY
"""
import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

lazytsc, source, build = sys.argv[1:4]
chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if not chromium:
    print("skipped: chromium is missing (harness/deps.sh test)")
    sys.exit(77)
directory = tempfile.mkdtemp()


def browse(url, *args):
    run = subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={directory}/profile",
                          "--virtual-time-budget=5000", "--window-size=1100,2000", *args, url],
                         capture_output=True, check=False, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout.decode()


class Dom(html.parser.HTMLParser):
    """All elements with their attributes and text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append({"tag": tag, "text": "", "in": [e["attrs"].get("id") for e in self.open], "attrs": dict(attrs)})
        if tag not in ("meta", "link", "br"):
            self.open.append(self.elements[-1])

    def handle_endtag(self, tag):
        while self.open and self.open.pop()["tag"] != tag:
            pass

    def handle_data(self, data):
        for e in self.open:
            e["text"] += data

    def all(self, tag, inside=None):
        return [e for e in self.elements if e["tag"] == tag and (not inside or inside in e["in"])]

    def id(self, name):
        return next(e for e in self.elements if e["attrs"].get("id") == name)


def page(trace, *args, fragment="", status=0):
    path = os.path.join(directory, "page.html")
    done = subprocess.run([lazytsc, "replay", "--html", path, *args, trace], check=False, capture_output=True)
    assert done.returncode == status, done
    with open(path, encoding="utf-8") as f:
        text = f.read()
    out = subprocess.run([lazytsc, "replay", "--json", "--hist", *args, trace], check=status == 0, capture_output=True).stdout
    return path, text, Dom(browse(f"file://{path}{fragment}", "--dump-dom")), json.loads(out)


trace = f"{source}/harness/examples/idle.txt.xz"
path, text, dom, report = page(trace, fragment="#strip=1000000,3000000")
t = report["traces"][0]
# Self-contained: no address but that of SVG's name space, nothing loaded.
assert set(re.findall(r"https?://[^\"' ]+", text)) <= {"http://www.w3.org/2000/svg"}
assert not re.search(r"<(link|img|iframe|script src)|@import|url\(", text)
assert dom.all("body")[0]["attrs"].get("data-done") == "yes", "the script did not reach its end"
assert dom.id("answer")["text"] == t["answer"]["text"]
assert dom.id("evidence")["text"] == f"Figures are exact: {t['why']}."

# The table: each cell.
rows = dom.all("tr", "counts")[1:]
assert len(rows) == len(report["rows"]) == 9
cells = dom.all("td", "counts")
by_name = {(str(r["vcpu"]), r["variant"]): r for r in report["rows"]}
width = len(cells) // len(rows)
for i in range(len(rows)):
    line = cells[i * width:(i + 1) * width]
    r = by_name.pop((line[1]["text"], line[2]["text"]))
    for c in line[3:]:
        want = r[c["attrs"]["data-key"]]
        assert abs(float(c["text"]) - want) <= 5e-4 * abs(want) + 6e-3, (r, c)
        assert isinstance(want, float) or int(c["text"]) == want
assert not by_name

# Over time: all of a variant's entries are in its line.
lines = {e["attrs"]["data-variant"]: e["attrs"] for e in dom.all("polyline", "over")}
totals = {r["variant"]: r for r in report["rows"] if r["vcpu"] == "total"}
assert {k: int(v["data-sum"]) for k, v in lines.items()} == {k: r["host_entries"] for k, r in totals.items()}
assert all(len(v["points"].split()) >= 200 for v in lines.values())

# Moves and lateness: each bucket is a bar.
for name in ("moved_later", "moved_earlier"):
    bars = [int(e["attrs"]["data-count"]) for e in dom.all("rect", "moves") if e["attrs"]["data-list"] == name]
    assert sorted(bars) == sorted(b["count"] for b in t[name]), name
late = sum(int(e["attrs"]["data-count"]) for e in dom.all("rect", "late"))
# Interrupts that a delivery by the stock timer explains; `lazytsc validate` counts them too.
validated = json.loads(subprocess.run([lazytsc, "validate", "--json", trace], capture_output=True, check=False).stdout)
assert late == validated["traces"][0]["vcpus"][-1]["interrupts"]["both"], late

# The strip: what happens between its ends.
strip = dom.id("strip")["attrs"]
data = json.loads(dom.id("data")["text"])
steps = [s for s in data["pictures"]["steps"] if 1e6 <= s[0] <= 3e6]
marks = dom.all("circle", "strip")
assert (float(strip["data-from"]), float(strip["data-to"])) == (1e6, 3e6)
assert len(marks) == int(strip["data-shown"]) == len(steps) > 10, (len(marks), len(steps))
kinds = data["pictures"]["kinds"]
assert sorted(e["attrs"]["data-kind"] for e in marks) == sorted(kinds[s[1]] for s in steps)
assert dom.all("line", "strip")
# Zoomed in by its button, which leaves half.
_, _, zoomed, _ = page(trace, fragment="#in")
_, _, plain, _ = page(trace)
length = [float(d.id("strip")["attrs"]["data-to"]) - float(d.id("strip")["attrs"]["data-from"]) for d in (plain, zoomed)]
assert abs(length[1] / length[0] - .5) < 1e-6, length

# Seen.
shot = os.path.join(build, "page.png")
browse(f"file://{path}", f"--screenshot={shot}")
with open(shot, "rb") as f:
    png = f.read()
assert png[:8] == b"\x89PNG\r\n\x1a\n" and len(png) > 50_000, len(png)

# Two VMs, and a name that would end the data.
host = os.path.join(directory, "<!--<script>&amp;")
with open(host, "w", encoding="utf-8") as f:
    for i in range(200):
        for vm in (4990, 6000):
            ns = 5_000_000_000 + i * 1_000_000 + vm
            f.write(f"CPU 1/KVM {vm}/{vm + 1} [003] {ns // 10**9}.{ns % 10**9:09d}: kvm:kvm_msr: msr_write 6e0 = "
                    f"{7 * 10**12 + ns * 5 // 2 + 1_500_000:#x}\n")
_, _, dom, report = page(host, "--variants=stock,bound,lazy")
assert dom.all("body")[0]["attrs"].get("data-done") == "yes"
assert dom.id("title")["text"] == f"lazytsc replay: {host}" and dom.id("answer")["text"] == report["traces"][0]["answer"]["text"]
assert {c["text"] for c in dom.all("td", "counts")} >= {"4990", "6000", "bound", "-"}

# Exits alone, a table of counts, and one write: what the trace has nothing for is left out, and
# nothing is said of no number.
events = "entry: vcpu 0, rip 0x7", "exit: vcpu 0 reason MSR_WRITE rip 0x5"
exits = "".join(f"CPU 0/KVM 4990/5000 [000] 5.{i:06d}: kvm:kvm_{events[i % 2]}\n" for i in range(400))
counts = " Event          Total %Total CurAvg/s\n kvm_exit   126000  25.0  9\n kvm_exit(MSR_WRITE)   56890   15.8  9002\n"
write = "<idle>-0 [000] d..1. 1000: write_msr: 6e0, value 186a0\n"
for text, status, parts, cell in ((exits, 4, {"exits"}, "200"), (counts, 4, {"exits"}, "56890"),
                                  (write, 0, {"counts", "moves", "late", "strip"}, "stock")):
    small = os.path.join(directory, "small")
    with open(small, "w", encoding="utf-8") as f:
        f.write(text)
    _, _, dom, report = page(small, status=status)
    assert dom.all("body")[0]["attrs"].get("data-done") == "yes"
    assert {e["attrs"]["id"] for e in dom.all("section")} == {p + "-part" for p in parts}, (text[:60], dom.all("section"))
    shown = "".join(e["text"] for e in dom.elements if e["tag"] in ("text", "p", "td", "h1", "h2"))
    assert not re.search("NaN|Infinity|undefined|: \\.", shown), re.search(".*(NaN|Infinity|undefined|: \\.).*", shown)[0]
    assert cell in [c["text"] for c in dom.all("td")], dom.all("td")
    assert dom.id("answer")["text"] == report["traces"][0]["answer"]["text"]
shutil.rmtree(directory, ignore_errors=True)
print(f"the page says what JSON says; {shot}")
