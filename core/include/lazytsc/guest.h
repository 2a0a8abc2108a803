/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guest's side: write down the wanted deadline, and find out whether the host must be told.
 *
 * How to use it. Every path that programs the TSC deadline (B23: set_next_event, shutdown,
 * oneshot_stopped, any inlined variant) asks here first and writes the MSR only when told to:
 *
 *	if (lazytsc_guest_set(g, t)) {
 *		wrmsr(MSR_IA32_TSC_DEADLINE, t);
 *		if (lazytsc_guest_wrote(g, t))
 *			read LAZYTSC_MSR, see lazytsc_guest_wrote()
 *	}
 *
 * There is one struct lazytsc_guest for each vCPU. Only that vCPU touches it, with interrupts off
 * from the call to the end of the WRMSR that the call may ask for. These functions synchronise with
 * the host; see the table in <lazytsc/host.h> and docs/protocol.md.
 */
#ifndef LAZYTSC_GUEST_H
#define LAZYTSC_GUEST_H

#include <lazytsc/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The number of trapped sets in a row after which a guest that finds nothing armed reads
 * LAZYTSC_MSR (B27). A host that takes its promise back for a moment only (a memslot changes, the
 * TSC is set) promises again before that. Each read that does not help doubles the number, up to
 * the maximum: a host that never promises anything then costs one exit in 65536.
 */
#define LAZYTSC_GUEST_PATIENCE	   8
#define LAZYTSC_GUEST_PATIENCE_MAX 65536

struct lazytsc_guest {
	struct lazytsc_area *area; /* NULL: disabled, every call asks for the MSR write */
	u64 word; /* what LAZYTSC_MSR was given */
	u64 grace; /* a promise this much overdue is void (B28); TSC cycles */
	u32 misses; /* trapped sets ahead, in a row, that left nothing armed */
	u32 patience; /* the number of misses at which the guest reads LAZYTSC_MSR */
	u64 writes; /* sets and disarms that asked for the MSR write: one VM exit each */
	u64 skips; /* sets and disarms that did not exit; only the guest can count these */
	u64 overdue; /* of the writes: those because the promise was overdue */
};

/**
 * lazytsc_guest_enable() - start to use the lazy deadline
 * @g:    this vCPU's guest side
 * @area: its shared area, zeroed here; kept until lazytsc_guest_disable()
 * @gpa:  the area's guest physical address, aligned to LAZYTSC_AREA_SIZE
 * @grace: how late the host may keep a promise before the guest takes it for void, TSC cycles; ~0:
 *         never void. Pass one millisecond's worth; docs/protocol.md says why ("An overdue promise
 *         is void").
 *
 * Context: this vCPU, interrupts off, CPUID bit LAZYTSC_CPUID_BIT seen. A deadline that is already
 * programmed stays as it is (the host keeps it as a plain timer).
 *
 * Return: the word that the caller now writes to LAZYTSC_MSR.
 * Source: RFC; requirements B1, B11.
 */
u64 lazytsc_guest_enable(struct lazytsc_guest *g, struct lazytsc_area *area, u64 gpa, u64 grace);

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
 * The TSC is read only if @t lies beyond the promise by more than the grace.
 *
 * Return: true when the caller must write @t to MSR_IA32_TSC_DEADLINE, false for a skip.
 * Source: SDM vol. 3A, "TSC-Deadline Mode"; requirements B2, B3, B28.
 */
bool lazytsc_guest_set(struct lazytsc_guest *g, u64 t);

/**
 * lazytsc_guest_wrote() - the MSR write that lazytsc_guest_set() asked for has returned
 * @g: this vCPU's guest side
 * @t: the deadline written
 *
 * After the write of a deadline that lies ahead, the host leaves a promise in the area. A guest
 * that keeps finding none was restored by a VMM that does not know LAZYTSC_MSR, or runs on a host
 * that cannot reach its area. Context: as lazytsc_guest_set(), on the same CPU.
 *
 * Return: true, seldom, when the caller must now read LAZYTSC_MSR and pass the value to
 * lazytsc_guest_found(). If the read faults, the host does not know the feature any more, and the
 * caller calls lazytsc_guest_disable().
 * Source: requirement B27.
 */
bool lazytsc_guest_wrote(struct lazytsc_guest *g, u64 t);

/**
 * lazytsc_guest_found() - tell what LAZYTSC_MSR holds, when lazytsc_guest_wrote() has asked for it
 * @g:    this vCPU's guest side
 * @word: the value read
 *
 * The area stays as it is: the deadline that it holds becomes a lazy one with the write. Context:
 * as lazytsc_guest_set().
 *
 * Return: the word that the caller now writes to LAZYTSC_MSR; if the host refuses it, the caller
 * calls lazytsc_guest_disable(). Or 0, if the MSR holds this word already: write nothing.
 * Source: requirement B27.
 */
u64 lazytsc_guest_found(const struct lazytsc_guest *g, u64 word);

/**
 * lazytsc_guest_disarm() - want no deadline any more
 * @g: this vCPU's guest side
 *
 * An overdue promise does not matter here: nothing is wanted that could be lost.
 * Context: as lazytsc_guest_set().
 *
 * Return: true when the caller must write 0 to MSR_IA32_TSC_DEADLINE, false for a skip.
 * Source: SDM vol. 3A, "TSC-Deadline Mode"; requirement A4.
 */
bool lazytsc_guest_disarm(struct lazytsc_guest *g);

#ifdef __cplusplus
}
#endif

#endif
