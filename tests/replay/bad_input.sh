#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What `lazytsc replay` does with what is no good trace: damaged lines are dropped and counted,
# files that hold nothing to replay, archives, and what perf fails on give one line and status
# 2, and the figures of what is left are those of a trace without the damage. Also inputs that
# are merely unusual: CRLF, high CPU numbers, pipes, gaps, hosts' traces, and a stream twice as
# long as the memory that there is.
# Usage: bad_input.sh LAZYTSC [SANITIZER]
set -u
lazytsc=$1 sanitizer=${2:-}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failed=0

fail() {
	echo "FAILED: $*"
	failed=1
}

# run STATUS ARGUMENT...: the command ends with this status; its output goes to out and err. $path,
# where set, is the command's PATH.
run() {
	local want=$1 got
	shift
	PATH=${path:-$PATH} "$lazytsc" replay "$@" >out 2>err
	got=$?
	[ $got = "$want" ] || fail "status $got, expected $want: replay $*: $(cat err)"
	if [ "$want" = 2 ] && [ "$(wc -l <err)" != 1 ]; then
		fail "not one line of error: replay $*: $(cat err)"
	fi
}

# says FILE TEXT
says() {
	grep -qF -- "$2" "$1" || fail "'$2' is not in $1: $(cat "$1")"
}

# total VARIANT EXITS SKIPS SILENT INJECTIONS FILE: what the total row of a run says
total() {
	local got
	got=$("$lazytsc" replay --csv --variants "$1" "$6" 2>/dev/null |
		awk -F, -v v="$1" '$2 == v && $3 == "total" { print $4, $5, $6, $7 }')
	[ "$got" = "$2 $3 $4 $5" ] || fail "$6: $1 is '$got', expected '$2 $3 $4 $5'"
}

# key NAME FILE: a number of the trace's object in JSON
key() {
	"$lazytsc" replay --json "$2" 2>/dev/null |
		sed -n '/"traces"/,$p' | sed -n "s/^ *\"$1\": \([^,]*\),*$/\1/p"
}

# line CPU TIME VALUE
line() {
	printf '          <idle>-0       [%03d] d..1. %d: write_msr: 6e0, value %x\n' "$1" "$2" "$3"
}

# The worked example: 4 exits become 1, with 1 silent expiry and 1 injection; then a write after it.
good() {
	printf '# tracer: nop\n#\n'
	line 0 1000 100000
	line 0 2000 120000
	line 0 3000 140000
	line 0 4000 160000
	line 0 200000 300000
}
good >good.txt
total stock 5 0 0 1 good.txt
total lazy 2 3 1 1 good.txt
total rfc-v1 2 3 0 2 good.txt
total rfc-v3 2 3 1 1 good.txt

# Files without anything to replay.
run 2 missing.txt
says err 'missing.txt: No such file or directory'
run 2 "$dir"
says err 'Is a directory'
: >empty.txt
run 2 empty.txt
says err 'empty.txt: empty file'
run 2 - </dev/null
says err '-: empty file'
gzip -c empty.txt >empty.txt.gz
run 2 empty.txt.gz
says err 'empty file'
head -c 300000 /dev/zero >zero.bin
run 2 zero.bin
says err 'zero.bin: a binary file, no trace'
gzip -c "$lazytsc" | tail -c +100 | head -c 200000 >garbage.bin
run 2 garbage.bin
says err 'garbage.bin: '
head -2 good.txt >header.txt
run 2 header.txt
says err 'no trace event in 2 lines'
grep -v write_msr good.txt >other.txt
echo '  a-1 [000] d..1. 1552771636389: cpu_idle: state=1 cpu_id=0' >>other.txt
run 2 other.txt
says err 'no TSC-deadline write in 3 lines'
sed 's/6e0, value/830, value/' good.txt >icr.txt
run 2 icr.txt
says err 'no TSC-deadline write'
sed 's/, value.*//' good.txt >cut.txt
run 2 cut.txt
says err 'cut.txt:3: damaged deadline write'
# A file of trace-cmd's that is none, from a file, a pipe, and compressed; trace-cmd is not needed.
printf '\x17\x08\x44tracing and more of it' >trace.dat
mkdir bin
path=$dir/bin run 2 trace.dat
says err 'trace.dat: a trace-cmd file that is truncated or damaged'
gzip -k trace.dat
run 2 trace.dat.gz
says err 'trace.dat.gz: a trace-cmd file that is truncated or damaged'
run 2 - <trace.dat
says err 'a trace-cmd file that is truncated or damaged'
# A file of perf's: what perf prints is read, its failure and its absence are told.
printf 'PERFILE2 and more of it here' >perf.data
path=$dir/bin run 2 perf.data
says err 'perf.data: a perf.data file, and perf, which reads it, is not installed'
printf '#!/bin/sh\necho "$*" >args; /bin/cat good.txt\n' >bin/perf
chmod +x bin/perf
PATH=$dir/bin:$PATH total lazy 2 3 1 1 perf.data
says args 'script -f --show-lost-events --ns -F comm,pid,tid,cpu,time,event,trace -F trace:comm,pid,tid,cpu,time,period,event,trace -i'
# A folder, as perf record --threads makes it; one that is none of perf's is refused.
mkdir threads
run 2 threads
says err 'threads: Is a directory'
cp perf.data threads/data
PATH=$dir/bin:$PATH total lazy 2 3 1 1 threads
gzip -k perf.data
PATH=$dir/bin:$PATH total lazy 2 3 1 1 perf.data.gz
# perf_fails SCRIPT WORDS: a perf that does this
perf_fails() {
	printf '#!/bin/sh\n%s\n' "$1" >bin/perf
	path=$dir/bin:$PATH run 2 perf.data
	says err "$2"
}
perf_fails '/bin/cat good.txt; echo what >&2; exit 3' \
	'perf script` failed on it (what): truncated, of a newer perf, or without trace events'
# A recording into a pipe that is cut: perf succeeds.
perf_fails '/bin/cat good.txt; echo "unexpected end of event stream" >&2; echo "Processed 5 events" >&2' \
	'a perf.data file that is truncated'
# It prints nothing, says nothing, dies of a signal, or never ends when nobody reads on.
perf_fails 'echo hello >&2' 'a perf.data file of which `perf script` prints nothing'
perf_fails 'exit 3' 'perf script` failed on it: truncated'
perf_fails '/bin/cat good.txt; printf "%0999d\na\tb\n\n" 5 >&2; kill -SEGV $$' 'perf script` failed on it (a?b): truncated'
perf_fails 'head -c 99999 /dev/zero | tr "\0" x >&2; kill -SEGV $$' 'perf script` failed on it (xxx'
cat >bin/perf <<'END'
#!/bin/sh
awk 'BEGIN {
	for (i = 1; i < 20000; i++)
		printf " a-1 [000] d..1. %d: write_msr: 6e0, value %x\n", i * 1000, i * 1000 + 5000
	print " a-1 [000] d..1. 20000000: kvm_msr: msr_write 6e0 = 0x5"
}'
sleep 30
: >ended
END
path=$dir/bin:$PATH run 2 perf.data
says err 'seen by its host'
[ ! -e ended ] || fail "perf was waited for"
# What was lost, perf tells where it is asked to.
printf '#!/bin/sh\nhead -4 good.txt; echo " a 1/1 [000] 0.000001500: PERF_RECORD_LOST lost 9"; tail -n +5 good.txt\n' >bin/perf
path=$dir/bin:$PATH run 0 --csv perf.data
says err '1 gap (9 events lost)'
# Formats that are no trace are named.
printf 'PK\3\4and more of a zip' >zip
run 2 zip
says err 'zip: a zip archive: unzip -p'
# Of archives the members' heads and tails would spoil lines, and several members a trace.
name=$(printf %099d 5)
cp good.txt "$name"
tar -cf long.tar "$name"
tar -cf short.tar good.txt
gzip -c long.tar >long.tgz
for file in long.tar short.tar long.tgz; do
	run 2 $file
	says err "$file: a tar archive: tar -xOf"
done
{ printf '070701'; printf %0104d 5; cat good.txt; } >a.cpio
run 2 a.cpio
says err 'a.cpio: a cpio archive'
{ printf '!<arch>\ngood.txt/       0           0     0     644     500       `\n'; cat good.txt; } >a.ar
run 2 a.ar
says err 'a.ar: an ar archive'
xz --format=lzma -c good.txt >a.lzma
run 2 a.lzma
says err 'a.lzma: compressed with lzma: xz -dc'
printf '\37\235\220and more' >a.Z
run 2 a.Z
says err 'a.Z: compressed with compress: gzip -dc'
bzip2 -c good.txt | gzip -c >bzip2.gz
run 2 bzip2.gz
says err 'bzip2.gz: compressed twice'
# Standard input is one trace.
run 1 - - <good.txt
says err 'standard input, -, can be read once'
for command in compare validate; do
	"$lazytsc" $command - - <good.txt >out 2>err
	[ $? = 1 ] || fail "$command - -: $(cat err)"
	says err 'standard input, -, can be read once'
done
cp "$lazytsc" elf
run 2 elf
says err 'elf: an ELF file'
iconv -f UTF-8 -t UTF-16 good.txt >utf16.txt
run 2 utf16.txt
says err 'utf16.txt: UTF-16 text'
iconv -f UTF-8 -t UTF-16LE good.txt >utf16le.txt
run 2 utf16le.txt
says err 'utf16le.txt: UTF-16 text'
iconv -f UTF-8 -t UTF-32 good.txt >utf32.txt
run 2 utf32.txt
says err 'utf32.txt: UTF-32 text'
# A check sum that is wrong, and bytes behind it that are none.
gzip -c good.txt >crc.gz
printf '\1\2\3\4' | dd of=crc.gz bs=1 seek=$(($(stat -c %s crc.gz) - 8)) conv=notrunc 2>dd.log
run 2 crc.gz
says err 'crc.gz: cannot decompress: incorrect data check'
split -n l/2 good.txt part.
gzip -c good.txt | gzip -c >twice.gz
run 2 twice.gz
says err 'twice.gz: compressed twice'
for z in gzip xz zstd bzip2; do
	"$z" -c good.txt >good.$z
	total lazy 2 3 1 1 good.$z
	head -c 60 good.$z >short.$z
	run 2 short.$z
	says err "short.$z: cannot decompress"
	# Two files in one are legal; other bytes behind the end are named, and zeros are padding.
	for part in part.aa part.ab; do "$z" -c $part; done >members.$z
	total lazy 2 3 1 1 members.$z
	for behind in x 'BZh' $'\x1f\x8b' 'what an email appended to the file'; do
		{ cat members.$z; printf %s "$behind"; } >behind.$z
		run 2 behind.$z
		says err 'other bytes behind'
		run 2 - <behind.$z
		says err 'other bytes behind'
	done
	{ cat members.$z; head -c 200000 /dev/zero; } >padded.$z
	[ "$z" = zstd ] || total lazy 2 3 1 1 padded.$z
done
{ printf '\x50\x2a\x4d\x18\4\0\0\0what'; cat good.zstd; } >pzstd.zst
run 2 pzstd.zst
says err 'zstd -dc FILE'
{ printf '\x5f\x2a\x4d\x18\4\0\0\0what'; cat good.zstd; } >other.zst
run 2 other.zst
says err 'zstd -dc FILE'
run 2 short.xz
says err 'truncated xz file'

# One bad file does not stop the others.
run 2 --csv good.txt missing.txt good.txt
says out good.txt,lazy,total,2,3,1,1

# Wrong usage.
run 1
run 1 --variants lazy,nonesuch good.txt
says err "no variant 'nonesuch'"
run 1 --variants , good.txt
run 1 --timer blue good.txt
run 1 --tsc-khz fast good.txt
run 1 --tsc-khz -5 good.txt
run 1 --nonesuch good.txt
run 0 --help

# Damage inside a good trace changes nothing but the counts of what was dropped.
{
	good | head -4
	echo '          <idle>-0       [000] d..1. 25'
	echo '          <idle>-0       [000] d..1. 2500: write_msr: 6e0, val'
	echo '          <idle>-0       [000] d..1. 2501: write_msr: 6e0, value 7#8'
	printf '          <idle>-0       [000] d..1. 2502: write_msr: 6e0, value 7\0a\n'
	echo '          <idle>-0       [000] d..1. 2600: write_msr: 830, value fd'
	echo '          <idle>-0       [000] d..1. 2601: cpu_idle: state=1 cpu_id=0'
	echo '          <idle>-0       [000] d..1. 2602: write_msr: 6e0, value 9 #GP'
	line 9000 2603 5000
	line 0 1999 170000 # below its predecessor
	tail -c 1000 garbage.bin | tr '\n' '\0'
	echo
	good | tail -3
} >damaged.txt
total stock 5 0 0 1 damaged.txt
total lazy 2 3 1 1 damaged.txt
[ "$(key damaged damaged.txt)" = 4 ] || fail "damaged: $(key damaged damaged.txt)"
[ "$(key out_of_order damaged.txt)" = 1 ] || fail "out_of_order"
[ "$(key failed damaged.txt)" = 1 ] || fail "failed"
[ "$(key other_msrs damaged.txt)" = 1 ] || fail "other_msrs"
[ "$(key other_events damaged.txt)" = 1 ] || fail "other_events"
[ "$(key unknown_lines damaged.txt)" = 2 ] || fail "unknown_lines"
[ "$(key lines damaged.txt)" = 17 ] || fail "lines"
run 0 damaged.txt
says out 'damaged.txt:6: damaged deadline write, 4 such dropped'
says out "damaged.txt:13: time stamp below its vCPU's last, 1 such dropped"
run 0 --csv damaged.txt
says err 'damaged.txt:6: damaged deadline write, 4 such dropped'

# Equal time stamps stay in the file's order.
{ line 0 1000 5000; line 0 1000 9000; line 0 1000 4000; line 0 9999 99999; } >equal.txt
total lazy 3 1 0 1 equal.txt
[ "$(key out_of_order equal.txt)" = 0 ] || fail "equal time stamps dropped"

# The end of the file in the middle of a line: a value that lost digits is not believed, one that
# lost only its newline is.
head -c -1 good.txt >unterminated.txt
total lazy 2 3 1 1 unterminated.txt
head -c -3 good.txt >truncated.txt
total lazy 1 3 0 0 truncated.txt
[ "$(key damaged truncated.txt)" = 1 ] || fail "truncated value believed"

# Lines end in CRLF.
sed 's/$/\r/' good.txt >crlf.txt
total lazy 2 3 1 1 crlf.txt

# A line far longer than any buffer, and one of exactly the buffer's size.
{
	good | head -4
	head -c 1000000 /dev/zero | tr '\0' x
	echo
	head -c 262144 /dev/zero | tr '\0' y
	echo
	good | tail -3
} >long.txt
total lazy 2 3 1 1 long.txt
[ "$(key unknown_lines long.txt)" = 2 ] || fail "long lines: $(key unknown_lines long.txt)"

# CPU numbers up to 4096, each on its own; 8192 is no CPU.
for cpu in 0 7 999 1000 4095 4096 8191 8192; do
	good | sed "s/\[000\]/[$(printf %03d $cpu)]/"
done >cpus.txt
total stock 35 0 0 7 cpus.txt
total lazy 14 21 7 7 cpus.txt
[ "$(key damaged cpus.txt)" = 5 ] || fail "CPU 8192"
run 0 --csv cpus.txt
says out cpus.txt,lazy,4096,2,3,1,1

# Events lost on CPU 0: it starts afresh, CPU 1 does not.
{
	good | head -4
	line 1 1000 100000
	echo 'CPU:0 [LOST 55 EVENTS]'
	echo 'CPU:7 [LOST EVENTS]'
	line 1 2000 120000
	good | tail -3
} >gap.txt
run 0 --csv gap.txt
says out gap.txt,lazy,0,3,2,1,1
says out gap.txt,lazy,1,1,1,0,0
says err '2 gaps (55 events lost)'

# A host's trace: vCPUs by the threads' names, or by kvm_entry; and two VMs at once.
host() { # THREAD-PID TIME VALUE
	printf '%s [%03d] d.... %d.%09d: kvm_msr: msr_write 6e0 = 0x%x\n' "$1" 3 \
		$(($2 / 1000000000)) $(($2 % 1000000000)) "$3"
}
for i in $(seq 1 100); do
	host '  CPU 5/KVM-77' $((i * 4000000 + 1000)) $((i * 12000000 + 11900000))
	host '  CPU 5/KVM-77' $((i * 4000000 + 2000)) $((i * 12000000 + 12000000))
done >host.txt
run 0 --csv host.txt
says out host.txt,stock,5,200,0,0,
says out true
sed 's/CPU 5.KVM/qemu/' host.txt >nameless.txt
run 0 --csv nameless.txt
says out nameless.txt,stock,0,200,0,0,
sed 's/CPU 5.KVM-77/qemu/' host.txt >threadless.txt
run 2 threadless.txt
says err '200 deadline writes of a host, none tells its vCPU'
{ echo '  qemu-77 [003] d.... 1.000000: kvm_entry: vcpu 6, rip 0x5'; cat nameless.txt; } >entry.txt
run 0 --csv entry.txt
says out entry.txt,stock,6,200,0,0,
{ cat host.txt; sed 's/KVM-77/KVM-78/' host.txt; } >twovms.txt
run 0 --csv twovms.txt
says out twovms.txt,stock,77:5,200,0,0,
says out twovms.txt,stock,78:5,200,0,0,
says out twovms.txt,stock,total,400,0,0,

# A guest's lines in a host's trace are another source.
{ cat host.txt; good | tail -5; } >mixed.txt
[ "$(key other_source mixed.txt)" = 5 ] || fail "other_source"

# Too little to tell the TSC's rate from.
head -1 host.txt >rateless.txt
run 2 rateless.txt
says err 'cannot tell the TSC'

# A raw clock that is not the TSC.
for i in $(seq 1 200); do line 0 "$i" $((1000000000000 + i * 10000)); done >counter.txt
run 2 counter.txt
says err 'deadlines move by 10000 TSC cycles for each unit, as with trace_clock counter'

# Names: of the trace in CSV and JSON.
cp good.txt 'a,"b".txt'
run 0 --csv 'a,"b".txt'
says out '"a,""b"".txt",lazy,total,2,3,1,1'
cp good.txt $'\xff.txt'
run 0 --json $'\xff.txt'
says out '"?.txt"'

# Nobody reads the output: an error, not a crash.
"$lazytsc" replay --json good.txt >/dev/full 2>err
[ $? = 2 ] || fail "/dev/full"

# 400 MB through a pipe: memory does not grow. A limit of 200 MB of address space is the test;
# sanitizers need more than any limit.
if [ -z "$sanitizer" ]; then
	event='          <idle>-0       [000] d..1. 190000: cpu_idle: state=1 cpu_id=0'
	{ good; yes "$event" | head -c 400000000; echo; line 0 400000 500000; } |
		(ulimit -v 200000 && "$lazytsc" replay --csv --variants lazy - >out 2>err) ||
		fail "400 MB: $(cat err)"
	says out -,lazy,total,3,3,1,2
else
	echo "the stream of 400 MB: not checked under $sanitizer"
fi

[ $failed = 0 ] && echo "all as expected"
exit $failed
