#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`lazytsc litmus` agrees with a second implementation of SC and x86-TSO, on programs made here.

1000 small programs of loads, stores, fences and locked operations, two threads and three,
drawn by a fixed seed. This file finds the final states of each by going through every order of the
steps of an abstract machine: memory, and for each CPU of x86-TSO a store buffer (Sewell and others,
"x86-TSO: a rigorous and usable programmer's model", 2010). It shares nothing with the search, which
grows execution graphs. The states must be the same, under both models.

Usage: enumerate.py LAZYTSC
"""
import os
import random
import subprocess
import sys
import tempfile

PROGRAMS = 1000
REGISTERS = ("EAX", "EBX", "ECX")


def successors(state, programs, tso):
    """Every state that one step of one CPU leads to."""
    pcs, registers, buffers, memory = state
    for cpu, program in enumerate(programs):
        if buffers[cpu]:
            (where, value), rest = buffers[cpu][0], buffers[cpu][1:]
            yield pcs, registers, replace(buffers, cpu, rest), store(memory, where, value)
        if pcs[cpu] == len(program):
            continue
        op, where, operand = program[pcs[cpu]]
        next_pcs = replace(pcs, cpu, pcs[cpu] + 1)
        if op == "store":
            if tso:
                queue = buffers[cpu] + ((where, operand),)
                yield next_pcs, registers, replace(buffers, cpu, queue), memory
            else:
                yield next_pcs, registers, buffers, store(memory, where, operand)
        elif op == "load":
            own = [value for at, value in buffers[cpu] if at == where]
            value = own[-1] if own else dict(memory)[where]
            yield next_pcs, assign(registers, cpu, operand, value), buffers, memory
        elif not buffers[cpu]:
            # A fence or a locked operation waits for the buffer to drain.
            if op == "fence":
                yield next_pcs, registers, buffers, memory
            else:
                old = dict(memory)[where]
                new = dict(registers[cpu])[operand]
                if op == "xadd":
                    new = (old + new) % 2**32
                yield (next_pcs, assign(registers, cpu, operand, old), buffers,
                       store(memory, where, new))


def replace(values, i, value):
    return values[:i] + (value,) + values[i + 1:]


def assign(registers, cpu, name, value):
    return replace(registers, cpu, store(registers[cpu], name, value))


def store(pairs, name, value):
    return tuple((n, value if n == name else v) for n, v in pairs)


def final_states(programs, initial, locations, tso):
    start = ((0,) * len(programs), initial, ((),) * len(programs),
             tuple((l, 0) for l in locations))
    seen, todo, finals = {start}, [start], set()
    while todo:
        state = todo.pop()
        nexts = list(successors(state, programs, tso))
        if not nexts:
            _, registers, _, memory = state
            finals.add(frozenset(
                [(f"{cpu}:{r}", v) for cpu, rs in enumerate(registers) for r, v in rs] +
                [(f"[{l}]", v) for l, v in memory]))
        for following in nexts:
            if following not in seen:
                seen.add(following)
                todo.append(following)
    return finals


def draw(rng):
    threads = rng.choice((2, 2, 3))
    locations = ("x", "y", "z")[:rng.choice((1, 2, 2, 2, 2, 3))]
    programs, initial, value = [], [], 0
    for _ in range(threads):
        program, registers = [], []
        for _ in range(rng.randint(1, 3 if threads == 3 else 4)):
            op = rng.choice(("store",) * 5 + ("load",) * 5 + ("fence", "xchg", "xadd"))
            where = rng.choice(locations)
            if program and program[-1][0] == "store" and len(locations) > 1 and rng.random() < 0.6:
                # Store one location, load another: where the models differ.
                op = "load"
                where = rng.choice([l for l in locations if l != program[-1][1]])
            if op == "store":
                value += 1
                program.append((op, where, value))
            elif op == "fence":
                program.append((op, None, None))
            elif len(registers) < len(REGISTERS):
                name = REGISTERS[len(registers)]
                if op != "load":
                    value += 1
                registers.append((name, 0 if op == "load" else value))
                program.append((op, where, name))
        programs.append(tuple(program))
        initial.append(tuple(registers))
    return tuple(programs), tuple(initial), locations


def text(name, programs, initial, locations):
    def instruction(op, where, operand):
        return {"store": f"MOV [{where}],${operand}", "load": f"MOV {operand},[{where}]",
                "fence": "MFENCE", "xchg": f"XCHG [{where}],{operand}",
                "xadd": f"LOCK XADD [{where}],{operand}"}[op]

    rows = max(len(p) for p in programs)
    lines = [f"X86 {name}", "{ " + " ".join(
        f"{cpu}:{r}={v};" for cpu, rs in enumerate(initial) for r, v in rs) + " }"]
    lines.append(" | ".join(f"P{cpu}" for cpu in range(len(programs))) + " ;")
    for row in range(rows):
        lines.append(" | ".join(instruction(*p[row]) if row < len(p) else "" for p in programs) + " ;")
    observed = [f"{cpu}:{r}=0" for cpu, rs in enumerate(initial) for r, _ in rs] + \
        [f"[{l}]=0" for l in locations]
    lines.append("exists (" + " /\\ ".join(observed) + ")")
    return "\n".join(lines) + "\n"


def printed_states(output):
    """The states of each test in the command's output."""
    states, name = {}, None
    for line in output.splitlines():
        if line.startswith("Test "):
            name = line.split()[1]
            states[name] = set()
        elif name and line.endswith(";") and "=" in line:
            pairs = (p.split("=") for p in line.replace(" ", "").rstrip(";").split(";"))
            states[name].add(frozenset((n, int(v)) for n, v in pairs))
    return states


def main():
    lazytsc = sys.argv[1]
    rng = random.Random(2026)
    drawn = {f"drawn-{i}": draw(rng) for i in range(PROGRAMS)}
    differ = weaker = 0
    with tempfile.TemporaryDirectory() as directory:
        files = []
        for name, (programs, initial, locations) in drawn.items():
            files.append(os.path.join(directory, name + ".litmus"))
            with open(files[-1], "w", encoding="ascii") as f:
                f.write(text(name, programs, initial, locations))
        for model in ("sc", "tso"):
            run = subprocess.run([lazytsc, "litmus", "--model", model, *files], check=False,
                                 capture_output=True, text=True)
            if run.returncode not in (0, 1):
                sys.exit(f"lazytsc litmus --model {model}: status {run.returncode}: {run.stderr}")
            found = printed_states(run.stdout)
            for name, (programs, initial, locations) in drawn.items():
                expected = final_states(programs, initial, locations, model == "tso")
                if model == "tso":
                    weaker += expected != final_states(programs, initial, locations, False)
                if found.get(name) != expected:
                    differ += 1
                    print(f"{model}: {name}: {found.get(name)} instead of {expected}:")
                    print(text(name, programs, initial, locations))
    print(f"{PROGRAMS} programs x 2 models, {differ} differ; TSO is weaker than SC in {weaker}")
    # Programs that show nothing of the store buffers would prove nothing of the model.
    if differ or weaker < PROGRAMS // 20:
        sys.exit(1)


main()
