// SPDX-License-Identifier: BSD-2-Clause
#include "check.h"

bool check_subject_find(struct check_subject *subject, const char *name)
{
	const struct lazytsc_variant *v = lazytsc_variant_find(name);
	const struct lazytsc_defect *d = v ? NULL : lazytsc_defect_find(name);

	subject->name = v ? v->name : d ? d->name : NULL;
	subject->variant = v ? v : d ? d->variant : NULL;
	subject->glue = d ? d->glue : LAZYTSC_GLUE_SOUND;
	return subject->name != NULL;
}
