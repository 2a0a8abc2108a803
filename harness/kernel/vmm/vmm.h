/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual machine monitor, just large enough to boot Linux on KVM and to measure it.
 *
 *   vmm.c       command line, vCPU threads
 *   device.c    what the guest reaches: the doorbell, and the console's ports
 *   state.c     create a VM, save all of its state, restore it into a new one
 *   machine.c   memory, loading, boot parameters, MP table, CPUID
 *   uart.c      an 8250 for the console
 *   count.c     KVM's binary statistics and the histograms of its tracepoints
 *   die.c       one line, and the end
 *
 * A file calls only files below it.
 *
 * The guest drives it by stores to a 32-bit register (enum vmm_command): measure from here to
 * there, take this page of text, save and restore yourself.
 */
#ifndef LAZYTSC_KERNEL_VMM_H
#define LAZYTSC_KERNEL_VMM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <lazytsc/abi.h> /* LAZYTSC_MSR and its feature bit */

#include "doorbell.h"

#define VMM_MAX_CPUS  4
#define VMM_MAX_MSRS  512
#define VMM_MAX_CPUID 128

struct uart {
	uint8_t ier, lcr, mcr, scr, dll, dlm;
	bool thr_empty_pending;
	bool line;
};

struct vcpu {
	struct vmm *vmm;
	int index;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	bool parked;
	bool vectoring; /* the last exit was a false vectoring */
	unsigned long long false_vectorings;
};

struct vmm_options {
	const char *kernel;
	const char *initrd;
	const char *append;
	const char *trace; /* file */
	int cpus;
	int mem_mb;
	int timeout; /* seconds, host time */
	bool lazy; /* offer the feature */
};

struct vmm {
	struct vmm_options opt;
	int kvm, fd;
	uint8_t *ram;
	size_t ram_size;
	uint64_t entry; /* of the kernel */
	struct vcpu vcpu[VMM_MAX_CPUS];
	struct kvm_cpuid2 *cpuid;
	struct kvm_msr_list *msr_list; /* what KVM says must be saved */
	struct uart uart;

	pthread_mutex_t lock; /* the devices and all that follows */
	pthread_cond_t cond;
	bool pause; /* vCPU threads: park */
	int request; /* a command that needs the vCPUs stopped; 0: none */
	uint32_t argument; /* its argument */
	bool done;
	int status; /* what the guest exited with */
	int restores, jumps;
	struct counts *counts;
	FILE *trace;
};

#endif
