/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A VM of the self-test: made, run, asked, and looked at. And what a case is.
 */
#ifndef LAZYTSC_SELFTEST_VM_H
#define LAZYTSC_SELFTEST_VM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

#include <asm/kvm_para.h>
#include <linux/kvm.h>

#include "selftest.h"

#define MSR_IA32_TSC	      0x10
#define MSR_IA32_TSC_ADJUST   0x3b
#define MSR_IA32_TSC_DEADLINE 0x6e0
#define MSR_APIC_BASE	      0x1b
#define MSR_X2APIC_TPR	      0x808
#define MSR_X2APIC_SVR	      0x80f
#define MSR_X2APIC_ICR	      0x830
#define MSR_X2APIC_LVTT	      0x832
#define MSR_X2APIC_TMICT      0x838
#define MSR_X2APIC_TMCCT      0x839
#define APIC_DISABLED	      0xfee00100 /* of the first vCPU */
#define APIC_XAPIC	      0xfee00900
#define ICR_INIT	      0x4500
#define LVTT_DEADLINE	      (2U << 17)
#define LVTT_MASKED	      (1U << 16)
#define TIMER_VECTOR	      0x20
#define KVM_FEATURES	      0x40000001
#define TRACING		      "/sys/kernel/tracing/"
#define CASE_SECONDS	      20
#define SVM_EXIT_INTR	      0x60
#define POISON		      0x5a5a5a5a5a5a5a5aULL

struct test_case {
	const char *name; /* NULL: the end of a table */
	void (*run)(bool lazy);
	enum { ALWAYS, OFFERED, ABSENT, NESTED } when;
};

/* By topic, each in its file. */
extern const struct test_case enable_cases[], timer_cases[], tsc_cases[], restore_cases[],
	page_cases[], vcpus_cases[];

/* With a vCPU of it. */
struct vm {
	int fd, vcpu, stats;
	struct kvm_run *run;
	char *ram;
	struct lazytsc_area *page; /* the memslot that the areas are in */
	struct lazytsc_area *area; /* the vCPU's */
	/* its armed while the vCPU is in user space; not 0: the host shall not write */
	u64 at_rest;
	volatile struct shared *shared;
	u64 ms; /* one millisecond in TSC cycles */
};

extern int kvm;
extern struct kvm_cpuid2 *supported; /* by this KVM */
extern bool offered, svm; /* the feature; nested guests */
extern const char *case_name;
extern bool case_failed;

#define CHECK(cond, format, ...)                                                            \
	do {                                                                                \
		if (!(cond)) {                                                              \
			case_failed = true;                                                 \
			fprintf(stderr, "selftest: %s: %s:%d: %s: " format "\n", case_name, \
				__FILE__, __LINE__, #cond, ##__VA_ARGS__);                  \
		}                                                                           \
	} while (0)

int xioctl(int fd, unsigned long request, void *arg, const char *name);
#define IOCTL(fd, request, arg) xioctl(fd, request, (void *)(unsigned long)(arg), #request)

__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);
u64 get_msr(struct vm *vm, u32 index);
bool try_set_msr(struct vm *vm, u32 index, u64 value);
void set_msr(struct vm *vm, u32 index, u64 value);

/* A KVM binary statistic of the vCPU. Returns whether this kernel has it. */
bool find_stat(struct vm *vm, const char *name, u64 *value);

/* 0 where this kernel does not have it. */
u64 vcpu_stat(struct vm *vm, const char *name);
void *map(size_t size);
void set_slot(struct vm *vm, u32 slot, u64 gpa, void *memory, u64 size);
void set_slot_flags(struct vm *vm, u32 slot, u64 gpa, void *memory, u64 size, u32 flags);

/* The first GiB one to one in 2 MiB pages, flat segments, the vCPU's stack, the guest's entry. */
void set_registers(struct vm *vm);

/* The bit is set where KVM does not offer it, too. */
bool try_set_cpuid(struct vm *vm, bool lazy);
void set_cpuid(struct vm *vm, bool lazy);

/* A vCPU as it is when it is created, without CPUID and registers. */
void add_bare_vcpu(struct vm *vm, int id);
struct vm create_without_vcpu(void);

/* A VM whose guest has not run yet. */
struct vm create(bool lazy);
void destroy_vcpu(struct vm *vm);

/* Tells of interrupts that the machine delivered twice; before the VM is copied or destroyed. */
void tell_repeated(struct vm *vm);
void destroy(struct vm *vm);
void run(struct vm *vm);
u64 guest_args(struct vm *vm, enum command command, const u64 *args);
/* guest(vm, command, argument...): result[0] */
#define guest(vm, command, ...) guest_args(vm, command, (const u64[8]){ __VA_ARGS__ })
void enable(struct vm *vm);
void start_guest(struct vm *vm, bool lazy);

/* Up and running, its area given to the host when @lazy. */
struct vm start(bool lazy);

/* One more vCPU of @first. */
struct vm start_second(const struct vm *first, bool lazy);

/* To the guest's next OUT, whatever signals come. */
void *run_vcpu(void *arg);

/* Run the command in a thread, and wait until the guest says that it is so far. */
pthread_t guest_in_thread(struct vm *vm, enum command command, const u64 *args,
			  void *(*function)(void *));
void wait_ms(struct vm *vm, u64 ms);
u64 guest_wrmsr(struct vm *vm, u32 msr, u64 value);
u64 guest_rdmsr(struct vm *vm, u32 msr);

/* One interrupt in all, no earlier than @t, and nothing left. */
void check_fired(struct vm *vm, u64 t);
void check_silent(struct vm *vm, const char *when);

/* t0..t3, t0 the earliest: one write, one silent expiry, one interrupt, and that at t3. */
void check_example(struct vm *vm, bool lazy);

#endif
