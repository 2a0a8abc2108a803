#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Move guests that use the feature from one QEMU to the next, within an emulated host.
set -euo pipefail

usage()
{
	cat <<-END
	usage: migrate.sh [OPTION...]

	Boots the lazy kernel in QEMU, in real time, and in it guests under the QEMUs of qemu.sh: lazy has
	the patch, stock has not, and exposes the feature by migratable=off. Where a QEMU refuses the
	guest, it goes on where it was. Prints a table and what was found wrong.

	  --cases LIST   some of those in the table, separated by commas (all)
	  --scale P      expiries of the torture, in percent (100); it has 20 moves in any case
	  --kernel NAME  as for build.sh (lazy)
	  --build DIR    use this build of a patched kernel
	  --report       boot nothing, judge the last run
	  --out DIR      where logs and reports go (default: build/kernel/migrate)

	Columns: by          how the guest leaves and arrives: QEMU's file:, exec:, or savevm and loadvm;
	                     reset: the machine is reset, and what QEMU saves then is looked at;
	                     leave: to another host, whose KVM does not have the feature
	         refused     of these moves; the guest goes on where it was
	         state       of those by file: and exec: so many with LAZYTSC_MSR in what QEMU saved
	         MSR         as the guest reads it before a move and after it: so many times the same,
	                     and another (not counted where it was 0)
	         skips       of the guest in each leg (rewrite), or in all (torture)
	         early/late  expiries before their deadline, or too late, or never (torture)

	exit status: 0 all is as it should be; 1 usage; 2 a boot failed; 42 it is not
	END
}

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
work=${LAZYTSC_KERNEL_DIR:-$top/build/kernel}
# shellcheck source=harness/kernel/plan.sh
. "$here/plan.sh"

all=torture,torture-2,snapshot,to-stock,from-stock,stock,no-bit,unused,reset,host,host-stock,no-feature,enforce
cases=$all scale=100 kernel=lazy build="" report="" out=$work/migrate
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage; exit 0 ;;
	--report) report=1; shift; continue ;;
	--*) [ $# -ge 2 ] || { usage >&2; exit 1; } ;;
	esac
	case $1 in
	--cases) cases=$2; shift 2 ;;
	--scale) scale=$2; shift 2 ;;
	--kernel) kernel=$2; shift 2 ;;
	--build) build=$2; shift 2 ;;
	--out) out=$2; shift 2 ;;
	*) usage >&2; exit 1 ;;
	esac
done
mkdir -p "$out"

host=host,-kvm-pv-eoi,-xsave
lazy=/bin/qemu-lazy:$host,kvm-lazy-tscdeadline
stock=/bin/qemu-stock:$host,migratable=off
bare=/bin/qemu-lazy:$host

torture()
{
	local n=$(($3 * scale / 100))

	plan_torture "$1" "$2" on "$n" "$4" | sed "s/restore=[0-9]*/restore=$5;moves=20/; s/jump=[0-9]*/jump=0/"
}

rewrite()
{
	plan_guest "$1" 1 "$2" rewrite n=600 us=500 gap=20 moves=2
}

# plan CASE: the first QEMU is that of GUEST_VMM, the next ones are in GUEST_MORE.
plan()
{
	export GUEST_VMM=qemu-lazy GUEST_TIMEOUT=2400 GUEST_MORE="--by file --by exec" GUEST_APPEND=

	case $1 in
	torture) torture "$1" 1 12000 1 100 ;;
	torture-2) torture "$1" 2 20000 2 100 ;;
	# QEMU stops the guest for seconds: it needs time to run between two stops.
	snapshot) GUEST_MORE="--disk /share/disk --by snapshot" torture "$1" 1 12000 3 2000 ;;
	to-stock) GUEST_MORE+=" --refusal --qemu $stock" rewrite "$1" on ;;
	from-stock) GUEST_VMM=qemu-stock GUEST_MORE+=" --qemu $lazy --qemu $lazy" rewrite "$1" on ;;
	stock) GUEST_VMM=qemu-stock rewrite "$1" on ;;
	no-bit) GUEST_MORE+=" --refusal --qemu $bare" rewrite "$1" on ;;
	unused) GUEST_APPEND=";no-lazy-tscdeadline" GUEST_MORE+=" --qemu $stock" rewrite "$1" on ;;
	reset) GUEST_MORE="--by file --by reset" rewrite "$1" on ;;
	host) GUEST_MORE="--by leave" rewrite "$1" on ;;
	host-stock) GUEST_VMM=qemu-stock GUEST_MORE="--by leave" rewrite "$1" on ;;
	host-arrives) GUEST_MORE="--arrive /share/host --refusal" rewrite host on ;;
	host-stock-arrives) GUEST_VMM=qemu-stock GUEST_MORE="--arrive /share/host-stock" rewrite host-stock on ;;
	no-feature) rewrite "$1" on ;;
	enforce) rewrite "$1" on | sed 's/kvm-lazy-tscdeadline/&,enforce/' ;;
	*) echo "migrate.sh: --cases: expected some of $all, found $1" >&2; exit 1 ;;
	esac
}

# boot DIR PARAMETER CASE...
boot()
{
	local dir=$out/$1 parameter=$2 name adds=()

	shift 2
	[ $# -gt 0 ] || return 0
	mkdir -p "$dir"
	# What leaves and arrives goes through the printer port, as text.
	for name in gzip base64; do
		adds+=(--add "/bin/busybox:/bin/$name")
	done
	for name; do
		[[ $name != *-arrives ]] || adds+=(--add "$out/with/trace-${name%-arrives}.txt:/share/${name%-arrives}")
	done
	for name; do
		plan "$name"
	done >"$dir/plan"
	"$here/boot.sh" --no-icount --build "$build" --qemu "$qemu" --append "$parameter" --out "$dir" "${adds[@]}" \
		--attempts 3 --timeout $((100 + 200 * $#)) "$dir/plan"
}

with=() without=()
for name in ${cases//,/ }; do
	plan "$name" >/dev/null
	case $name in
	no-feature | enforce) without+=("$name") ;;
	host | host-stock) with+=("$name") without+=("$name-arrives") ;;
	*) with+=("$name") ;;
	esac
done
if [ -z "$report" ]; then
	qemu=$("$here/qemu.sh" build)
	[ -n "$build" ] || build=$("$here/build.sh" "$kernel")
	boot with "" ${with[@]+"${with[@]}"}
	boot without kvm.lazy_tscdeadline=0 ${without[@]+"${without[@]}"}
fi

status=0
# wrong CASE WHAT
wrong()
{
	echo "migrate.sh: $1: $2; see $r" >&2
	status=42
}

# What the report of CASE has; 0 where it has nothing.
value()
{
	local v

	v=$(report_value "$r" "$name" "$1")
	echo "${v:-0}"
}

# All values of one name, joined: the legs.
values()
{
	awk -v run="$name" -v name="$1" '$1 == "run" { on = $2 == run } on && $1 == name { print $2 }' "$r" | paste -sd+
}

# What the host that CASE has left reports of it.
departure()
{
	report_value "$out/with/report.txt" "$name" "$1"
}

row()
{
	local from=$1 to=$2 by=$3 moves refused skips state

	moves=$(value restores)
	refused=$(values refused_by | tr '+' '\n' | grep -c . || true)
	skips=$(values leg_skips) state=$(value subsections)
	[ "$by" != leave ] || skips=$(departure leg_skips)${skips:++$skips} state=$(departure subsections)
	printf '%s\t' "$name" "$from" "$to" "$by" "$moves" "$refused" "$state" "$(value msr_kept)/$(value msr_changed)" \
		"${skips:-$(value guest_skips)}" "$(value expiries)" "$(value violations)" \
		"$(($(value late_max_ns) / 1000000))"
	value status
}

# Every leg has at least N skips.
legs()
{
	values leg_skips | tr '+' '\n' | awk -v least="$1" '$1 + 0 < least { bad = 1 } END { exit bad || NR < 3 }'
}

judge()
{
	local moves refused

	moves=$(value restores)
	refused=$(values refused_by | tr '+' '\n' | grep -c . || true)
	[ "$name" = enforce ] || [ "$(report_value "$r" "$name" status)" = 0 ] || wrong "$name" "status $(value status)"
	case $name in
	torture | torture-2 | snapshot)
		[ "$(value msr_kept)" -gt 0 ] && [ "$(value msr_changed)" = 0 ] || wrong "$name" "the MSR is not what it was"
		[ "$refused" = 0 ] || wrong "$name" "refused"
		[ "$(value guest_skips)" -gt 0 ] || wrong "$name" "no skips"
		[ "$moves" -ge 20 ] || wrong "$name" "only $moves moves"
		;;
	to-stock | no-bit)
		[ "$moves" = 2 ] && [ "$refused" = 2 ] || wrong "$name" "$refused of $moves moves were refused"
		[ "$(value msr_kept)" = 2 ] || wrong "$name" "the MSR is not what it was"
		[ "$(value subsections)" = 2 ] || wrong "$name" "the MSR is not in the state"
		legs 1 || wrong "$name" "a leg without skips"
		;;
	from-stock | stock)
		[ "$moves" = 2 ] && [ "$refused" = 0 ] || wrong "$name" "$refused of $moves moves were refused"
		legs 1 || wrong "$name" "a leg without skips: the guest has not enabled the feature again"
		;;
	unused)
		[ "$(value subsections)" = 0 ] || wrong "$name" "a subsection that is not needed"
		[ "$moves" = 2 ] && [ "$refused" = 0 ] || wrong "$name" "$refused of $moves moves were refused"
		;;
	reset)
		[ "$(value restores_file)/$(value restores_reset)" = 1/1 ] || wrong "$name" "$moves moves"
		[ "$(value subsections)" = 1 ] || wrong "$name" "the MSR has to be in the state before the reset, and not after it"
		;;
	host)
		[ "$(departure subsections)" = 1 ] && [ "$(departure leg_skips)" -gt 0 ] || wrong "$name" "no feature on the first host"
		[ "$moves/$refused" = 1/1 ] || wrong "$name" "$refused of $moves moves were refused"
		grep -q "the guest uses kvm-lazy-tscdeadline, which its CPU does not have" "$out"/without/serial-*.log ||
			wrong "$name" "not refused by name"
		;;
	host-stock)
		[ "$(departure leg_skips)" -gt 0 ] || wrong "$name" "no feature on the first host"
		[ "$moves/$refused" = 2/0 ] || wrong "$name" "$refused of $moves moves were refused"
		# The leg before begins on the first host.
		[[ "$(values leg_skips)" = *+0 ]] || wrong "$name" "the guest has not gone on without the feature"
		;;
	no-feature)
		[ "$moves" = 2 ] && [ "$(value guest_skips)" = 0 ] || wrong "$name" "skips on a host without the feature"
		;;
	enforce)
		[ "$(value status)" = 2 ] && grep -q "doesn't support requested features" "$out"/without/serial-*.log ||
			wrong "$name" "QEMU starts on a host without the feature"
		;;
	esac
}

header="case	from	to	by	moves	refused	state	MSR	skips	expiries	early/late	latest ms	status"
rows=$out/rows.tsv
: >"$rows"
for name in ${cases//,/ }; do
	r=$out/with/report.txt
	case $name in
	torture | torture-2) ends="lazy	lazy	file, exec" ;;
	snapshot) ends="lazy	lazy	snapshot" ;;
	to-stock) ends="lazy	stock	file, exec" ;;
	from-stock) ends="stock	lazy	file, exec" ;;
	stock) ends="stock	stock	file, exec" ;;
	no-bit) ends="lazy	lazy, no bit	file, exec" ;;
	unused) ends="lazy, unused	stock	file, exec" ;;
	reset) ends="lazy	lazy	file, reset" ;;
	host) ends="lazy	lazy, no KVM for it	leave"; r=$out/without/report.txt ;;
	host-stock) ends="stock	stock, no KVM for it	leave"; r=$out/without/report.txt ;;
	no-feature | enforce) ends="lazy	lazy	file, exec"; r=$out/without/report.txt ;;
	esac
	IFS=$'\t' read -r from to by <<<"$ends"
	row "$from" "$to" "$by" >>"$rows"
	judge
done
{ echo "$header"; cat "$rows"; } | column -t -s '	'
for dir in with without; do
	[ ! -e "$out/$dir/boot.txt" ] || echo "$dir the feature:$(sed 1d "$out/$dir/boot.txt" | paste -sd' ' | sed 's/^/ /')"
	grep -hs '^qemu-[a-z]*: ' "$out/$dir"/serial-*.log | tr -d '\r' | sort | uniq -c | sed "s/^/$dir: /" || true
done
exit "$status"
