#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# REUSE-IgnoreStart: the licences in here are those of files that it makes.
# tests/tidy.sh finds what it is for: in a small tree with one fault of each rule it names the file,
# the line and the rule of each, and no other; without the faults it finds nothing.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp "$top/.clang-format" "$top/.shellcheckrc" "$dir"
cd "$dir"
git init -q .
mkdir -p core sim

good()
{
	printf '%s\n' '// SPDX-License-Identifier: BSD-2-Clause' '#include "a.h"' '' 'int a(void)' '{' \
		'	return 1;' '}' >sim/a.c
	printf '%s\n' '/* SPDX-License-Identifier: BSD-2-Clause */' '#ifndef LAZYTSC_A_H' \
		'#define LAZYTSC_A_H' '' 'int a(void);' '' '#endif' >sim/a.h
	printf '%s\n' '#!/bin/sh' '# SPDX-License-Identifier: BSD-2-Clause' '# For a.c and b.c.' \
		'echo one' >run.sh
	printf '%s\n' '// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause' 'int b;' >core/b.c
	printf '%s\n' 'Run run.sh.' >README.md
}

finds() # RULE FILE:LINE
{
	local out

	out=$("$top/tests/tidy.sh" "$dir" 2>/dev/null) && { echo "tidy_finds.sh: $1 is not found" >&2; exit 1; }
	[[ $out == "$2: $1: "* && $(wc -l <<<"$out") = 1 ]] ||
		{ echo "tidy_finds.sh: $1: found: $out" >&2; exit 1; }
	good
}

good
"$top/tests/tidy.sh" "$dir" || { echo "tidy_finds.sh: a tidy tree is not taken for one" >&2; exit 1; }
sed -i 's/\treturn 1;/	return  1;/' sim/a.c
finds format sim/a.c:6
sed -i "2s|^|/* $(printf '%098d' 0) */\n|" sim/a.h
finds width sim/a.h:2
sed -i 's/GPL-2.0-only OR //' core/b.c
finds spdx core/b.c:1
printf '%s\n' '/* SPDX-License-Identifier: BSD-2-Clause */' 'int a(void);' >sim/a.h
finds guard sim/a.h:1
sed -i 's|#include "a.h"|int a(void); // a.h|' sim/a.c
finds pair sim/a.c:1
echo ' * blanks ' >>README.md
finds space README.md:2
printf '%s\n' 'const char *m = "a sentence "' '		"in two";' >>core/b.c
finds message core/b.c:3
echo 'See [that](docs/gone.md).' >>README.md
finds links README.md:2
# shellcheck disable=SC2016
echo 'See `tests/gone.sh`.' >>README.md
finds links README.md:2
# shellcheck disable=SC2016
echo 'for f in $(ls | grep x); do echo "$f"; done' >>run.sh
finds scripts run.sh:5
sed -i 's/ and b.c//' run.sh
finds dead core/b.c:1
sed -i 's/For a.c/For a guess_policy, a.c/' run.sh && mv run.sh sim/run.sh
finds words sim/run.sh:3
