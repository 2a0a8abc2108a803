#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# boot.sh counts the attempts that it makes, tries again what the emulator spoilt and nothing else,
# and never takes a failed attempt's report for that of the one that counts. In the place of QEMU
# stands a script that ends as it is told; no kernel is booted.
# Usage: attempts.sh HARNESS-KERNEL
set -euo pipefail

boot=$1/boot.sh
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export LAZYTSC_KERNEL_DIR=$tmp/work FAKE=$tmp/fake
mkdir -p "$tmp/bin" "$tmp/build/usr" "$FAKE"

fail()
{
	echo "attempts.sh: $*" >&2
	exit 1
}

cat >"$tmp/bin/qemu-system-x86_64" <<'END'
#!/bin/bash
# How attempt N ends is line N of $FAKE/endings.
while [ $# -gt 0 ]; do
	case $1 in -serial) serial=${2#file:} ;; -parallel) report=${2#file:} ;; esac
	shift
done
n=$(($(cat "$FAKE/n") + 1))
echo $n >"$FAKE/n"
echo "attempt $n" >"$serial"
printf 'run one\nattempt %d\n' $n >"$report"
case $(sed -n ${n}p "$FAKE/endings") in
good) printf 'status 0\nend\n' >>"$report" ;;
failed) printf 'status 42\nend\n' >>"$report" ;;
lost) printf 'guest_lost crash\nstatus 4\nend\n' >>"$report" ;;
crash) exit 1 ;;
spin) while :; do :; done ;;
esac
END
printf '#!/bin/sh\ncat "$1"\n' >"$tmp/build/usr/gen_init_cpio"
chmod +x "$tmp/bin/qemu-system-x86_64" "$tmp/build/usr/gen_init_cpio"
cp /bin/true "$tmp/build/vmlinux"
touch "$tmp/build/bzImage"
echo "one /bin/true" >"$tmp/plan"

# boots STATUS "BOOT.TXT" ATTEMPT "ENDINGS" [OPTION...]: what boot.sh must say, and whose report it
# must keep
boots()
{
	local status=$1 counts=$2 attempt=$3 endings=$4 rc=0 found kept

	shift 4
	tr ' ' '\n' <<<"$endings" >"$FAKE/endings"
	echo 0 >"$FAKE/n"
	PATH=$tmp/bin:$PATH "$boot" --build "$tmp/build" --out "$tmp/out" --timeout 1 "$@" "$tmp/plan" \
		2>"$tmp/err" || rc=$?
	[ $rc = "$status" ] || fail "$endings${*:+ $*}: exit status $rc, expected $status: $(cat "$tmp/err")"
	found=$(sed 1d "$tmp/out/boot.txt" | tr '\n' ' ')
	[ "$found" = "$counts " ] || fail "$endings${*:+ $*}: '$found', expected '$counts'"
	found=$(sed -n 's/^attempt //p' "$tmp/out/report.txt" 2>/dev/null || true)
	[ "$found" = "$attempt" ] || fail "$endings${*:+ $*}: the report of attempt '$found', expected '$attempt'"
	kept=$(cat "$FAKE/n")
	[ -z "$attempt" ] || kept=$((kept - 1))
	[ "$(find "$tmp/out" -name 'report-failed-*' | wc -l)" = "$kept" ] ||
		fail "$endings${*:+ $*}: not every failed report was kept"
}

boots 0 "attempts 1 hangs 0 crashes 0 guests 0" 1 "good"
boots 0 "attempts 1 hangs 0 crashes 0 guests 0" 1 "failed good"
boots 0 "attempts 3 hangs 1 crashes 1 guests 0" 3 "crash spin good"
boots 3 "attempts 2 hangs 0 crashes 2 guests 0" "" "crash crash good" --attempts 2
# A guest that is lost is tried again with counted instructions only; at last it is reported.
boots 0 "attempts 2 hangs 0 crashes 0 guests 1" 2 "lost good"
boots 0 "attempts 2 hangs 0 crashes 0 guests 2" 2 "lost lost" --attempts 2
grep -qx 'status 4' "$tmp/out/report.txt" || fail "a guest that is lost at the last attempt is not reported"
boots 0 "attempts 1 hangs 0 crashes 0 guests 0" 1 "lost good" --no-icount
grep -qx 'status 4' "$tmp/out/report.txt" || fail "a guest that is lost in real time is not reported"
