/* Which devices a benchmark runs on. */
#include "bench_run.h"
#include "select.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Appends a device by its index, once. */
static status add(struct bench_run *run, struct bench_selectors *selectors, uint32_t index)
{
    char text[16];
    snprintf(text, sizeof(text), "%" PRIu32, index);
    for (uint32_t i = 0; i < selectors->count; i++) {
        if (!strcmp(selectors->items[i], text)) {
            return STATUS_OK;
        }
    }
    if (selectors->count == LIST_MAX) {
        return STATUS_OK;
    }
    const char *kept = arena_strdup(&run->arena, text);
    if (!kept) {
        return fail(&run->log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for devices");
    }
    selectors->items[selectors->count++] = kept;
    return STATUS_OK;
}

static status add_named(struct bench_run *run, const struct gpu_physical *list, uint32_t count,
                        const char *text, struct bench_selectors *selectors)
{
    const struct gpu_physical *device = gpu_select(list, count, text);
    return device ? add(run, selectors, device->info.index)
                  : gpu_select_fail(&run->log, list, count, text);
}

/* The whole text may be a name, which may hold commas; else it is a list. */
static status add_list(struct bench_run *run, const struct gpu_physical *list, uint32_t count,
                       const char *text, struct bench_selectors *selectors)
{
    if (gpu_select(list, count, text)) {
        return add_named(run, list, count, text, selectors);
    }
    status result = STATUS_OK;
    char *copy = arena_strdup(&run->arena, text), *rest = NULL;
    for (char *item = copy ? strtok_r(copy, ",", &rest) : NULL; item && result == STATUS_OK;
         item = strtok_r(NULL, ",", &rest)) {
        result = add_named(run, list, count, item, selectors);
    }
    return result != STATUS_OK || selectors->count
               ? result
               : fail(&run->log, STATUS_INVALID_ARGUMENT, "bench: --device '%s' names no device",
                      text);
}

status bench_select(struct bench_run *run, struct bench_selectors *selectors)
{
    const char *text = run->options->common.device;
    struct gpu_physical *list;
    uint32_t count;
    if (!text) {
        selectors->count = 1;
        return STATUS_OK;
    }
    status result = select_list(&run->log, &list, &count);
    if (result == STATUS_OK && (count == 0 || strcmp(text, "all") != 0)) {
        result = add_list(run, list, count, text, selectors);
    } else if (result == STATUS_OK) {
        for (uint32_t i = 0; i < count && result == STATUS_OK; i++) {
            result = add(run, selectors, list[i].info.index);
        }
    }
    free(list);
    return result;
}
