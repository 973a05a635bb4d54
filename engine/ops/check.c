#include "ops/check.h"
#include "ops/random.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes before and after a tensor: any device's alignment of bindings. */
#define GUARD 256
/* Outputs before a run and their guards: NaN in both float types, and no index. */
#define UNTOUCHED 0xff
/* Guards of inputs: vast or NaN, and not what outputs hold if it is copied there. */
#define BEYOND 0xfe
/* Cases in a row that have the same options, so that a driver compiles fewer pipelines. */
#define SAME_OPTIONS 8
/* Draws until a call has the options wanted and the candidate accepts its shape. */
#define MAX_DRAWS 4000

#define OPTIONS_BYTES (OP_MAX_OPTIONS * sizeof(uint32_t))

/* Of f32, some ten times of what drivers have shown, as Vulkan lets exp err by some units. Of f16,
 * one unit of the last place in every number: both sides round sums that hardly differ, and which
 * way is the driver's. */
struct op_tolerance op_tolerance(enum element_type type)
{
    static const struct op_tolerance tolerances[] = {
        [ELEMENT_F32] = {.error = 5e-6, .margin = 1e-4},
        [ELEMENT_F16] = {.error = 1e-3, .margin = 1e-2},
        [ELEMENT_U32] = {0, 0},
    };
    return tolerances[type];
}

/* The memory of one tensor: guards included, on both sides. `expected` holds the inputs and what
 * the reference makes; `found` what the device made. */
struct area {
    uint8_t *expected, *found[2];
    struct gpu_buffer *buffer;
    uint64_t bytes;
};

struct check {
    struct op_call call;
    struct random random;
    enum element_type type;
    struct area areas[OP_MAX_TENSORS];
    struct op_check_report *report;
};

static bool is_output(const struct op *op, uint32_t index)
{
    return op->writes >> index & 1;
}

static uint64_t tensor_bytes(const struct tensor *tensor)
{
    return tensor->elements * element_bytes(tensor->type);
}

/* ---- inputs ---- */

enum pattern { NORMAL, ZEROS, ONE_HOT, LARGE, TINY, SHIFTED, PATTERN_COUNT };

static double draw(struct random *random, enum pattern pattern)
{
    double x = random_normal(random);
    switch (pattern) {
    case LARGE:
        return 32 * x;
    case TINY:
        return x / 256;
    case SHIFTED:
        return 16 + x;
    default:
        return pattern == NORMAL ? x : 0;
    }
}

static void fill(struct random *random, const struct tensor *tensor, enum pattern pattern)
{
    for (uint64_t i = 0; i < tensor->elements; i++)
        tensor_set(tensor, i, draw(random, pattern));
    if (pattern == ONE_HOT)
        tensor_set(tensor, random_between(random, 0, (uint32_t)tensor->elements - 1), 1);
}

/* All normal, but for one tensor with a pattern of its own. */
static void fill_inputs(struct check *check)
{
    const struct op *op = check->call.op;
    uint32_t special = random_between(&check->random, 0, op->tensor_count - 1);
    enum pattern pattern = (enum pattern)random_between(&check->random, 0, PATTERN_COUNT - 1);
    for (uint32_t i = 0; i < op->tensor_count; i++) {
        const struct tensor *tensor = &check->call.tensors[i];
        if (tensor->elements && !is_output(op, i) && tensor->type != ELEMENT_U32)
            fill(&check->random, tensor, i == special ? pattern : NORMAL);
    }
    if (op->prepare)
        op->prepare(&check->random, &check->call);
}

/* ---- memory ---- */

static status allocate(struct gpu_device *device, struct check *check)
{
    for (uint32_t i = 0; i < check->call.op->tensor_count; i++) {
        struct tensor *tensor = &check->call.tensors[i];
        struct area *area = &check->areas[i];
        if (!tensor->elements)
            continue;
        area->bytes = 2 * GUARD + size_round_up(tensor_bytes(tensor), 16);
        area->expected = malloc(area->bytes);
        area->found[0] = malloc(area->bytes);
        area->found[1] = malloc(area->bytes);
        if (!area->expected || !area->found[0] || !area->found[1])
            return fail(device->log, STATUS_OUT_OF_HOST_MEMORY, "no memory to check %s",
                        check->call.op->name);
        memset(area->expected, is_output(check->call.op, i) ? UNTOUCHED : BEYOND, area->bytes);
        tensor->host = area->expected + GUARD;
        status result = gpu_buffer_create(device, area->bytes, GPU_MEMORY_DEVICE, &area->buffer);
        if (result)
            return result;
        tensor->buffer = area->buffer;
        tensor->offset = GUARD;
    }
    return STATUS_OK;
}

static void release(struct check *check)
{
    for (uint32_t i = 0; i < OP_MAX_TENSORS; i++) {
        struct area *area = &check->areas[i];
        gpu_buffer_destroy(area->buffer);
        free(area->expected);
        free(area->found[0]);
        free(area->found[1]);
    }
}

/* Copies what the host has to the device, or with found true what a run left there back. */
static status copy_areas(struct check *check, bool found, uint32_t run)
{
    status result = STATUS_OK;
    for (uint32_t i = 0; i < check->call.op->tensor_count && !result; i++) {
        struct area *area = &check->areas[i];
        if (area->buffer && found)
            result = gpu_buffer_read(area->buffer, 0, area->found[run], area->bytes);
        else if (area->buffer)
            result = gpu_buffer_write(area->buffer, 0, area->expected, area->bytes);
    }
    return result;
}

/* Runs the call, with at most `most` items a dispatch, from the memory as the host has it. */
static status run_call(struct gpu_device *device, struct check *check, const struct op_call *call,
                       const struct op_candidate *candidate, uint64_t most, uint32_t run)
{
    const struct gpu_limits limits = device->limits;
    struct gpu_commands *commands = NULL;
    status result = gpu_commands_create(device, &(struct gpu_commands_params){0}, &commands);
    if (result)
        return result;
    device->limits.groups[0] = (uint32_t)size_min(most, limits.groups[0]);
    device->limits.groups[1] = 1;
    result = op_record(commands, call, candidate);
    device->limits = limits;
    if (!result)
        result = gpu_commands_end(commands);
    if (!result)
        result = copy_areas(check, false, run);
    if (!result)
        result = gpu_commands_run(commands, NULL);
    if (!result)
        result = copy_areas(check, true, run);
    gpu_commands_destroy(commands);
    return result;
}

/* ---- comparison ---- */

/* Keeps the first fault found. */
static void fault(struct check *check, uint32_t index, const char *what, uint64_t at)
{
    struct op_check_report *report = check->report;
    if (!report->ok)
        return;
    report->ok = false;
    snprintf(report->why, sizeof(report->why), "case %u, tensor %u: %s at %llu", report->cases,
             index, what, (unsigned long long)at);
}

/* The outputs of two runs are equal to the bit. */
static void compare_runs(struct check *check, const char *what)
{
    for (uint32_t i = 0; i < check->call.op->tensor_count; i++) {
        const struct area *area = &check->areas[i];
        if (area->buffer && is_output(check->call.op, i) &&
            memcmp(area->found[0], area->found[1], area->bytes) != 0)
            fault(check, i, what, 0);
    }
}

/* Runs the call three times. Twice in one piece, with the guards behind tensors bound too, as
 * devices may drop what passes the end of a binding; then in three, each bound to what its span
 * says. */
static status run_device(struct gpu_device *device, struct check *check,
                         const struct op_candidate *candidate)
{
    struct op whole = *check->call.op;
    struct op_call call = check->call;
    uint64_t items = whole.items(&call, candidate);
    whole.span = NULL;
    call.op = &whole;
    for (uint32_t i = 0; i < whole.tensor_count; i++)
        if (call.tensors[i].buffer)
            call.tensors[i].elements += GUARD / element_bytes(call.tensors[i].type);
    status result = run_call(device, check, &call, candidate, items, 0);
    if (!result)
        result = run_call(device, check, &call, candidate, items, 1);
    if (result)
        return result;
    compare_runs(check, "a second run differs");
    result = run_call(device, check, &check->call, candidate, size_div_up(items, 3), 1);
    if (!result)
        compare_runs(check, "the run in pieces differs");
    return result;
}

/* Whether the bytes are as a run found them: nothing wrote there. */
static bool is_untouched(const uint8_t *bytes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (bytes[i] != UNTOUCHED)
            return false;
    return true;
}

/* Probabilities are exponentials of sums, and have their absolute errors as relative ones: route by
 * weights showed 5.4e-6 in a call of few numbers, where other ops show 2e-6 at most. */
static double error_share(const struct op *op)
{
    return op == &op_route ? 4 : 1;
}

static void compare_numbers(struct check *check, uint32_t index)
{
    const struct tensor *tensor = &check->call.tensors[index];
    const struct area *area = &check->areas[index];
    struct tensor found = *tensor;
    found.host = area->found[0] + GUARD;
    double difference = 0, norm = 0, width = element_bytes(tensor->type);
    for (uint64_t i = 0; i < tensor->elements; i++) {
        uint64_t at = GUARD + i * (uint64_t)width;
        bool gap = is_untouched(area->expected + at, (uint64_t)width);
        double x = tensor_get(tensor, i), y = tensor_get(&found, i);
        if (gap != is_untouched(area->found[0] + at, (uint64_t)width))
            fault(check, index, gap ? "a gap was written" : "nothing was written", i);
        if (gap)
            continue;
        if (!isfinite(y))
            fault(check, index, "a number is not finite", i);
        difference += (x - y) * (x - y);
        norm += x * x;
    }
    /* Numbers below the least normal one have less precision than others. */
    double least = tensor->type == ELEMENT_F16 ? 6e-5 : 1e-30;
    double error = sqrt(difference) / fmax(sqrt(norm), least * sqrt((double)tensor->elements));
    struct op_tolerance allowed = op_tolerance(check->type);
    if (tensor->type == ELEMENT_F32 && check->type == ELEMENT_F16)
        allowed = op_tolerance(ELEMENT_F32); /* sums are f32 whatever the storage */
    if (tensor->type == ELEMENT_F32)
        allowed.error *= error_share(check->call.op);
    check->report->worst = fmax(check->report->worst, error);
    if (!(error <= allowed.error))
        fault(check, index, "the error is too large", 0);
}

static void compare_choices(struct check *check, uint32_t index)
{
    const struct tensor *tensor = &check->call.tensors[index];
    double margin = op_tolerance(check->type).margin;
    const struct op *op = check->call.op;
    struct tensor found = *tensor;
    found.host = check->areas[index].found[0] + GUARD;
    for (uint64_t i = 0; i < tensor->elements; i++) {
        if (op->margin && op->margin(&check->call, i) < margin)
            check->report->skipped++;
        else if (tensor_get_u32(tensor, i) != tensor_get_u32(&found, i))
            fault(check, index, "another choice", i);
    }
}

static void compare(struct check *check)
{
    for (uint32_t i = 0; i < check->call.op->tensor_count; i++) {
        const struct tensor *tensor = &check->call.tensors[i];
        const struct area *area = &check->areas[i];
        uint64_t end = GUARD + tensor_bytes(tensor);
        if (!area->buffer)
            continue;
        if (!is_output(check->call.op, i)) {
            if (memcmp(area->found[0], area->expected, area->bytes) != 0)
                fault(check, i, "an input was written", 0);
            continue;
        }
        if (!is_untouched(area->found[0], GUARD))
            fault(check, i, "the guard before was written", 0);
        if (!is_untouched(area->found[0] + end, area->bytes - end))
            fault(check, i, "the guard after was written", 0);
        if (tensor->type == ELEMENT_U32)
            compare_choices(check, i);
        else
            compare_numbers(check, i);
    }
}

/* ---- cases ---- */

/* Draws a call that the candidate accepts, with those options (NULL: any). */
static bool draw_call(struct gpu_device *device, const struct op *op,
                      const struct op_candidate *candidate, const uint32_t *options,
                      struct check *check)
{
    for (uint32_t i = 0; i < MAX_DRAWS; i++) {
        check->call = (struct op_call){.op = op};
        op->example(&check->random, check->type, &check->call);
        bool wanted = !options || memcmp(options, check->call.options, OPTIONS_BYTES) == 0;
        if (wanted && op_satisfies(device, &check->call, candidate))
            return true;
    }
    return false;
}

/* Runs the drawn call on the device and on the reference. */
static status check_call(struct gpu_device *device, const struct op_candidate *candidate,
                         struct check *check)
{
    status result = allocate(device, check);
    if (!result) {
        fill_inputs(check);
        result = run_device(device, check, candidate);
    }
    if (!result) {
        check->call.op->reference(&check->call);
        compare(check);
    }
    release(check);
    return result;
}

/* Options: those that every call must have, or NULL; then the first call of SAME_OPTIONS says. */
static status check_cases(struct gpu_device *device, const struct op *op,
                          const struct op_candidate *candidate, const uint32_t *options,
                          uint64_t seed, uint32_t cases, struct op_check_report *report)
{
    uint32_t drawn[OP_MAX_OPTIONS] = {0};
    for (uint32_t i = 0; i < cases && report->ok; i++) {
        struct check check = {
            .random = random_seed(seed + i), .type = report->type, .report = report};
        const uint32_t *wanted = options ? options : i % SAME_OPTIONS ? drawn : NULL;
        if (!draw_call(device, op, candidate, wanted, &check))
            return STATUS_OK;
        memcpy(drawn, check.call.options, OPTIONS_BYTES);
        report->cases++;
        status result = check_call(device, candidate, &check);
        if (result)
            return result;
    }
    return STATUS_OK;
}

static struct op_check_report
fresh_report(const struct op *op, const struct op_candidate *candidate, enum element_type type)
{
    return (struct op_check_report){.op = op->name,
                                    .candidate = candidate->name,
                                    .shader = gpu_shader_name(candidate->shader),
                                    .type = type,
                                    .ok = true};
}

status op_check(struct gpu_device *device, const struct op *op,
                const struct op_candidate *candidate, enum element_type type, uint64_t seed,
                uint32_t cases, struct op_check_report *report)
{
    *report = fresh_report(op, candidate, type);
    return check_cases(device, op, candidate, NULL, seed, cases, report);
}

status op_check_like(struct gpu_device *device, const struct op_call *like,
                     const struct op_candidate *candidate, enum element_type type, uint64_t seed,
                     uint32_t cases, struct op_check_report *report)
{
    *report = fresh_report(like->op, candidate, type);
    return check_cases(device, like->op, candidate, like->options, seed, cases, report);
}
