#include "select.h"
#include <stdlib.h>

status select_list(struct logger *log, struct gpu_physical **list, uint32_t *count)
{
    struct gpu_info *infos;
    *list = NULL;
    status result = gpu_list(log, &infos, count);
    if (result != STATUS_OK) {
        return result;
    }
    *list = calloc((size_t)*count + 1, sizeof(**list));
    for (uint32_t i = 0; *list && i < *count; i++) {
        (*list)[i].info = infos[i];
    }
    free(infos);
    return *list ? STATUS_OK : fail(log, STATUS_OUT_OF_HOST_MEMORY, "no memory for devices");
}
