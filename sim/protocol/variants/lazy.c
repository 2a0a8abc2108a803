// SPDX-License-Identifier: BSD-2-Clause
#include <lazytsc/sim/variant.h>

const struct lazytsc_variant lazytsc_variant_lazy = {
	.name = "lazy", .summary = "the project's protocol, without guesses", LAZYTSC_VARIANT_CORE
};
