#include "context.h"
#include "base/system.h"
#include "gpu/store.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static_assert(ADAMRA_OK == (int)STATUS_OK, "status");
static_assert(ADAMRA_INVALID_ARGUMENT == (int)STATUS_INVALID_ARGUMENT, "status");
static_assert(ADAMRA_BAD_INPUT == (int)STATUS_BAD_INPUT, "status");
static_assert(ADAMRA_IO == (int)STATUS_IO, "status");
static_assert(ADAMRA_OUT_OF_HOST_MEMORY == (int)STATUS_OUT_OF_HOST_MEMORY, "status");
static_assert(ADAMRA_OUT_OF_DEVICE_MEMORY == (int)STATUS_OUT_OF_DEVICE_MEMORY, "status");
static_assert(ADAMRA_NO_DEVICE == (int)STATUS_NO_DEVICE, "status");
static_assert(ADAMRA_DEVICE_LOST == (int)STATUS_DEVICE_LOST, "status");
static_assert(ADAMRA_UNSUPPORTED == (int)STATUS_UNSUPPORTED, "status");
static_assert(ADAMRA_DRIVER == (int)STATUS_DRIVER, "status");
static_assert(ADAMRA_CANCELLED == (int)STATUS_CANCELLED, "status");
static_assert(ADAMRA_CANCELLED + 1 == (int)STATUS_COUNT, "status");

static_assert(ADAMRA_LOG_ERROR == (int)LOG_ERROR, "log level");
static_assert(ADAMRA_LOG_WARNING == (int)LOG_WARNING, "log level");
static_assert(ADAMRA_LOG_INFO == (int)LOG_INFO, "log level");
static_assert(ADAMRA_LOG_DEBUG == (int)LOG_DEBUG, "log level");

static_assert(ADAMRA_DEVICE_DISCRETE == (int)GPU_DISCRETE, "device type");
static_assert(ADAMRA_DEVICE_INTEGRATED == (int)GPU_INTEGRATED, "device type");
static_assert(ADAMRA_DEVICE_VIRTUAL == (int)GPU_VIRTUAL, "device type");
static_assert(ADAMRA_DEVICE_CPU == (int)GPU_CPU, "device type");
static_assert(ADAMRA_DEVICE_OTHER == (int)GPU_OTHER, "device type");

const char *adamra_status_text(adamra_status code)
{
    return status_text((status)code);
}

const char *adamra_version(void)
{
    return ADAMRA_VERSION;
}

double context_clock_ms(void)
{
    return system_clock_ms();
}

/* Passes a line of the engine's log on to the caller's function. */
static void write_log(void *user, enum log_level level, const char *text)
{
    const struct adamra_context *context = user;
    bool held = context->failures_held && text == context->log.error; /* else of validation */
    if (context->write && !held)
        context->write(context->user, (adamra_log_level)level, text);
}

static void set_log(struct adamra_context *context, adamra_log_fn log, void *user)
{
    context->write = log;
    context->user = user;
    context->log = (struct logger){.write = write_log, .user = context};
}

/* ---- devices ---- */

static void describe(const struct gpu_info *from, adamra_device_info *to)
{
    const struct gpu_limits *limits = &from->limits;
    const struct gpu_features *features = &from->features;
    *to = (adamra_device_info){
        .index = from->index,
        .type = (adamra_device_type)from->type,
        .api_version = {VK_API_VERSION_MAJOR(from->api_version),
                        VK_API_VERSION_MINOR(from->api_version),
                        VK_API_VERSION_PATCH(from->api_version)},
        .memory_bytes = from->memory_bytes,
        .subgroup_size = features->subgroup_size,
        .max_storage_range = limits->storage_range,
        .max_texel_elements = limits->texel_elements,
        .max_allocation_bytes = limits->allocation_bytes,
        .max_groups = {limits->groups[0], limits->groups[1], limits->groups[2]},
        .max_group_invocations = limits->group_invocations,
        .max_shared_bytes = limits->shared_bytes,
        .max_push_bytes = limits->push_bytes,
        .import_alignment = features->host_import ? limits->host_import : 0,
        .subgroup_shuffle = features->subgroup_shuffle,
        .texel_buffers = features->texel_f32,
        .storage_16bit = features->storage16,
        .float16 = features->float16,
        .cooperative_matrix = features->cooperative_matrix,
        .unified_memory = features->unified,
        .timestamps = features->timestamps,
    };
    snprintf(to->name, sizeof(to->name), "%s", from->name);
    snprintf(to->uuid, sizeof(to->uuid), "%s", from->uuid_text);
    snprintf(to->driver, sizeof(to->driver), "%s", from->driver);
    snprintf(to->driver_version, sizeof(to->driver_version), "%s", from->driver_version);
}

adamra_status adamra_devices(adamra_device_info *infos, uint32_t *count, adamra_log_fn log,
                             void *user)
{
    struct adamra_context listing = {0}; /* for its logger only */
    set_log(&listing, log, user);
    if (!count)
        return context_fail_null(&listing, "count");

    struct gpu_info *found = NULL;
    uint32_t found_count = 0;
    status result = gpu_list(&listing.log, &found, &found_count);
    if (result)
        return context_status(result);
    if (infos)
        for (uint32_t i = 0; i < found_count && i < *count; i++)
            describe(&found[i], &infos[i]);
    *count = found_count;
    free(found);
    return ADAMRA_OK;
}

/* ---- context ---- */

/* The caller's functions, else files. */
static struct gpu_store open_store(struct adamra_context *context, const adamra_cache *cache)
{
    if (cache && (cache->load || cache->save))
        return (struct gpu_store){.load = cache->load, .save = cache->save, .user = cache->user};
    gpu_store_init(cache ? cache->folder : NULL, &context->files);
    return context->files;
}

static status open_device(struct adamra_context *context, const adamra_context_params *params)
{
    struct gpu_device_params device = {.select = params->device,
                                       .validate = params->validate != 0,
                                       .store = open_store(context, params->cache),
                                       .max_memory = params->max_device_memory,
                                       .max_submit_ms = params->max_submit_ms,
                                       .compile_threads = params->compile_threads,
                                       .progress = params->progress,
                                       .user = params->user,
                                       .limits = params->limits};
    struct gpu_external external;
    if (isnan(params->max_submit_ms))
        return fail(&context->log, STATUS_INVALID_ARGUMENT,
                    "max_submit_ms: expected a number, got NaN");
    if (params->vulkan)
        vulkan_adopt(params->vulkan, &external, &device);
    return gpu_device_create(&context->log, &device, &context->device);
}

adamra_status adamra_context_create(const adamra_context_params *params, adamra_context **out)
{
    static const adamra_context_params defaults;
    if (!params)
        params = &defaults;
    if (!out) {
        struct adamra_context none = {0}; /* for its logger only */
        set_log(&none, params->log, params->user);
        return context_fail_null(&none, "out");
    }
    *out = NULL;
    struct adamra_context *context = calloc(1, sizeof(*context));
    if (!context) {
        struct adamra_context none = {0}; /* for its logger only */
        set_log(&none, params->log, params->user);
        return context_status(
            fail(&none.log, STATUS_OUT_OF_HOST_MEMORY, "no memory for a context"));
    }
    set_log(context, params->log, params->user);

    status result = open_device(context, params);
    if (result) {
        gpu_store_finish(&context->files);
        free(context);
        return context_status(result);
    }
    context->no_tune = params->no_tune != 0;
    context->limited = params->limits != NULL;
    if (!context->no_tune)
        tune_open(context);
    *out = context;
    return ADAMRA_OK;
}

void adamra_context_destroy(adamra_context *context)
{
    if (!context)
        return;
    gpu_device_destroy(context->device);
    gpu_store_finish(&context->files);
    free(context);
}

adamra_status adamra_context_device(const adamra_context *context, adamra_device_info *info)
{
    if (!context)
        return ADAMRA_INVALID_ARGUMENT;
    if (!info) /* contexts are made as what can be written */
        return context_fail_null((struct adamra_context *)context, "info");
    struct gpu_info used = context->device->info;
    used.limits = context->device->limits;
    used.features = context->device->features;
    describe(&used, info);
    info->tuned = context->tuned;
    return ADAMRA_OK;
}

const char *adamra_error(const adamra_context *context)
{
    return context ? context->log.error : "";
}

void adamra_cancel(adamra_context *context)
{
    if (context)
        gpu_cancel(context->device);
}

uint32_t adamra_validation_errors(const adamra_context *context)
{
    return context ? context->device->validation_errors : 0;
}

status context_enter(struct adamra_context *context)
{
    if (context->running)
        return fail(&context->log, STATUS_INVALID_ARGUMENT,
                    "a run in a callback of the context's; expected adamra_cancel at most");
    context->running = true;
    return STATUS_OK;
}

void context_leave(struct adamra_context *context)
{
    context->running = false;
}

adamra_status context_fail_null(struct adamra_context *context, const char *name)
{
    return context_status(
        fail(&context->log, STATUS_INVALID_ARGUMENT, "%s: expected a pointer, got NULL", name));
}

void adamra_context_force(adamra_context *context, const char *name)
{
    context->candidate = name;
}
