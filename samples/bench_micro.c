#include "bench_micro.h"
#include "bench_work.h"
#include <math.h>

#define COPY_BYTES  (UINT64_C(256) << 20) /* well beyond any cache */
#define COPY_LEAST  (UINT64_C(4) << 20)
#define LEAST_RUNS  2
#define RUNS        6
#define ENOUGH_MS   100.0 /* of runs of one kind */
#define LEAST_MS    5.0   /* of a run of multiply-adds */
#define MOST_MS     40.0
#define BETTER      1.03 /* times the rate: what makes a longer run worth it */
#define MOST_ROUNDS (1U << 20)

/* ---- runs ---- */

/* Ends, runs and destroys the commands; *best_ms is the fastest run's time. */
static status time_commands(struct gpu_commands *commands, status result, double *best_ms)
{
    *best_ms = INFINITY;
    if (result == STATUS_OK) {
        result = gpu_commands_end(commands);
    }
    double begin = bench_clock_ms();
    for (uint32_t i = 0; i < RUNS && result == STATUS_OK; i++) {
        double start = bench_clock_ms(), device_ms;
        if (i >= LEAST_RUNS && start - begin > ENOUGH_MS) {
            break;
        }
        result = gpu_commands_run(commands, &device_ms);
        double host_ms = bench_clock_ms() - start;
        *best_ms = fmin(*best_ms, device_ms > 0 ? device_ms : host_ms);
    }
    gpu_commands_destroy(commands);
    return result;
}

/* How kernels are cut into workgroups. On a CPU device one is best a subgroup, whose lanes are
 * those of the SIMD unit, and has much to do. */
struct cut {
    uint32_t group, copy_steps, mad_items;
};

static struct cut device_cut(const struct gpu_device *device)
{
    return device->info.type == GPU_CPU ? (struct cut){device->features.subgroup_size, 64, 512}
                                        : (struct cut){128, 1, 8192};
}

/* ---- copies ---- */

struct copy {
    struct gpu_device *device;
    struct gpu_buffer *source, *target;
    uint64_t bytes;
};

static status record_driver_copy(const struct copy *copy, struct gpu_commands *commands)
{
    return gpu_commands_copy(commands, copy->source, 0, copy->target, 0, copy->bytes);
}

/* Items lie one after the other in both buffers. */
static void copy_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                      uint64_t end_item, uint64_t *begin, uint64_t *end)
{
    uint64_t item = *(const uint64_t *)dispatch->span_data;
    (void)index;
    *begin = first * item;
    *end = end_item * item;
}

static status record_kernel(const struct copy *copy, struct gpu_commands *commands,
                            enum gpu_shader shader)
{
    struct cut cut = device_cut(copy->device);
    const uint32_t constants[] = {[ID_GROUP] = cut.group, [ID_TILE] = cut.copy_steps};
    uint64_t item = (uint64_t)cut.group * cut.copy_steps * BENCH_COPY_QUADS * 16;
    struct bench_params params = {0};
    struct gpu_dispatch dispatch = {.label = "copy",
                                    .push = &params,
                                    .push_size = sizeof(params),
                                    .items = copy->bytes / item,
                                    .binding_count = 2,
                                    .span = copy_span,
                                    .span_data = &item};
    dispatch.bindings[BENCH_SOURCE] =
        (struct gpu_binding){.buffer = copy->source, .size = copy->bytes, .format = GPU_RGBA32F};
    dispatch.bindings[BENCH_TARGET] =
        (struct gpu_binding){.buffer = copy->target, .size = copy->bytes, .format = GPU_RGBA32F};
    status result = gpu_pipeline_get(copy->device, shader, constants, ARRAY_SIZE(constants),
                                     &dispatch.pipeline);
    return result ? result : gpu_commands_dispatch(commands, &dispatch);
}

static status record_storage_copy(const struct copy *copy, struct gpu_commands *commands)
{
    return record_kernel(copy, commands, SHADER_bench);
}

static status record_texel_copy(const struct copy *copy, struct gpu_commands *commands)
{
    return record_kernel(copy, commands, SHADER_bench_texel);
}

static status time_copies(const struct copy *copy, double *gbytes_per_s)
{
    status (*const ways[])(const struct copy *, struct gpu_commands *) = {
        record_driver_copy, record_storage_copy, record_texel_copy};
    for (uint32_t i = 0; i < ARRAY_SIZE(ways); i++) {
        struct gpu_commands *commands;
        double ms;
        if (ways[i] == record_texel_copy && !copy->device->features.texel_f32) {
            continue;
        }
        status result =
            gpu_commands_create(copy->device, &(struct gpu_commands_params){0}, &commands);
        if (result != STATUS_OK) {
            return result;
        }
        result = time_commands(commands, ways[i](copy, commands), &ms);
        if (result != STATUS_OK) {
            return result;
        }
        *gbytes_per_s = fmax(*gbytes_per_s, 2 * (double)copy->bytes / ms * 1e-6);
    }
    return STATUS_OK;
}

static status measure_copies(struct gpu_device *device, double *gbytes_per_s)
{
    uint64_t bytes = size_min(COPY_BYTES, device->info.memory_bytes / 8);
    bytes = size_max(COPY_LEAST,
                     size_min(bytes, device->limits.allocation_bytes) / COPY_LEAST * COPY_LEAST);
    struct copy copy = {.device = device, .bytes = bytes};
    struct gpu_commands *commands = NULL;
    double ms;
    status result = gpu_buffer_create(device, bytes, GPU_MEMORY_DEVICE, &copy.source);
    if (result == STATUS_OK) {
        result = gpu_buffer_create(device, bytes, GPU_MEMORY_DEVICE, &copy.target);
    }
    if (result == STATUS_OK) {
        result = gpu_commands_create(device, &(struct gpu_commands_params){0}, &commands);
    }
    if (result == STATUS_OK) {
        /* Pages that were never written may all be one. */
        result = gpu_commands_fill(commands, copy.source, 0, bytes, 0x3f800000);
        result = time_commands(commands, result, &ms);
    }
    if (result == STATUS_OK) {
        result = time_copies(&copy, gbytes_per_s);
    }
    gpu_buffer_destroy(copy.source);
    gpu_buffer_destroy(copy.target);
    return result;
}

/* ---- multiply-adds ---- */

static status time_rounds(struct gpu_device *device, struct gpu_dispatch *dispatch, uint32_t rounds,
                          double *ms)
{
    struct gpu_commands *commands;
    struct bench_params params = {.rounds = rounds, .factor = 0.5F, .addend = 1.0F};
    dispatch->push = &params;
    dispatch->push_size = sizeof(params);
    status result = gpu_commands_create(device, &(struct gpu_commands_params){0}, &commands);
    return result ? result : time_commands(commands, gpu_commands_dispatch(commands, dispatch), ms);
}

/* Runs get longer until that makes the rate no better. */
static status measure_rate(struct gpu_device *device, enum gpu_shader shader, double *gflops)
{
    struct cut cut = device_cut(device);
    const uint32_t constants[] = {[ID_GROUP] = cut.group, [ID_TILE] = 1, [ID_TILE + 1] = 1};
    const uint64_t invocations = (uint64_t)cut.group * cut.mad_items;
    const double operations = 2.0 * 2 * BENCH_CHAINS * BENCH_STEPS * (double)invocations;
    uint64_t bytes = invocations * 2 * sizeof(float);
    struct gpu_buffer *sums = NULL;
    struct gpu_dispatch dispatch = {.label = "mad", .items = cut.mad_items, .binding_count = 2};
    double ms = 0, rate = 0, last = 0;
    status result =
        gpu_pipeline_get(device, shader, constants, ARRAY_SIZE(constants), &dispatch.pipeline);
    if (result == STATUS_OK) {
        result = gpu_buffer_create(device, bytes, GPU_MEMORY_DEVICE, &sums);
    }
    dispatch.bindings[BENCH_SOURCE] = dispatch.bindings[BENCH_TARGET] =
        (struct gpu_binding){.buffer = sums, .size = bytes, .format = GPU_RGBA32F};
    const uint64_t most = size_min(MOST_ROUNDS, device->limits.loop_iterations);
    for (uint32_t rounds = 1; rounds <= most && result == STATUS_OK; rounds *= 4) {
        if (ms > MOST_MS || (ms > LEAST_MS && rate < BETTER * last)) {
            break;
        }
        last = rate;
        result = time_rounds(device, &dispatch, rounds, &ms);
        rate = operations * rounds / ms * 1e-6;
        *gflops = fmax(*gflops, rate);
    }
    gpu_buffer_destroy(sums);
    return result;
}

status micro_measure(struct gpu_device *device, struct device_rates *rates)
{
    status result = measure_copies(device, &rates->copy_gbytes_per_s);
    if (result == STATUS_OK) {
        result = measure_rate(device, SHADER_bench, &rates->f32_gflops);
    }
    if (result == STATUS_OK && device->features.float16) {
        result = measure_rate(device, SHADER_bench_half, &rates->f16_gflops);
    }
    return result;
}
