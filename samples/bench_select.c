/* Which devices a benchmark runs on. */
#include "bench_run.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static status select_all(struct bench_run *run, struct bench_selectors *selectors)
{
    struct gpu_info *infos;
    uint32_t count;
    status result = gpu_list(&run->log, &infos, &count);
    for (uint32_t i = 0; i < count && i < LIST_MAX && result == STATUS_OK; i++) {
        char index[16];
        snprintf(index, sizeof(index), "%" PRIu32, infos[i].index);
        const char *kept = arena_strdup(&run->arena, index);
        if (!kept) {
            result = fail(&run->log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for devices");
            break;
        }
        selectors->items[selectors->count++] = kept;
    }
    if (result == STATUS_OK && count == 0) {
        result = fail(&run->log, STATUS_NO_DEVICE, "bench: no Vulkan device");
    }
    free(infos);
    return result;
}

status bench_select(struct bench_run *run, struct bench_selectors *selectors)
{
    const char *text = run->options->common.device;
    if (!text) {
        selectors->count = 1;
        return STATUS_OK;
    }
    if (strcmp(text, "all") == 0) {
        return select_all(run, selectors);
    }
    char *copy = arena_strdup(&run->arena, text), *rest = NULL;
    for (char *item = copy ? strtok_r(copy, ",", &rest) : NULL; item && selectors->count < LIST_MAX;
         item = strtok_r(NULL, ",", &rest)) {
        selectors->items[selectors->count++] = item;
    }
    return selectors->count ? STATUS_OK
                            : fail(&run->log, STATUS_INVALID_ARGUMENT,
                                   "bench: --device '%s' names no device", text);
}
