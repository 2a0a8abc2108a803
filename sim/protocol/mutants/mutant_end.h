/* SPDX-License-Identifier: BSD-2-Clause */
/* Closes a generated copy of the core: the variant that it is. No include guard. */
extern const struct lazytsc_variant MUTANT(mutant);

const struct lazytsc_variant MUTANT(mutant) = {
	.name = MUTANT_NAME,
	.summary = MUTANT_SUMMARY,
#define X(name) .name = MUTANT(name),
	LAZYTSC_VARIANT_FUNCTIONS(X)
#undef X
};
