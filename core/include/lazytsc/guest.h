/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's side: write down the wanted deadline, and find out whether the host must be told.
 *
 * How to use it. Every path that programs the TSC deadline (B23: set_next_event, shutdown,
 * oneshot_stopped, any inlined variant) asks here first and writes the MSR only when told to:
 *
 *	if (lazytsc_guest_set(g, t))
 *		wrmsr(MSR_IA32_TSC_DEADLINE, t);
 *
 * One struct lazytsc_guest for each vCPU, touched by that vCPU alone, with interrupts off from the
 * call to the end of the WRMSR that it may ask for. Synchronisation with the host is in here; see
 * the table in <lazytsc/abi.h> and docs/protocol.md.
 */
#ifndef LAZYTSC_GUEST_H
#define LAZYTSC_GUEST_H

#include <lazytsc/abi.h>

struct lazytsc_guest {
	struct lazytsc_area *area; /* NULL: disabled, every call asks for the MSR write */
	u64 writes; /* sets and disarms that asked for the MSR write: one VM exit each */
	u64 skips; /* sets and disarms that did not exit; only the guest can count these */
};

/**
 * lazytsc_guest_enable() - start to use the lazy deadline
 * @g:    this vCPU's guest side
 * @area: its shared area, zeroed here; kept until lazytsc_guest_disable()
 * @gpa:  the area's guest physical address, aligned to LAZYTSC_AREA_SIZE
 *
 * Context: this vCPU, interrupts off, CPUID bit LAZYTSC_CPUID_BIT seen. A deadline that is already
 * programmed stays as it is (the host keeps it as a plain timer).
 *
 * Return: the word that the caller now writes to LAZYTSC_MSR.
 * Source: RFC; requirements B1, B11.
 */
u64 lazytsc_guest_enable(struct lazytsc_guest *g, struct lazytsc_area *area, u64 gpa);

/**
 * lazytsc_guest_disable() - stop using it: CPU offline, suspend, kexec, crash (B16)
 * @g: this vCPU's guest side
 *
 * Context: this vCPU, interrupts off. The area may be reused once the MSR write has returned. The
 * wanted deadline is kept by the host, as a plain timer.
 *
 * Return: the word that the caller now writes to LAZYTSC_MSR (always 0).
 */
u64 lazytsc_guest_disable(struct lazytsc_guest *g);

/**
 * lazytsc_guest_set() - program a deadline
 * @g: this vCPU's guest side
 * @t: the deadline, guest TSC; not 0 (that is lazytsc_guest_disarm())
 *
 * Context: this vCPU, interrupts off until the WRMSR, if any, is done.
 *
 * Return: true when the caller must write @t to MSR_IA32_TSC_DEADLINE, false for a skip.
 * Source: SDM vol. 3A, "TSC-Deadline Mode"; requirements B2, B3.
 */
bool lazytsc_guest_set(struct lazytsc_guest *g, u64 t);

/**
 * lazytsc_guest_disarm() - want no deadline any more
 * @g: this vCPU's guest side
 *
 * Context: as lazytsc_guest_set().
 *
 * Return: true when the caller must write 0 to MSR_IA32_TSC_DEADLINE, false for a skip.
 * Source: SDM vol. 3A, "TSC-Deadline Mode"; requirement A4.
 */
bool lazytsc_guest_disarm(struct lazytsc_guest *g);

#endif
