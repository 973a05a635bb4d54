/* select: what --device names, where a command does more than open the device. */
#ifndef SELECT_H
#define SELECT_H

#include "gpu/instance.h"

/* The devices of the machine as gpu_select takes them, without handles; to be freed. */
status select_list(struct logger *log, struct gpu_physical **list, uint32_t *count);

#endif
