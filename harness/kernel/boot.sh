#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Boot a host kernel in an emulator, have it run a plan of nested guests, and collect what they
# report.
set -euo pipefail

usage()
{
	cat <<-END
	usage: boot.sh [OPTION...] --build DIR --out DIR PLAN

	Each line of the file PLAN is one command in the host: "NAME PROGRAM ARGUMENT...". A guest is
	"NAME /bin/lazytsc-vmm --kernel /guest/vmlinux --initrd /guest/initrd ..."; plan.sh writes them.

	  --build DIR       a kernel's build directory, as printed by build.sh; for host and guest
	  --guest DIR       another kernel for the guest
	  --emulator NAME   qemu (AMD SVM, software timer; default) or bochs (Intel VMX, hv timer)
	  --slow N          a machine 2^N times slower (0, where an instruction takes 1 ns, bochs: 2.5 ns),
	                    which passes time sooner
	  --no-icount       qemu: real time instead of counted instructions (counts vary)
	  --host-cpus N     CPUs of the emulated machine (1)
	  --append TEXT     more for the host kernel's command line
	  --add SRC:DST     one more file for the host's initramfs, may be repeated
	  --qemu DIR        qemu-stock and qemu-lazy (qemu.sh) for guests, with firmware, a shell for
	                    exec: and an empty image for snapshots
	  --timeout S       processor time for one attempt (100), and ten times as much in real time:
	                    a hang spins, and is told from a busy machine by that; or it sleeps, and
	                    QEMU is then killed after three minutes, or sooner where an interrupt is
	                    pending meanwhile (hang-N.txt: its state)
	  --attempts N      a hang or crash is tried again up to this many times in all (3); with counted
	                    instructions a crash or hang of a guest as well
	  --out DIR         serial-N.log, report.txt, trace-NAME.txt, boot.txt (attempts, hangs, crashes,
	                    guests: attempts that a guest did not survive); what a failed attempt left

	exit status: 0 the plan ran to its end (its lines may have failed: see report.txt), 1 usage,
	2 error, 3 every attempt hung or crashed
	END
}

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
work=${LAZYTSC_KERNEL_DIR:-$top/build/kernel}
emulator=qemu icount=1 slow=0 host_cpus=1 timeout=100 attempts=3 build= guest= out= plan= adds=() more= qemu=

die()
{
	echo "boot.sh: $2" >&2
	exit "$1"
}

while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage; exit 0 ;;
	--no-icount) icount=; shift; continue ;;
	--*) [ $# -ge 2 ] || { usage >&2; exit 1; } ;;
	esac
	case $1 in
	--build) build=$2; shift 2 ;;
	--guest) guest=$2; shift 2 ;;
	--emulator) emulator=$2; shift 2 ;;
	--slow) slow=$2; shift 2 ;;
	--host-cpus) host_cpus=$2; shift 2 ;;
	--append) more=$2; shift 2 ;;
	--add) adds+=("$2"); shift 2 ;;
	--qemu) qemu=$2; shift 2 ;;
	--timeout) timeout=$2; shift 2 ;;
	--attempts) attempts=$2; shift 2 ;;
	--out) out=$2; shift 2 ;;
	-*) usage >&2; exit 1 ;;
	*) plan=$1; shift ;;
	esac
done
[ -n "$build" ] && [ -n "$out" ] && [ -n "$plan" ] || { usage >&2; exit 1; }
guest=${guest:-$build}
[ -e "$build/bzImage" ] || die 2 "$build/bzImage: not found; run build.sh first"
[ -e "$guest/vmlinux" ] || die 2 "$guest/vmlinux: not found; run build.sh first"
[ -r "$plan" ] || die 2 "$plan: cannot be read"
case $emulator in qemu | bochs) ;; *) die 1 "--emulator: expected qemu or bochs, found $emulator" ;; esac

mkdir -p "$work"
flock "$work/bin.lock" make -s -C "$here" O="$work/bin" >&2 || die 2 "the programs for the emulated machines do not build"
mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -f "$out"/{boot,report,report-failed-*,trace-*,hang-*}.txt "$out"/serial-*.log
tmp=$(mktemp -d)
child=
trap '[ -z "$child" ] || kill -9 "$child" 2>/dev/null || true; rm -rf "$tmp"' EXIT

# A guest under QEMU: its firmware (microvm without ACPI), and what boots a kernel that is an ELF
# file.
if [ -n "$qemu" ]; then
	"$qemu/qemu-img" create -q -f qcow2 "$tmp/disk" 1M || die 2 "$qemu/qemu-img: failed"
	adds+=("$qemu/qemu-stock:/bin/qemu-stock" "$qemu/qemu-lazy:/bin/qemu-lazy" "$tmp/disk:/share/disk"
		/bin/busybox:/bin/sh /bin/busybox:/bin/cat)
	for add in qboot.rom pvh.bin; do
		adds+=("/usr/share/qemu/$add:/share/$add")
	done
	for add in "${adds[@]}"; do
		[ -e "${add%%:*}" ] || die 2 "${add%%:*}: not found; harness/deps.sh qemu, harness/kernel/qemu.sh build"
	done
fi

# The initramfs: made with the kernel's own tool, device nodes need no privilege then.
cpio="$build/usr/gen_init_cpio"
objcopy -S "$guest/vmlinux" "$tmp/vmlinux"
{
	echo "dir /dev 755 0 0"
	echo "nod /dev/console 600 0 0 c 5 1"
	echo "dir /proc 755 0 0"
	echo "dir /sys 755 0 0"
	echo "file /init $work/bin/guest-init 755 0 0"
} >"$tmp/guest.list"
"$cpio" "$tmp/guest.list" >"$tmp/guest.cpio"
{
	echo "dir /dev 755 0 0"
	echo "nod /dev/console 600 0 0 c 5 1"
	echo "dir /proc 755 0 0"
	echo "dir /sys 755 0 0"
	echo "dir /tmp 755 0 0"
	echo "dir /bin 755 0 0"
	echo "dir /guest 755 0 0"
	echo "dir /share 755 0 0"
	echo "file /init $work/bin/host-init 755 0 0"
	echo "file /bin/lazytsc-vmm $work/bin/lazytsc-vmm 755 0 0"
	echo "file /bin/lazytsc-qemu $work/bin/lazytsc-qemu 755 0 0"
	echo "file /guest/vmlinux $tmp/vmlinux 644 0 0"
	echo "file /guest/initrd $tmp/guest.cpio 644 0 0"
	echo "file /plan $plan 644 0 0"
	for add in ${adds[@]+"${adds[@]}"}; do
		echo "file ${add#*:} ${add%%:*} 755 0 0"
	done
} >"$tmp/host.list"
"$cpio" "$tmp/host.list" >"$tmp/host.cpio"

# Counted instructions repeat a run exactly, a hang as well: the host's init waits a little longer
# at each attempt. The host may measure its TSC badly while it boots. KVM then takes the rate of its
# own vCPUs for one that it cannot give, and leaves them without a timer (and a TSC that reads 0):
# hence the tolerance.
append="console=ttyS0,115200 tsc=reliable kvm.tsc_tolerance_ppm=100000 panic=-1 reboot=t quiet${more:+ $more}"

# Fast machines, or the timers' handling is late by more than what it is to be measured by: 1 ns an
# instruction is the least that QEMU can. KVM takes a VMX preemption timer of more than 429 MHz for
# none.
run_qemu()
{
	local accel=(-accel tcg,thread=multi)

	[ -z "$icount" ] || accel=(-accel "tcg,thread=single" -icount "shift=$slow,sleep=off"
		-rtc "base=2026-01-01,clock=vm")
	ulimit -t "$timeout"
	rm -f "$tmp"/monitor.*
	mkfifo "$tmp/monitor.in" "$tmp/monitor.out"
	timeout -k 5 $((10 * timeout)) qemu-system-x86_64 -M pc "${accel[@]}" -cpu max -smp "$host_cpus" \
		-m 1024 -nodefaults -no-user-config -display none -no-reboot -monitor "pipe:$tmp/monitor" \
		-serial "file:$tmp/serial" -parallel "file:$tmp/report" \
		-kernel "$build/bzImage" -initrd "$tmp/host.cpio" -append "$append attempt=$n" \
		</dev/null >"$tmp/emulator.log" 2>&1 &
	local pid=$! rc=0 watch

	idle_watch "$pid" </dev/null >/dev/null 2>&1 & watch=$!
	wait "$pid" || rc=$?
	kill "$watch" 2>/dev/null || true
	return "$rc"
}

# QEMU, the child of PID, loses an interrupt now and then: its CPU sleeps on with one pending that
# it would take. That, or to sleep for longer than any guest is waited for, ends the attempt.
idle_watch()
{
	local before=-9 now asleep=0 nap

	trap 'kill "$nap"; exit' TERM
	while true; do
		sleep 5 & nap=$!
		wait "$nap"
		now=$(ps -o cputimes= --ppid "$1") || return
		asleep=$((now - before < 1 ? asleep + 1 : 0))
		before=$now
		[ "$asleep" -gt 0 ] || continue
		printf 'info registers\ninfo lapic\n' >"$tmp/monitor.in"
		timeout 5 cat "$tmp/monitor.out" | sed 's/.*\x1b\[K//; s/\r//' >"$out/hang-$n.txt" || true
		if [ "$asleep" -ge 18 ] || { [ "$asleep" -ge 3 ] && grep -q 'HLT=1' "$out/hang-$n.txt" &&
			grep -q '^IRR[^(]*[0-9]' "$out/hang-$n.txt"; }; then
			pkill -9 -P "$1"
			return
		fi
	done
}

run_bochs()
{
	mkdir -p "$tmp/iso/isolinux"
	cp "$build/bzImage" "$tmp/iso/bzimage"
	cp "$tmp/host.cpio" "$tmp/iso/initrd"
	cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$tmp/iso/isolinux/"
	cat >"$tmp/iso/isolinux/isolinux.cfg" <<-END
	default host
	prompt 0
	label host
	kernel /bzimage
	append initrd=/initrd $append attempt=$n
	END
	xorriso -as mkisofs -quiet -o "$tmp/host.iso" -b isolinux/isolinux.bin -c isolinux/boot.cat \
		-no-emul-boot -boot-load-size 4 -boot-info-table "$tmp/iso" 2>"$tmp/emulator.log"
	# bochs 2.7 keeps the host's interrupts away from a guest that is entered with its
	# interrupts off, until it allows them: one that spins there for another vCPU spins for
	# ever. Only pause-loop exiting ends that. Older models do not have it; newer ones have no
	# VMX preemption timer.
	cat >"$tmp/bochsrc" <<-END
	cpu: model=corei7_haswell_4770, count=1:$host_cpus:1, ips=$((400000000 >> slow)), reset_on_triple_fault=0
	memory: guest=1024, host=1024
	romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot
	vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
	ata0-master: type=cdrom, path=$tmp/host.iso, status=inserted
	boot: cdrom
	clock: sync=none
	display_library: term
	com1: enabled=1, mode=file, dev=$tmp/serial
	parport1: enabled=1, file=$tmp/report
	log: $tmp/bochs.log
	panic: action=fatal
	error: action=ignore
	info: action=ignore
	END
	echo c >"$tmp/bochsrc.go"
	ulimit -t "$timeout"
	TERM=linux timeout -k 5 $((10 * timeout)) script -qfec \
		"bochs -q -f $tmp/bochsrc -rc $tmp/bochsrc.go" /dev/null </dev/null \
		>"$tmp/screen.log" 2>&1 &
	local pid=$! rc=0

	read_screen "$pid" </dev/null >/dev/null 2>&1 &
	wait "$pid" || rc=$?
	return "$rc"
}

# bochs draws the host's screen on a terminal of its own, several times a second of real time, and
# stops for good when 64 KiB of that wait to be read: after some six minutes.
read_screen() # PID
{
	local screen=

	while [ -z "$screen" ] && kill -0 "$1"; do
		sleep 0.2
		screen=$(sed -n 's/.*Bochs connected to screen "\(.*\)".*/\1/p' "$tmp/screen.log" | head -n 1)
	done
	# Ends with bochs.
	[ -z "$screen" ] || cat "$screen"
}

# QEMU delivers an interrupt that KVM injects twice where a counted slice ends just then, and a
# guest may crash or hang of that, on any kernel (docs/kernel-testing.md, "Hangs").
guest_lost()
{
	[ "$emulator" = qemu ] && [ -n "$icount" ] && grep -q '^guest_lost ' "$tmp/report"
}

# A run counts when the host's init came to its end; the emulator's exit status says little.
hangs=0 crashes=0 guests=0
for ((n = 1; n <= attempts; n++)); do
	rm -f "$tmp/serial" "$tmp/report"
	rc=0
	"run_$emulator" 2>"$tmp/shell.log" & child=$!
	wait "$child" || rc=$?
	child=
	touch "$tmp/serial" "$tmp/report"
	cp "$tmp/serial" "$out/serial-$n.log"
	if [ "$(tail -n 1 "$tmp/report")" = end ]; then
		guest_lost || break
		guests=$((guests + 1))
		# Its last chance gone, what the others did still counts.
		[ "$n" -lt "$attempts" ] || break
		rc=guest
	fi
	case $rc in
	guest) ;;
	# Out of real time; killed; out of processor time (SIGXCPU)
	124 | 137 | 152) hangs=$((hangs + 1)) ;;
	*) crashes=$((crashes + 1)) ;;
	esac
	cp "$tmp/report" "$out/report-failed-$n.txt"
	cp "$tmp"/*.log "$out/" 2>/dev/null || true
done
{
	echo "emulator $emulator"
	echo "attempts $((n <= attempts ? n : attempts))"
	echo "hangs $hangs"
	echo "crashes $crashes"
	echo "guests $guests"
} >"$out/boot.txt"
if [ "$n" -gt "$attempts" ]; then
	tail -5 "$out/serial-$attempts.log" >&2
	tail -3 "$tmp/emulator.log" >&2 || true
	die 3 "$emulator: $attempts attempts, $hangs hung, $crashes crashed; see $out"
fi
[ "$n" = 1 ] ||
	echo "boot.sh: $emulator: attempt $n is the one that counts, after $hangs hangs, $crashes crashes, $guests lost guests" >&2

# Traces to files of their own: "trace BYTES" is followed by so many bytes.
awk -v out="$out" '
	left > 0 { print > file; left -= length($0) + 1; next }
	$1 == "run" { name = $2 }
	$1 == "trace" { left = $2; file = out "/trace-" name ".txt"; printf "" > file; next }
	{ print }' "$tmp/report" >"$out/report.txt"
