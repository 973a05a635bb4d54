/* The first call where compiled pipelines are there already: what the next process will see. */
#include "bench_encoder.h"
#include "bench_run.h"
#include "gpu/cache.h"
#include "ops/choices.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- pipelines in memory, as a cache's file has them ---- */

static int save(void *user, const char *key, const void *data, size_t size)
{
    struct warm_store *store = user;
    char *bytes = realloc(store->bytes, size);
    (void)key; /* of one device */
    if (!bytes) {
        return 0;
    }
    memcpy(bytes, data, size);
    store->bytes = bytes;
    store->size = size;
    return 1;
}

static int load(void *user, const char *key, void *data, size_t *size)
{
    const struct warm_store *store = user;
    size_t room = data ? *size : 0;
    (void)key;
    *size = store->size;
    if (data) {
        *size = size_min(room, store->size);
        memcpy(data, store->bytes, *size);
    }
    return store->size > 0;
}

struct gpu_store warm_saves(struct warm_store *store)
{
    return (struct gpu_store){.save = save, .user = store};
}

void warm_finish(struct warm_store *store)
{
    free(store->bytes);
    *store = (struct warm_store){0};
}

/* ---- the call ---- */

static status first_call(struct bench_run *run, struct gpu_device *device,
                         const struct work_spec *spec, double *ms)
{
    struct work *work;
    double device_ms, host_ms;
    status result = work_create(device, &run->numbers, spec, &work);
    if (result == STATUS_OK) {
        result = work_prepare(work, 1);
    }
    if (result == STATUS_OK) {
        result = work_run(work, 0, &device_ms, &host_ms);
    }
    if (result == STATUS_OK) {
        *ms = work->sets[0].plan_ms + host_ms;
    }
    work_destroy(work);
    return result;
}

status bench_first_warm(struct bench_run *run, const struct work_spec *spec, double *ms)
{
    char select[16];
    const struct gpu_device_params params = {.select = select,
                                             .limits = run->options->common.limits,
                                             .store = {.load = load, .user = &run->warm}};
    struct work_spec own = *spec; /* with weights on the device that it runs on */
    struct bench_model *model = NULL;
    struct gpu_device *device;
    snprintf(select, sizeof(select), "%" PRIu32, run->device->info.index);
    gpu_pipelines_keep(run->device);
    status result = gpu_device_create(&run->log, &params, &device);
    if (result != STATUS_OK) {
        return result;
    }
    if (!op_choices_use(device, run->device->choices)) { /* the kernels of the row */
        result = STATUS_OUT_OF_HOST_MEMORY;
    }
    if (result == STATUS_OK && spec->model) {
        result = bench_model_load(&run->log, device, bench_model_folder(run), spec->type, &model);
        own.model = model;
    }
    if (result == STATUS_OK) {
        result = first_call(run, device, &own, ms);
    }
    bench_model_destroy(model);
    gpu_device_destroy(device);
    return result;
}
