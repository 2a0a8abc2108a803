// SPDX-License-Identifier: BSD-2-Clause
/*
 * Every form of line that tracers really print is read for what it says, and what is no deadline
 * write, or only a part of one, is told by its kind. Each line is parsed three times: alone, after
 * a line of another layout, and after itself, so that remembered columns change nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "trace/line.h"

#define NONE -1

struct form {
	const char *line;
	enum trace_line_kind kind;
	unsigned int cpu;
	uint64_t ts, value;
	bool cycles;
	int64_t tid;
	int vcpu;
};

/* Written by the guest: ftrace, trace-cmd report, latency format, perf script, perf-prof. */
static const struct form guest[] = {
	{ "             cc1-12279   [000] d.h.. 1550724067217: write_msr: 6e0, value 1690ef7e8f9",
	  TRACE_LINE_WRITE, 0, 1550724067217, 0x1690ef7e8f9, true, NONE, NONE },
	{ "             cc1-12444   [001] dNh.. 1550724083375: write_msr: 6e0, value 1690ef7eb81\r",
	  TRACE_LINE_WRITE, 1, 1550724083375, 0x1690ef7eb81, true, NONE, NONE },
	{ "          <idle>-0       [001] d.h1. 26650.679279: write_msr: 6e0, value 33374f772fbb",
	  TRACE_LINE_WRITE, 1, 26650679279000, 0x33374f772fbb, false, NONE, NONE },
	{ "         <idle>-0       [002] dNh1 23454.902248: write_msr: 6e0, value 4866ce957272",
	  TRACE_LINE_WRITE, 2, 23454902248000, 0x4866ce957272, false, NONE, NONE },
	{ "  <idle>-0       1dN.h1.. 2563695123us : write_msr: 6e0, value 21d331afdacc",
	  TRACE_LINE_WRITE, 1, 2563695123000, 0x21d331afdacc, false, NONE, NONE },
	{ "  <idle>-0       1dN.h1.. 2563695123us!: write_msr: 6e0, value 21d331afdacc <=== note: "
	  "a",
	  TRACE_LINE_WRITE, 1, 2563695123000, 0x21d331afdacc, false, NONE, NONE },
	{ "    <idle>-0      12dN.3    4us+: write_msr: 6e0, value 1", TRACE_LINE_WRITE, 12, 4000,
	  1, false, NONE, NONE },
	{ "        simm_try-4142  [000]8246966466492: write_msr:            6e0, value 780261dfb12",
	  TRACE_LINE_WRITE, 0, 8246966466492, 0x780261dfb12, true, NONE, NONE },
	{ "    # [001] 3766869.481796: msr:write_msr: 6e0, value 5470f8ef7ff0cc", TRACE_LINE_WRITE,
	  1, 3766869481796000, 0x5470f8ef7ff0cc, false, NONE, NONE },
	{ "         swapper     0 [003]   681.185714123:          1 msr:write_msr: 6e0, value ff",
	  TRACE_LINE_WRITE, 3, 681185714123, 0xff, false, NONE, NONE },
	{ "2024-04-24 17:01:11.009305     wrmsr   3862 d... [000] 681.185714: msr:write_msr: 6e0, "
	  "value 1f",
	  TRACE_LINE_WRITE, 0, 681185714000, 0x1f, false, NONE, NONE },
	{ "  IPDL Background-4695  [4095] 21403.059859: write_msr:            6e0, value 0",
	  TRACE_LINE_WRITE, 4095, 21403059859000, 0, false, NONE, NONE },
	{ "     kworker/1:1H-77      [001] d.h1. 5: write_msr: 6e0, value ffffffffffffffff",
	  TRACE_LINE_WRITE, 1, 5, UINT64_MAX, true, NONE, NONE },
	{ "           a 1: b-77      [001] d.h1. 5: write_msr: 6e0, value 6", TRACE_LINE_WRITE, 1,
	  5, 6, true, NONE, NONE },
	{ "           <...>-77      (-----) [8191] ... 5: write_msr: 6e0, value 6",
	  TRACE_LINE_WRITE, 8191, 5, 6, true, NONE, NONE },
	{ " cc1-12279 [000] d.h.. 1550724017167: local_timer_entry: vector=236",
	  TRACE_LINE_TIMER_IRQ, 0, 1550724017167, 0, true, NONE, NONE },
	{ " cc1-12279 [000] d.h.. 1550.724017: irq_vectors:local_timer_entry: vector=236",
	  TRACE_LINE_TIMER_IRQ, 0, 1550724017000, 0, false, NONE, NONE },
};

static const struct form host[] = {
	{ "       CPU 5/KVM-2137779 [010] d.... 798115.331413: kvm_msr: msr_write 6e0 = "
	  "0x81cba98c958c9",
	  TRACE_LINE_HOST_WRITE, 10, 798115331413000, 0x81cba98c958c9, false, 2137779, 5 },
	{ "       CPU 0/KVM 1821753 [015] 4831258.258053: kvm:kvm_msr: msr_write 6e0 = "
	  "0x10e8aebe830c9e",
	  TRACE_LINE_HOST_WRITE, 15, 4831258258053000, 0x10e8aebe830c9e, false, 1821753, 0 },
	{ " fc_vcpu 1 2335220 [069] 12345.679300: kvm:kvm_msr: msr_write 6e0 = 0x1fb1e5ac1f9",
	  TRACE_LINE_HOST_WRITE, 69, 12345679300000, 0x1fb1e5ac1f9, false, 2335220, 1 },
	{ "2024-04-24 17:01:10.992690    CPU 0/KVM 149383 .... [019] 681.185687: kvm:kvm_msr: "
	  "msr_write 6e0 = 0x5",
	  TRACE_LINE_HOST_WRITE, 19, 681185687000, 5, false, 149383, 0 },
	{ " qemu-system-x86-8397    (  8390) [002] ..... 1404.389519: kvm_msr:              "
	  "msr_write "
	  "6e0 = 0xd01",
	  TRACE_LINE_HOST_WRITE, 2, 1404389519000, 0xd01, false, 8397, NONE },
	{ " qemu-system-x86-8397    [002] d....  1404.389517: kvm_exit: vcpu 1 reason MSR_WRITE "
	  "rip "
	  "0xffffffff81000149 info1 0x0000000000000000",
	  TRACE_LINE_VCPU, 2, 0, 0, false, 8397, 1 },
	{ " qemu-system-x86-8397    [002] d....  1404.389520: kvm_entry: vcpu 1, rip 0xffff",
	  TRACE_LINE_VCPU, 2, 0, 0, false, 8397, 1 },
	{ "       CPU 1/KVM-8397    [002] d..1.  1404.389521: kvm_apic_accept_irq: apicid 1 vec "
	  "236 (Fixed|edge)",
	  TRACE_LINE_HOST_IRQ, 2, 1404389521000, 0, false, 8397, 1 },
	{ " qemu-system-x86  8390/8397  [002]  1404.389521123: kvm:kvm_apic_accept_irq: apicid a "
	  "vec 236 (Fixed|edge) (coalesced)",
	  TRACE_LINE_HOST_IRQ, 2, 1404389521123, 0, false, 8397, NONE },
	{ "       fc_vcpu 1  599500 [039] 1377662.550600: kvm:kvm_entry:  vcpu 1 rip "
	  "0xffffffff81036706",
	  TRACE_LINE_VCPU, 39, 0, 0, false, 599500, 1 },
};

#define FORM(kind, line)                                            \
	{                                                           \
		line, TRACE_LINE_##kind, 0, 0, 0, false, NONE, NONE \
	}

/* The same events as other options, tools and programs print them. */
static const struct form variants[] = {
	/* ftrace: fields, verbose, print-tgid, latency-format with another clock */
	{ "   xz-19970   [000] dNh..            4: write_msr: msr=0x6e0 (1760) val=0xb8cda5e2fac "
	  "(12699586932652) failed=0x0 (0)",
	  TRACE_LINE_WRITE, 0, 4, 0xb8cda5e2fac, true, NONE, NONE },
	{ "   xz   19970   1 9 00000000 00000004 [00000b8ac11af184] 51868674 (+20320): write_msr: "
	  "6e0, value b8ac1b87a28",
	  TRACE_LINE_WRITE, 1, 0xb8ac11af184, 0xb8ac1b87a28, true, NONE, NONE },
	{ "   xz   19970   1 9 00000000 00000004 [1236ca41e] 11.960ms (+0.009ms): write_msr: 6e0, "
	  "value b8b6e69d0cc",
	  TRACE_LINE_WRITE, 1, 0x1236ca41e * 1000ULL, 0xb8b6e69d0cc, false, NONE, NONE },
	{ "   xz-19970   (-------) [001] d.h.. 2: write_msr: 6e0, value b8cda5e2fac",
	  TRACE_LINE_WRITE, 1, 2, 0xb8cda5e2fac, true, NONE, NONE },
	{ "  <idle>-0         0d.h.. 1000000: write_msr: 6e0, value 2ba7e788440", TRACE_LINE_WRITE,
	  0, 1000000, 0x2ba7e788440, true, NONE, NONE },
	/* trace-cmd report: -R, -l, --ts-diff, --raw-ts, a buffer's name */
	{ "t13c:   cc1-25126 [001]  4990.333772: write_msr:             msr=6e0 val=bc882393b6c "
	  "failed=0",
	  TRACE_LINE_WRITE, 1, 4990333772000, 0xbc882393b6c, false, NONE, NONE },
	{ "     cc1-25126 [001]  4990.333772: write_msr:             msr=1760 val=12955336293228 "
	  "failed=0",
	  TRACE_LINE_WRITE, 1, 4990333772000, 12955336293228, false, NONE, NONE },
	{ "     cc1-25126   1d.h..  4990.333772: write_msr:            6e0, value bc882393b6c",
	  TRACE_LINE_WRITE, 1, 4990333772000, 0xbc882393b6c, false, NONE, NONE },
	{ "     cc1-25126 [001]  4990.333772: (+11)    write_msr:            6e0, value "
	  "bc882393b6c",
	  TRACE_LINE_WRITE, 1, 4990333772000, 0xbc882393b6c, false, NONE, NONE },
	{ "     cc1-25126 [001]4990333771922: write_msr:            6e0, value bc882393b6c",
	  TRACE_LINE_WRITE, 1, 4990333771922, 0xbc882393b6c, true, NONE, NONE },
	/* dmesg after an oops, and a program's own text */
	{ "[  123.456789]   <idle>-0       1d.h1. 2563695us : write_msr: 6e0, value 21d331afdacc",
	  TRACE_LINE_WRITE, 1, 2563695000, 0x21d331afdacc, false, NONE, NONE },
	{ " <idle>-0 [001] d.h1. 12.500000: bpf_trace_printk: write_msr: 6e0, value 21d331afdacc",
	  TRACE_LINE_WRITE, 1, 12500000000, 0x21d331afdacc, false, NONE, NONE },
	/* the kernel's decode_msr.py names the MSR */
	{ " <idle>-0 [001] d.h1. 15: write_msr: MSR_IA32_TSC_DEADLINE(6e0), value 21d331afdacc",
	  TRACE_LINE_WRITE, 1, 15, 0x21d331afdacc, true, NONE, NONE },
	/* deadlines that were not written to the MSR */
	{ " <idle>-0 [001] d.h1. 15: lazytsc_skip: 6e0, value 21", TRACE_LINE_SKIP, 1, 15, 0x21,
	  true, NONE, NONE },
	{ " <idle>-0 [001] d.h1. 15: lazytsc_skip: deadline=0x21 (33)", TRACE_LINE_SKIP, 1, 15,
	  0x21, true, NONE, NONE },
	{ " <idle>-0 [001] d.h1. 1.000000500: hrtimer_rearm: next_event=1004000000 deferred=0",
	  TRACE_LINE_REARM, 1, 1000000500, 1004000000, false, NONE, NONE },
	{ " <idle>-0 [001] d.h1. 1.000000500: timer:hrtimer_rearm: next_event=9223372036854775807 "
	  "deferred=1",
	  TRACE_LINE_REARM, 1, 1000000500, 0, false, NONE, NONE },
	/* a host's: perf script with the process, without the CPU or the event; perf trace */
	{ "   CPU 0/KVM  4090/4100  [010] 5.000000000: kvm:kvm_msr: msr_write 6e0 = 0x2bd6792d2f0",
	  TRACE_LINE_HOST_WRITE, 10, 5000000000, 0x2bd6792d2f0, false, 4100, 0 },
	{ "   CPU 3/KVM  4100 5.000000000: kvm:kvm_msr: msr_write 6e0 = 0x2bd6792d2f0",
	  TRACE_LINE_HOST_WRITE, 0, 5000000000, 0x2bd6792d2f0, false, 4100, 3 },
	{ "   CPU 3/KVM  4100 [001] 5.000000000: msr_write 6e0 = 0x2bd6792d2f0",
	  TRACE_LINE_HOST_WRITE, 1, 5000000000, 0x2bd6792d2f0, false, 4100, 3 },
	{ " 4100 [001] 5.000000000: kvm:kvm_msr: msr_write 6e0 = 0x2bd6792d2f0",
	  TRACE_LINE_HOST_WRITE, 1, 5000000000, 0x2bd6792d2f0, false, 4100, NONE },
	{ "    12.345 CPU 7/KVM/4100 kvm:kvm_msr(write: 1, ecx: 1760, data: 3012345678, exception: "
	  "0)",
	  TRACE_LINE_HOST_WRITE, 0, 12345000, 3012345678, false, 4100, 7 },
	{ "  4885894.953 ( 0.001 ms): CPU 7/KVM/4100 kvm:kvm_msr(msr_write 6e0 = 0x5)",
	  TRACE_LINE_HOST_WRITE, 0, 4885894953000, 5, false, 4100, 7 },
	/* perf script with the date, and in its own latency format, whose columns tell the CPU. */
	{ "       CPU 0/KVM    4100 [001] 2024-04-24 17:01:05.000000     5.000000: kvm:kvm_msr: "
	  "msr_write 6e0 = 0x5",
	  TRACE_LINE_HOST_WRITE, 1, 5000000000, 5, false, 4100, 0 },
	{ "       CPU 0/KVM    4100 2024-04-24 17:01:05.000000     5.000000: kvm:kvm_msr: "
	  "msr_write 6e0 = 0x5",
	  TRACE_LINE_HOST_WRITE, 0, 5000000000, 5, false, 4100, 0 },
	{ "CPU 2/KV    4100   1     5.000000:          1 kvm:kvm_msr: msr_write 6e0 = 0x5",
	  TRACE_LINE_HOST_WRITE, 1, 5000000000, 5, false, 4100, 2 },
	{ "CPU 2/KV    4090/4100     11     5.000000: kvm:kvm_msr: msr_write 6e0 = 0x5",
	  TRACE_LINE_HOST_WRITE, 11, 5000000000, 5, false, 4100, 2 },
	{ "CPU 2/KV    4100 123 2024-04-24 17:01:05.000000     5.000000: kvm:kvm_msr: msr_write "
	  "6e0 = 0x5",
	  TRACE_LINE_HOST_WRITE, 123, 5000000000, 5, false, 4100, 2 },
	{ " swapper       0   3     5.000000: msr:write_msr: 6e0, value 5", TRACE_LINE_WRITE, 3,
	  5000000000, 5, false, NONE, NONE },
	{ "fc_vcpu 3 4100 5.000000: kvm:kvm_msr: msr_write 6e0 = 0x5", TRACE_LINE_HOST_WRITE, 0,
	  5000000000, 5, false, 4100, 3 },
	{ "       fc_vcpu 3    4100     5.000000: kvm:kvm_msr: msr_write 6e0 = 0x5",
	  TRACE_LINE_HOST_WRITE, 0, 5000000000, 5, false, 4100, 3 },
	/* perf trace leaves out fields that are 0. */
	{ "    12.345 CPU 7/KVM/4100 kvm:kvm_msr(write: 1, ecx: 1760)", TRACE_LINE_HOST_WRITE, 0,
	  12345000, 0, false, 4100, 7 },
	/* and names of threads: cut by the latency format, cloud-hypervisor, kvmtool, unknown */
	{ "CPU 0/KV-4100  10d.... 5000000us : kvm_msr: msr_write 6e0 = 0x2bd6792d2f0",
	  TRACE_LINE_HOST_WRITE, 10, 5000000000, 0x2bd6792d2f0, false, 4100, 0 },
	{ "CPU 12/K-4100  10d.... 5000000us : kvm_msr: msr_write 6e0 = 0x5", TRACE_LINE_HOST_WRITE,
	  10, 5000000000, 5, false, 4100, 12 },
	{ " vcpu1 4101 [011] 5.000700: kvm:kvm_msr: msr_write 6e0 = 0x5", TRACE_LINE_HOST_WRITE, 11,
	  5000700000, 5, false, 4101, 1 },
	{ " kvm-vcpu-10 4101 [011] 5.000700: kvm:kvm_msr: msr_write 6e0 = 0x5",
	  TRACE_LINE_HOST_WRITE, 11, 5000700000, 5, false, 4101, 10 },
	{ " <...>-4101 [011] d.... 5.000700: kvm_msr: write=0x1 (1) ecx=0x6e0 (1760) data=0x5 (5) "
	  "exception=0x0",
	  TRACE_LINE_HOST_WRITE, 11, 5000700000, 5, false, 4101, NONE },
	{ " <...>-4101 [011] 5.000700: kvm_msr: write=1 ecx=1760 data=12955336293228 exception=0",
	  TRACE_LINE_HOST_WRITE, 11, 5000700000, 12955336293228, false, 4101, NONE },
	{ " 8core-vm5 4101 [011] 5.000700: kvm:kvm_msr: msr_write 6e0 = 0x5", TRACE_LINE_HOST_WRITE,
	  11, 5000700000, 5, false, 4101, NONE },
};

static const struct form others[] = {
	FORM(OTHER_MSR, " a-1 [000] d.. 5: write_msr: 830, value 1000000fb"),
	FORM(OTHER_MSR, " a-1 [000] d.. 5: write_msr: MSR_FS_BASE+1(c0000101), value 5"),
	FORM(DAMAGED, " a-1 [000] d.. 5: write_msr: MSR_IA32_TSC_DEADLINE(6e0"),
	FORM(DAMAGED, " a-1 [000] d.. 5: write_msr: MSR_IA32_TSC_DEADLINE(6e0, value 5"),
	FORM(OTHER_MSR, " a-1 [000] d.. 5: write_msr: c0000100, value 7fea2bcbc700"),
	FORM(OTHER_MSR, " CPU 0/KVM 1821753 [015] 4831258.258093: kvm:kvm_msr: msr_write 830 = "
			"0x2"),
	/* A name whose last part is longer than "KVM": nothing is read beyond that word. */
	FORM(OTHER_MSR, " CPU 0/other 1821753 [015] 4831258.258093: kvm:kvm_msr: msr_write 830 = "
			"0x1"),
	FORM(OTHER_MSR, " CPU 0/KVM 1821753 [015] 4831258.258148: kvm:kvm_msr: msr_read 6e0 = 0x0"),
	FORM(OTHER_EVENT, " rdmsr 3862 d... [000] 681.185714: msr:read_msr: 6e0, value 0"),
	FORM(IDLE, " <idle>-0 [000] d..1. 1552771636389: cpu_idle: state=1 cpu_id=0"),
	FORM(IDLE,
	     " <idle>-0 [000] d..1. 1.500000: cpu_idle: state=0xffffffff (4294967295) cpu_id=0x0"),
	FORM(OTHER_EVENT,
	     " <idle>-0 [000] d..1. 1.500000: tracing_mark_write: write_msr: 6e0, value 5"),
	FORM(OTHER_EVENT, " <idle>-0 [001] ..s1. 26650.679279: softirq_entry: vec=7 "
			  "[action=SCHED]"),
	FORM(OTHER_EVENT, " CPU 0/KVM  699876 [020] 18136.763717:  kvm:kvm_nested_vmexit: CAN'T "
			  "FIND "
			  "FIELD \"rip\"<CANT FIND FIELD exit_code>vcpu 0 reason MSR_WRITE rip "
			  "0xf"),
	FORM(OTHER_EVENT, " a-1 [000] 5.000001: schedule <-do_idle"),
	FORM(FAILED, " a-1 [000] d.. 5: write_msr: 6e0, value 5 #GP"),
	FORM(FAILED, " CPU 0/KVM-7 [010] d.... 7.331413: kvm_msr: msr_write 6e0 = 0x5 (#GP)"),
	FORM(DAMAGED, " a-1 [000] d.. 5: write_msr: 6e0, value "),
	FORM(DAMAGED, " a-1 [000] d.. 5: write_msr: 6e0, val"),
	FORM(DAMAGED, " a-1 [000] d.. 5: write_msr: 6e"),
	FORM(DAMAGED, " a-1 [000] d.. 5: write_msr:"),
	FORM(DAMAGED, " a-1 [000] d.. 5: write_msr: 6e0, value 12x4"),
	FORM(DAMAGED, " a-1 [000] d.. 5: write_msr: 6e0, value 11112222333344445"),
	FORM(DAMAGED, " a-1 [000] d.. 99999999999999999999: write_msr: 6e0, value 5"),
	FORM(DAMAGED, " a-1 [000] d.. 99999999999999.100000: write_msr: 6e0, value 5"),
	FORM(DAMAGED, " a-1 [8192] d.. 5: write_msr: 6e0, value 5"),
	FORM(DAMAGED, " a-1 d.. 5: write_msr: 6e0, value 5"),
	FORM(DAMAGED, "[000] d.. write_msr: 6e0, value 5"),
	FORM(DAMAGED, " swapper       0  3      5.000000: msr:write_msr: 6e0, value 5"),
	FORM(DAMAGED, "       swapper         0     5.000000: msr:write_msr: 6e0, value 5"),
	FORM(DAMAGED, "  kvm_msr:              msr_write 6e0 = 0x60000000001"),
	FORM(DAMAGED, " a-1 [000] 5.100000: kvm_msr: msr_write 6e0 ="),
	/* Nothing follows the name of a field: what is beyond the line is not looked at. */
	FORM(DAMAGED, " a-1 [000] d.. 5: write_msr: msr=0x6e0 (1760) val"),
	FORM(DAMAGED, " a-1 [000] 5.100000: kvm_msr: write=0x1 (1) ecx=0x6e0 (1760) data"),
	FORM(DAMAGED, "    12.345 CPU 7/KVM/4100 kvm:kvm_msr(write: 1, ecx: 1760, data"),
	/* Cut before the bracket: a field that is not there need not be 0. */
	FORM(DAMAGED, "    12.345 CPU 7/KVM/4100 kvm:kvm_msr(write: 1, ecx: 1760"),
	FORM(DAMAGED, "    12.345 CPU 7/KVM/4100 kvm:kvm_msr(write: 1"),
	FORM(DAMAGED, "    12.345 CPU 7/KVM/4100 kvm:kvm_msr("),
	FORM(OTHER_MSR, "    12.345 CPU 7/KVM/4100 kvm:kvm_msr(ecx: 59)"),
	FORM(OTHER_MSR, "    12.345 CPU 7/KVM/4100 kvm:kvm_msr(ecx: 1760)"),
	FORM(OTHER_MSR, "    12.345 CPU 7/KVM/4100 kvm:kvm_msr()"),
	FORM(OTHER_MSR, "    12.345 CPU 7/KVM/4100 kvm:kvm_msr(write: 1, ecx: 59)"),
	FORM(OTHER_MSR, "    12.345 CPU 7/KVM/4100 kvm:kvm_msr(write: 1, data: 59)"),
	FORM(FAILED,
	     "    12.345 CPU 7/KVM/4100 kvm:kvm_msr(write: 1, ecx: 1760, data: 5, exception: 1)"),
	FORM(COMMENT, "# tracer: nop"),
	FORM(COMMENT, "#              | |         |   |||||     |         |"),
	FORM(COMMENT, "##### CPU 1 buffer started ####"),
	FORM(COMMENT, ""),
	FORM(COMMENT, " \r"),
	FORM(COMMENT, "cpus=8"),
	FORM(UNKNOWN, "   0.02%  6e0 = 0x94ba753656c"),
	FORM(UNKNOWN, "          <idle>-0       [000] d..1. 155277"),
	FORM(VCPU, "preempt_test  20677.199579:      kvm:kvm_exit: reason PREEMPTION_TIMER"),
	FORM(HOST_IRQ, " a-1 [000] 5.100000: kvm_apic_accept_irq: apicid=0 dm=0 tm=0 vec=ec"),
	FORM(HOST_IRQ, " a-1 [000] 5.100000: kvm_apic_accept_irq: apicid=0 dm=0 tm=0 vec=236"),
	FORM(HOST_IRQ, " a-1 [000] 5.100000: kvm_apic_accept_irq: apicid=0x0 (0) vec=0xef (239)"),
	FORM(OTHER_EVENT,
	     " a-1 [000] 5.100000: kvm_apic_accept_irq: apicid 0 vec 253 (Fixed|edge)"),
	FORM(OTHER_EVENT, " a-1 [000] 5.100000: kvm_apic_accept_irq: apicid=236 dm=0 tm=0 vec=fd"),
	FORM(OTHER_EVENT, " a-1 [000] 5.100000: kvm_apic_accept_irq: apicid 0 vec"),
	FORM(OTHER_EVENT, " a-1 [000] 5.100000: kvm_apic_accept_irq:"),
	FORM(COUNT,
	     "           MSR_WRITE      56890    45.41%     2.20%      0.45us  1.00us  1.43us"),
	FORM(COUNT, "msr 56890 45.41% 81352700 2.20%"),
	FORM(COUNT, "HLT 5 1.00%"),
	FORM(COUNT, " kvm_exit(HLT) 5"),
	FORM(COUNT, " kvm_exit 5 25.0 9"),
	FORM(UNKNOWN, " CPU 0/KVM-4100 [010] 4.999999: kvm_exit: vcpu 0 reason "),
	FORM(UNKNOWN, " printk messages dropped"),
	FORM(UNKNOWN, "** printk messages dropped **"),
	FORM(UNKNOWN, "xCPU:2 [LOST 12 EVENTS]"),
	FORM(UNKNOWN, "HLT 5 1.00"),
	FORM(UNKNOWN, "HLT 5% 1.00%"),
	FORM(UNKNOWN, "HLT 99999999999999999999 1.00%"),
	FORM(UNKNOWN, "0xfee00380:W 387 84.31%"),
	FORM(UNKNOWN, " kvm_exit(HLT)"),
	FORM(UNKNOWN, " kvm_entry 5 25.0 9"),
	FORM(UNKNOWN, "CPU:9999999 [LOST 5 EVENTS]"),
	FORM(UNKNOWN, ": : : 12: 1.: .1: "),
	FORM(UNKNOWN, "\x7f"
		      "ELF\x02\x01"),
	FORM(LOST, "CPU:0 [LOST 12 EVENTS]"),
};

static void check(struct trace_layout *layout, const struct form *f)
{
	struct trace_line l;

	memset(&l, 0x5a, sizeof(l));
	trace_line_parse(layout, f->line, f->line + strlen(f->line), &l);
	if (l.kind != f->kind)
		print_error("%s\n", f->line);
	assert_int_equal(l.kind, f->kind);
	if (f->kind == TRACE_LINE_WRITE || f->kind == TRACE_LINE_HOST_WRITE ||
	    f->kind == TRACE_LINE_SKIP || f->kind == TRACE_LINE_REARM ||
	    f->kind == TRACE_LINE_TIMER_IRQ || (f->kind == TRACE_LINE_HOST_IRQ && f->ts)) {
		assert_int_equal(l.cpu, f->cpu);
		assert_int_equal(l.ts, f->ts);
		assert_int_equal(l.cycles, f->cycles);
		if (f->kind != TRACE_LINE_TIMER_IRQ && f->kind != TRACE_LINE_HOST_IRQ)
			assert_int_equal(l.value, f->value);
	}
	if (f->kind == TRACE_LINE_HOST_WRITE || f->kind == TRACE_LINE_VCPU ||
	    (f->kind == TRACE_LINE_HOST_IRQ && f->ts)) {
		assert_int_equal(l.tid, f->tid);
		assert_int_equal(l.vcpu, f->vcpu);
	}
}

static void check_all(const struct form *forms, size_t n)
{
	static const struct form before = { "            nginx-3863    [001] d.h.. 508589380026: "
					    "write_msr: 6e0, value 766ae6d7ac",
					    TRACE_LINE_WRITE,
					    1,
					    508589380026,
					    0x766ae6d7ac,
					    true,
					    NONE,
					    NONE };

	for (size_t i = 0; i < n; i++) {
		struct trace_layout layout = { 0 };

		check(&layout, &forms[i]);
		check(&layout, &before);
		check(&layout, &forms[i]);
		check(&layout, &forms[i]);
	}
}

static void guest_forms(void **state)
{
	(void)state;
	check_all(guest, sizeof(guest) / sizeof(guest[0]));
}

static void host_forms(void **state)
{
	(void)state;
	check_all(host, sizeof(host) / sizeof(host[0]));
}

static void other_forms(void **state)
{
	(void)state;
	check_all(variants, sizeof(variants) / sizeof(variants[0]));
}

/* Why a guest left, by name or number, of both makers. */
static void exits(void **state)
{
	static const struct {
		const char *text;
		enum trace_exit exit;
	} forms[] = {
		{ "kvm_exit: vcpu 1 reason MSR_WRITE rip 0x1 info1 0x0 info2 0x0",
		  TRACE_EXIT_MSR_WRITE },
		{ "kvm:kvm_exit: reason MSR_WRITE rip 0x1 info 0 0", TRACE_EXIT_MSR_WRITE },
		{ "kvm_exit: vcpu 1 reason MSR_READ rip 0x1 info1 0x0", TRACE_EXIT_MSR_READ },
		{ "kvm_exit: vcpu 1 reason MSR_WRITE_IMM rip 0x1 info1 0x0", TRACE_EXIT_MSR_WRITE },
		{ "kvm_exit: vcpu 0 reason msr rip 0x40 info1 0x0000000000000001 info2",
		  TRACE_EXIT_MSR_WRITE },
		{ "kvm_exit: vcpu 0 reason msr rip 0x40 info1 0x0000000000000000 info2",
		  TRACE_EXIT_MSR_READ },
		{ "kvm:kvm_exit: reason msr rip 0x4", TRACE_EXIT_MSR_WRITE },
		{ "kvm_exit: reason PREEMPTION_TIMER rip 0x40 info 0 0",
		  TRACE_EXIT_PREEMPTION_TIMER },
		{ "kvm_exit: vcpu 0 reason hlt rip 0x40", TRACE_EXIT_HLT },
		{ "kvm_exit: vcpu 0 reason EXTERNAL_INTERRUPT rip 0x40",
		  TRACE_EXIT_EXTERNAL_INTERRUPT },
		{ "kvm_exit: vcpu 0 reason CPUID rip 0x40", TRACE_EXIT_OTHER },
		{ "kvm_exit: exit_reason=0x20 (32) guest_rip=0x5 isa=0x1 (1) info1=0x0 vcpu_id=0x1 "
		  "(1)",
		  TRACE_EXIT_MSR_WRITE },
		{ "kvm_exit: exit_reason=7c guest_rip=5 isa=2 info1=1 vcpu_id=1",
		  TRACE_EXIT_MSR_WRITE },
		/* AMD, by libtraceevent's plugin, which perf script and trace-cmd report use. */
		{ "kvm:kvm_exit: reason EXIT_MSR rip 0x4015c2 info 1 0", TRACE_EXIT_MSR_WRITE },
		{ "kvm:kvm_exit: reason EXIT_MSR rip 0x4015c2 info 0 0", TRACE_EXIT_MSR_READ },
		{ "kvm_exit:             reason EXIT_HLT rip 0x4015c2 info 0 0", TRACE_EXIT_HLT },
		{ "kvm_exit: vcpu 3 reason EXIT_INTR rip 0x4015c2 info 0 0",
		  TRACE_EXIT_EXTERNAL_INTERRUPT },
		{ "kvm_exit: reason EXIT_CPUID rip 0x4015c2 info 1 0", TRACE_EXIT_OTHER },
		{ "kvm_exit: reason UNKNOWN (52) rip 0x4015c2 info 0 0",
		  TRACE_EXIT_PREEMPTION_TIMER },
		{ "kvm_entry: vcpu 1, rip 0x5", TRACE_EXIT_NONE },
		{ "kvm_entry: vcpu 1", TRACE_EXIT_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct trace_layout layout = { 0 };
		struct trace_line l;
		char line[256];

		snprintf(line, sizeof(line), " qemu-8397 [002] d.... 1.500000: %s", forms[i].text);
		trace_line_parse(&layout, line, line + strlen(line), &l);
		assert_int_equal(l.kind, TRACE_LINE_VCPU);
		assert_int_equal(l.exit, forms[i].exit);
		assert_int_equal(l.tid, 8397);
		assert_int_equal(l.ts, 1500000000);
	}
}

/* What an option of the tool has taken away is told from damage. */
static void spoiled(void **state)
{
	static const struct {
		const char *line;
		enum trace_spoiled how;
	} forms[] = {
		{ "19970 0 4890396021906 type: 2153", TRACE_SPOILED_RAW },
		{ "00004ed9 00000001 00000b8ac0baaff8 type: 2153", TRACE_SPOILED_RAW },
		{ "write_msr: 6e0, value b8cdb9b193e", TRACE_SPOILED_CONTEXT },
		{ " kvm:kvm_msr: msr_write 6e0 = 0x5", TRACE_SPOILED_CONTEXT },
		{ " cc1 19608  4879.518956738: msr:write_msr: 6e0, value b8589fb8a84",
		  TRACE_SPOILED_CPU },
		{ " cc1 19608 [001] msr:write_msr: 6e0, value b8589fb8a84", TRACE_SPOILED_TIME },
		{ " cc1 19608 [001]  4879.518956738: 6e0, value b8589fb8a84", TRACE_SPOILED_EVENT },
		{ " cc1 19608 [001]  4879.518956738: msr:write_msr: ", TRACE_SPOILED_TEXT },
		{ " cc1 19608 [001]  4879.518956738: kvm:kvm_msr: ", TRACE_SPOILED_TEXT },
		{ "   0.000 bash/19858 msr:write_msr(msr: 0x6e0, val: 12681704652486)",
		  TRACE_SPOILED_PERF_TRACE },
		{ " CPU 0/KVM 4100 [001] 4.518956: kvm:kvm_exit: ", TRACE_SPOILED_TEXT },
		{ " CPU 0/KVM-4100 [001] 4.518956: kvm_exit: vcpu 0 reason ",
		  TRACE_SPOILED_WRAPPED },
		{ " CPU 0/KVM-4100 [001] 4.518956: kvm_exit: vcpu 0 rea", TRACE_SPOILED_WRAPPED },
		{ " CPU 0/KVM-4100 [001] 4.518956: kvm_exit: exit_rea", TRACE_SPOILED_WRAPPED },
		{ "  cc1-7 [000] d.. 5: write_msr: 6e0, value 5  cc1-7 [000] d.. 5: write_msr: 6e0, "
		  "value 9",
		  TRACE_SPOILED_JOINED },
		{ "  cc1-7 [000] d.. 5: write_msr: 6e0, value 5\r cc1-7 [000] d.. 5: "
		  "local_timer_entry: vector=236",
		  TRACE_SPOILED_JOINED },
		{ "          <idle>-0       [000] d.h.. 7000000000000: local_timer_entry: vector=236"
		  "          <idle>-0       [000] d.h.. 7000000000000: write_msr: 6e0, value "
		  "65dd11c0680",
		  TRACE_SPOILED_JOINED },
		{ " CPU 0/KVM-7 [010] d.... 7.331413: kvm_msr: msr_write 6e0 = 0x5 CPU 0/KVM-7 "
		  "[010] d.... 7.331413: kvm_msr: msr_write 6e0 = 0x5",
		  TRACE_SPOILED_JOINED },
		{ " CPU 0/KVM-7 [010] d.... 7.331413: kvm_exit: vcpu 0 reason MSR_WRITE rip 0x5 "
		  "info1 0x0 CPU 0/KVM-7 [010] d.... 7.331414: kvm_entry: vcpu 0, rip 0x7",
		  TRACE_SPOILED_JOINED },
		{ "1.345 CPU 7/KVM/4100 kvm:kvm_msr(ecx: 59)  1.348 CPU 7/KVM/4100 kvm:kvm_msr(ecx: "
		  "59)",
		  TRACE_SPOILED_JOINED },
		{ " cc1 19608 [001]  4879.518956738:          2 msr:write_msr: 6e0, value b8589fb8a84",
		  TRACE_SPOILED_SAMPLED },
		{ " cc1 19608 [001]  4879.518956738:          2 msr:write_msr: 830, value fb",
		  TRACE_SPOILED_SAMPLED },
		{ " cc1 19608 [001]  4879.518956738:     1000 sched:sched_stat_runtime: comm=cc1",
		  TRACE_SPOILED_NOT },
		{ "\xc2\xa0 <idle>-0\xc2\xa0 [000]\xc2\xa0 5: write_msr:\xc2\xa0 6e0,\xc2\xa0 value 5",
		  TRACE_SPOILED_BLANKS },
		{ "\xc2\xa0 CPU 0/KVM-4100\xc2\xa0 [010] d.... 5.000000: kvm_msr: msr_write 6e0 = 0x5",
		  TRACE_SPOILED_BLANKS },
		{ " a-1 [000] d.. 5: \033[01;31m\033[Kwrite_msr\033[m\033[K: 6e0, value 5",
		  TRACE_SPOILED_COLOURS },
		{ " a-1 [000] d.. 5: write_msr: \033[1m6e0\033[m, value 5", TRACE_SPOILED_COLOURS },
		{ " a-1 [010] d.... 5.000000: kvm_msr: msr_write 6e0 =3D 0x5",
		  TRACE_SPOILED_QUOTED },
		{ " a-1 [000] d.. 5: write_msr: 6e0, value 65dd11c0=", TRACE_SPOILED_QUOTED },
		{ "[17:01:11.000000000] (+0.000001234) host msr:write_msr: { cpu_id = 0 }, { msr = "
		  "1760, val = 5, failed = 0 }",
		  TRACE_SPOILED_CTF },
		{ "5.000000 |   0)    <idle>-0    |  d.h1.  |     |   /* write_msr: 6e0, value 5 */",
		  TRACE_SPOILED_GRAPH },
		{ " a-1 [000] d.. 5: write_msr: 6e0, value 12x4", TRACE_SPOILED_NOT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct trace_layout layout = { 0 };
		struct trace_line l;

		trace_line_parse(&layout, forms[i].line, forms[i].line + strlen(forms[i].line), &l);
		if (l.spoiled != forms[i].how)
			print_error("%s\n", forms[i].line);
		assert_int_equal(l.spoiled, forms[i].how);
	}
}

/* Whose process, which buffer, what task. */
static void heads(void **state)
{
	static const struct {
		const char *head, *label, *task;
		int pid;
	} forms[] = {
		{ "second:           <idle>-0     [000] 3.500000: ", "second", "<idle>", -1 },
		{ " trace.dat:      CPU 0/KVM-12     [000] 3.500000: ", "trace.dat", "CPU 0/KVM",
		  -1 },
		/* grep's file and line number; words without a letter name nothing. */
		{ "trace.txt:12:           <idle>-0     [000] 3.500000: ", "trace.txt", "<idle>",
		  -1 },
		{ "12:           <idle>-0     [000] 3.500000: ", NULL, "<idle>", -1 },
		{ "07-38-01:           <idle>-0     [000] 3.500000: ", NULL, "<idle>", -1 },
		{ "1732.123:           <idle>-0     [000] 3.500000: ", NULL, "<idle>", -1 },
		{ "\xd0\xb0:               <idle>-0     [000] 3.500000: ", "\xd0\xb0", "<idle>",
		  -1 },
		{ "     kworker/1:1H-77      [001] d.h1. 3.500000: ", NULL, "kworker/1:1H", -1 },
		{ "   CPU 0/KVM  4090/4100  [010] 3.500000: ", NULL, "CPU 0/KVM", 4090 },
		{ "  qemu-system-x86-8397    (  8390) [002] ..... 3.500000: ", NULL,
		  "qemu-system-x86", 8390 },
		{ "  IPDL Background-4695  [003] 3.500000: ", NULL, "IPDL Background", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct trace_layout layout = { 0 };
		struct trace_line l;
		const char *name;
		char line[256];
		size_t len;

		snprintf(line, sizeof(line), "%skvm_msr: msr_write 6e0 = 0x5", forms[i].head);
		trace_line_parse(&layout, line, line + strlen(line), &l);
		assert_int_equal(l.kind, TRACE_LINE_HOST_WRITE);
		assert_int_equal(l.pid, forms[i].pid);
		assert_int_equal(l.label != NULL, forms[i].label != NULL);
		if (l.label)
			assert_int_equal(l.label_len, strlen(forms[i].label));
		if (l.label)
			assert_memory_equal(l.label, forms[i].label, strlen(forms[i].label));
		assert_true(trace_line_task(&l, &name, &len));
		assert_int_equal(len, strlen(forms[i].task));
		assert_memory_equal(name, forms[i].task, len);
	}
}

static void other_lines(void **state)
{
	(void)state;
	check_all(others, sizeof(others) / sizeof(others[0]));
}

/* Cut anywhere, with any byte replaced by NUL: something is said, and nothing is read beyond. */
static void cut_and_damaged(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(guest) / sizeof(guest[0]); i++) {
		size_t len = strlen(guest[i].line);

		for (size_t n = 0; n < len; n++) {
			struct trace_layout layout = { 0 };
			struct trace_line l;
			/* Exactly as long, so that a sanitizer sees a step beyond it. */
			char *copy = test_malloc(len);

			memcpy(copy, guest[i].line, len);
			trace_line_parse(&layout, copy, copy + n, &l);
			assert_in_range(l.kind, 0, TRACE_LINE_KINDS - 1);
			copy[n] = '\0';
			trace_line_parse(&layout, copy, copy + len, &l);
			assert_in_range(l.kind, 0, TRACE_LINE_KINDS - 1);
			test_free(copy);
		}
	}
}

static void lost_markers(void **state)
{
	static const struct {
		const char *line;
		unsigned int cpu;
		uint64_t n;
		const char *label;
	} forms[] = {
		{ "CPU:3 [LOST 1234 EVENTS]", 3, 1234, NULL },
		{ "CPU:0 [LOST EVENTS]", 0, 0, NULL },
		{ "CPU:11 [77 EVENTS DROPPED]", 11, 77, NULL },
		{ "CPU:1 [EVENTS DROPPED]", 1, 0, NULL },
		{ "CPU:1 [LOST 12", 1, 12, NULL },
		{ " perf 1 [002] 5.000001: PERF_RECORD_LOST lost 9", 2, 9, NULL },
		/* trace-cmd report of several buffers or files; dmesg. */
		{ "guest.dat: CPU:2 [12 EVENTS DROPPED]", 2, 12, "guest.dat" },
		{ "   second: CPU:2 [EVENTS DROPPED]", 2, 0, "second" },
		{ "           CPU:2 [EVENTS DROPPED]", 2, 0, NULL },
		{ "CPU:5: CPU:2 [EVENTS DROPPED]\r", 2, 0, "CPU" },
		{ "[  123.456789] CPU:2 [LOST 12 EVENTS]", 2, 12, NULL },
		{ "** 25 printk messages dropped **", TRACE_ALL_CPUS, 25, NULL },
		{ "[  123.456789] ** 1 printk messages dropped ** ", TRACE_ALL_CPUS, 1, NULL },
		{ "Nov 29 07:38:01 host systemd-journald[9]: Missed 7 kernel messages",
		  TRACE_ALL_CPUS, 7, NULL },
		/* A mail's quote, diff, a table, grep. */
		{ ">CPU:2 [LOST 12 EVENTS]", 2, 12, NULL },
		{ "> >CPU:2 [LOST 12 EVENTS]", 2, 12, NULL },
		{ "+CPU:2 [LOST 12 EVENTS]", 2, 12, NULL },
		{ "|CPU:2 [LOST 12 EVENTS]", 2, 12, NULL },
		{ "trace.txt:17:CPU:2 [LOST 12 EVENTS]", 2, 12, "trace.txt" },
		{ "Nov 29 07:38:01 host kernel: [  123.456789] CPU:2 [LOST 12 EVENTS]", 2, 12,
		  NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct trace_layout layout = { 0 };
		struct trace_line l;

		memset(&l, 0x5a, sizeof(l));
		trace_line_parse(&layout, forms[i].line, forms[i].line + strlen(forms[i].line), &l);
		assert_int_equal(l.kind, TRACE_LINE_LOST);
		assert_int_equal(l.cpu, forms[i].cpu);
		assert_int_equal(l.value, forms[i].n);
		assert_int_equal(l.label_len, forms[i].label ? strlen(forms[i].label) : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest_forms),	cmocka_unit_test(host_forms),
		cmocka_unit_test(other_forms),	cmocka_unit_test(exits),
		cmocka_unit_test(spoiled),	cmocka_unit_test(heads),
		cmocka_unit_test(other_lines),	cmocka_unit_test(cut_and_damaged),
		cmocka_unit_test(lost_markers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
