/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guest tells its VMM: a 32-bit store to the physical address VMM_DOORBELL, the command in
 * bits 7:0, the argument in bits 31:8. Not an I/O port: QEMU 7.2 refuses user space its ports after
 * a restore, because the TR that KVM restores is a busy TSS.
 */
#ifndef LAZYTSC_KERNEL_DOORBELL_H
#define LAZYTSC_KERNEL_DOORBELL_H

#define VMM_DOORBELL 0xd0000000u

enum vmm_command {
	VMM_START = 1, /* the measured part begins */
	VMM_STOP, /* it ends */
	VMM_RESTORE, /* save this VM and go on in a new one; argument: enum vmm_restore */
	VMM_REPORT, /* argument: number of a page of text for the report, up to its first NUL */
	VMM_TRACE, /* the same for the trace file */
	VMM_EXIT /* argument: exit status, 0 is good */
};

/* In which order the two timer MSRs are restored. */
enum vmm_restore {
	VMM_RESTORE_DEADLINE_FIRST,
	VMM_RESTORE_DEADLINE_LAST,
	VMM_RESTORE_UNAWARE, /* a VMM that has never heard of the PV MSR */
	VMM_RESTORES
};

#endif
