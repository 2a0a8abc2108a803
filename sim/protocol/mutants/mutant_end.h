/* SPDX-License-Identifier: BSD-2-Clause */
/* Closes a generated copy of the core: the variant that it is. */
extern const struct lazytsc_variant MUTANT(mutant);

const struct lazytsc_variant MUTANT(mutant) = {
	.name = MUTANT_NAME,
	.summary = MUTANT_SUMMARY,
	.guest_enable = lazytsc_guest_enable,
	.guest_disable = lazytsc_guest_disable,
	.guest_set = lazytsc_guest_set,
	.guest_disarm = lazytsc_guest_disarm,
	.host_check_msr = lazytsc_host_check_msr,
	.host_enable = lazytsc_host_enable,
	.host_write = lazytsc_host_write,
	.host_expire = lazytsc_host_expire,
	.host_delivered = lazytsc_host_delivered,
	.host_withdraw = lazytsc_host_withdraw,
	.host_resume = lazytsc_host_resume,
	.host_cancel = lazytsc_host_cancel,
	.host_restore = lazytsc_host_restore,
	.host_deadline = lazytsc_host_deadline,
};
