// SPDX-License-Identifier: BSD-2-Clause
#include <stddef.h>
#include <string.h>

#include <lazytsc/sim/variant.h>

static const struct lazytsc_variant *const variants[] = {
	&lazytsc_variant_stock,	 &lazytsc_variant_lazy,	     &lazytsc_variant_rfc_v1,
	&lazytsc_variant_rfc_v3, &lazytsc_variant_rfc_v3_sw,
};

const struct lazytsc_variant *lazytsc_variant_at(unsigned int i)
{
	return i < sizeof(variants) / sizeof(variants[0]) ? variants[i] : NULL;
}

const struct lazytsc_variant *lazytsc_variant_find(const char *name)
{
	const struct lazytsc_variant *v;

	for (unsigned int i = 0; (v = lazytsc_variant_at(i)); i++) {
		if (!strcmp(v->name, name))
			return v;
	}
	return NULL;
}
