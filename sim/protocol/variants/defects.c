// SPDX-License-Identifier: BSD-2-Clause
#include <stddef.h>
#include <string.h>

#include <lazytsc/sim/defect.h>

static const struct lazytsc_defect *find(const struct lazytsc_defect *list, const char *name)
{
	for (; list->name; list++)
		if (!strcmp(list->name, name))
			return list;
	return NULL;
}

const struct lazytsc_defect *lazytsc_defect_find(const char *name)
{
	const struct lazytsc_defect *d = find(lazytsc_defects, name);

	return d ? d : find(lazytsc_mutants, name);
}
