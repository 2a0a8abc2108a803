/* SPDX-License-Identifier: BSD-2-Clause */
/* Opens a generated copy of the core: its functions get names of their own. No include guard. */
#define MUTANT_PASTE_(name, id) lazytsc_##name##_##id
#define MUTANT_PASTE(name, id)	MUTANT_PASTE_(name, id)
#define MUTANT(name)		MUTANT_PASTE(name, MUTANT_ID)

#define lazytsc_guest_enable   MUTANT(guest_enable)
#define lazytsc_guest_disable  MUTANT(guest_disable)
#define lazytsc_guest_set      MUTANT(guest_set)
#define lazytsc_guest_disarm   MUTANT(guest_disarm)
#define lazytsc_host_check_msr MUTANT(host_check_msr)
#define lazytsc_host_enable    MUTANT(host_enable)
#define lazytsc_host_write     MUTANT(host_write)
#define lazytsc_host_expire    MUTANT(host_expire)
#define lazytsc_host_delivered MUTANT(host_delivered)
#define lazytsc_host_withdraw  MUTANT(host_withdraw)
#define lazytsc_host_resume    MUTANT(host_resume)
#define lazytsc_host_cancel    MUTANT(host_cancel)
#define lazytsc_host_restore   MUTANT(host_restore)
#define lazytsc_host_deadline  MUTANT(host_deadline)

#include <lazytsc/sim/variant.h>
