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
	VMM_RESTORE, /* save this VM and go on in a new one; argument: see VMM_RESTORES */
	/* move every vCPU's TSC by so many ns; argument: VMM_JUMP_ZERO + ns / VMM_JUMP_UNIT */
	VMM_JUMP,
	VMM_REPORT, /* argument: number of a page of text for the report, up to its first NUL */
	VMM_TRACE, /* the same for the trace file */
	VMM_EXIT /* argument: exit status, 0 is good, up to 255 */
};

/*
 * Which restore: the order of LAPIC, TSC, TSC_DEADLINE and LAZYTSC_MSR, and what is left out. A
 * vCPU whose guest has not given its area loses its deadline in most of them, as it does without
 * the feature (docs/kernel.md): it is restored in the order that KVM wants.
 */
enum vmm_left_out {
	VMM_ALL,
	VMM_NO_DEADLINE,
	VMM_ZERO_DEADLINE, /* saved as 0 */
	VMM_UNAWARE, /* no LAZYTSC_MSR; in the order that KVM wants */
	VMM_LEFT_OUTS
};

#define VMM_ORDERS   24
#define VMM_RESTORES (VMM_ORDERS * VMM_LEFT_OUTS) /* the argument: order + VMM_ORDERS * left out */

#define VMM_JUMP_UNIT 1000
#define VMM_JUMP_ZERO (1 << 23)

#endif
