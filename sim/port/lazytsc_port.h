/* SPDX-License-Identifier: BSD-2-Clause */
/* The core's port to the simulator. */
#include "../../core/ports/c11/lazytsc_port.h"
