#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Calls and includes in sim/ and between sim/, harness/ and core/ go downwards only, as
# docs/architecture.md says: no object file names a symbol of a room that stands above its own or
# beside it, and no file includes a private header of such a room.
# Usage: rooms.sh BUILD SOURCE
set -euo pipefail
build=$1 source=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# What each room of sim/ may use of the others. Everything may use core/.
declare -A below=(
	[engine]=""
	[protocol]="engine"
	[race]="engine"
	[machine]="engine protocol"
	[states]="engine protocol race"
	[replay]="engine protocol machine"
)
rooms="${!below[*]}"
for room in "$source"/sim/*/; do
	room=$(basename "$room")
	[[ " $rooms include install " = *" $room "* ]] || { echo "rooms.sh: which rooms may sim/$room use?" >&2; exit 1; }
done

# symbols FOLDER PREFIX: what its objects define (PREFIX.defined) and name (PREFIX.named)
symbols()
{
	find "$1" -name '*.o' -exec nm -A {} + >"$2.nm"
	[ -s "$2.nm" ] || { echo "rooms.sh: no objects in $1" >&2; exit 1; }
	awk '$(NF - 1) ~ /^[TRDBVW]$/ { print $NF }' "$2.nm" | LC_ALL=C sort -u >"$2.defined"
	awk '$(NF - 1) == "U" { print $NF }' "$2.nm" | LC_ALL=C sort -u >"$2.named"
}

failed=0
# may_not USER OWNER: nothing that OWNER defines is named by USER
may_not()
{
	local found

	found=$(LC_ALL=C comm -12 "$dir/$1.named" "$dir/$2.defined" | LC_ALL=C comm -23 - "$dir/$1.defined" | tr '\n' ' ')
	[ -z "$found" ] || { echo "$1 uses what stands above or beside it, $2: $found" >&2; failed=1; }
}

objects=$build/sim/CMakeFiles/lazytsc-sim.dir
for room in $rooms; do
	symbols "$objects/$room" "$dir/$room"
done
symbols "$objects/__/core" "$dir/core"
symbols "$build/harness" "$dir/harness"
for user in $rooms; do
	for owner in $rooms; do
		[[ $user = "$owner" || " ${below[$user]} " = *" $owner "* ]] || may_not "$user" "$owner"
		[[ $user = "$owner" || " ${below[$user]} " = *" $owner "* ]] || ! grep -Hn "#include \".*$owner/" \
			"$source/sim/$user"/*.[ch] || failed=1
	done
	# The core is built with the port that stands in engine/.
	[ "$user" = engine ] || may_not core "$user"
	may_not "$user" harness
done
may_not core harness
exit $failed
