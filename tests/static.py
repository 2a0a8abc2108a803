#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Static analysis finds nothing but what tests/static.exceptions excepts, with a reason.

gcc: -fanalyzer; clang-tidy: the checks of .clang-tidy, which says what it leaves out; cppcheck:
warning, performance and portability. gcc and clang-tidy look at what the build compiles of core/,
sim/ and harness/, with the build's options, and gcc at the programs that run in emulated machines
too; cppcheck also at kernel-glue/, where it needs none of the kernel's headers. An exception that
excepts nothing fails too, so that the list stays short.

Usage: static.py gcc|clang-tidy|cppcheck BUILD [FILE...]    (FILE: these alone)
Exit status: 0 nothing found, 1 something, 2 it could not be run.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
EMULATED = ['-std=gnu11', '-D_GNU_SOURCE', '-Icore/include', '-Icore/ports/c11']


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors='replace')
    return done.returncode, done.stdout + done.stderr


def gcc(command, folder, _build, _file):
    at = command.index('-o')
    kept = command[:at] + command[at + 2:]
    kept = [word for word in kept if word not in ('-Werror', '-c', 'ccache', '-O2')]
    return ['gcc'] + kept[1:] + ['-c', '-o', '/dev/null', '-fanalyzer'], folder


def clang_tidy(_command, _folder, build, file):
    return ['clang-tidy', '-p', str(build), '--quiet', '--extra-arg=-Wno-ignored-optimization-argument',
            str(file)], TOP


def findings(tool, build, only):
    """The commands, then what they say: lines FILE:LINE:COLUMN: warning: TEXT [CHECK]."""
    entries = {}
    for e in json.loads((build / 'compile_commands.json').read_text()):
        name = os.path.relpath(os.path.join(e['directory'], e['file']), TOP)
        if name.split('/')[0] in ('core', 'sim', 'harness'):
            entries.setdefault(name, (shlex.split(e['command']), e['directory']))
    if len(entries) < 80:
        sys.exit('static.py: the build compiles %d files, not the tree' % len(entries))
    commands = []
    if tool == 'cppcheck':
        commands.append((['cppcheck', '--enable=warning,performance,portability', '--std=c11',
                          '--quiet', '--inline-suppr', '--suppress=missingIncludeSystem',
                          '--library=posix,gnu', '--library=tests/static.cfg', '-D_GNU_SOURCE',
                          '-U_WIN32', '-Icore/include', '-Icore/ports/c11', '-Isim/include',
                          '-Iharness', '-isim/engine/port',
                          '--template={file}:{line}:{column}: warning: {message} [{id}]',
                          '--template-location='] + (only or ['core', 'sim', 'harness', 'kernel-glue']),
                         TOP))
    else:
        make = gcc if tool == 'gcc' else clang_tidy
        for name, (command, folder) in sorted(entries.items()):
            if not only or name in only:
                commands.append(make(command, folder, build, TOP / name))
        if tool == 'gcc':
            for path in sorted(TOP.glob('harness/kernel/*/*.c')):
                name = str(path.relative_to(TOP))
                if not only or name in only:
                    commands.append((['gcc'] + EMULATED + ['-c', '-o', '/dev/null', '-fanalyzer', name], TOP))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (command, _), (status, text) in zip(commands, pool.map(lambda c: run(*c), commands)):
            if status and not re.search(r': (warning|error): ', text) or 'fatal error' in text:
                sys.exit('static.py: %s: status %d: %s' % (shlex.join(command), status, text))
            yield from text.splitlines()


def main():
    tool, build, only = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), sys.argv[3:]
    exceptions = {}
    for number, line in enumerate((TOP / 'tests/static.exceptions').read_text().splitlines(), 1):
        if line and not line.startswith('#'):
            of, check, file, text, reason = line.split('\t')
            assert reason
            if of == tool and (not only or file in only):
                exceptions[number] = [check, file, text, 0]
    found = set()
    try:
        for line in findings(tool, build, only):
            match = re.match(r'(\S+?):(\d+):\d+: (?:warning|error): (.*) \[([^\[\]]*)\]$', line)
            if not match:
                continue
            file, at, text, check = match.groups()
            file = os.path.relpath(os.path.join(TOP, file), TOP)
            known = [e for e in exceptions.values() if e[0] == check and e[1] == file and e[2] in text]
            for e in known:
                e[3] += 1
            if not known:
                found.add('%s:%s: %s: %s [%s]' % (file, at, tool, text, check))
    except FileNotFoundError as missing:
        sys.exit('static.py: %s is missing (harness/deps.sh test)' % missing.filename)
    for number, (check, file, text, used) in exceptions.items():
        if not used:
            found.add('tests/static.exceptions:%d: %s finds no %s in %s (%s): delete the line' %
                      (number, tool, check, file, text))
    print('\n'.join(sorted(found)) if found else '%s finds nothing new; %d exceptions' % (tool, len(exceptions)))
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
