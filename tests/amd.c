/* Makes the pipelines of every kernel that the first device can run, with the constants of several
 * legal calls in both storage types, and prints a line before each: with RADV_DEBUG=shaderstats
 * the driver's figures follow it. For tests/amd.sh, which reads both from one stream. */
#include "ops/ops.h"
#include "ops/random.h"
#include <stdio.h>
#include <unistd.h>

#define EXAMPLES 16 /* calls of an op: they differ in their options */
#define DRAWN    2000 /* where a kernel takes none of these */

static void print_error(void *user, enum log_level level, const char *text)
{
    (void)user;
    if (level == LOG_ERROR)
        fprintf(stderr, "%s\n", text);
}

static status make_pipelines(struct gpu_device *device, const struct op *op,
                             const struct op_candidate *candidate, enum element_type type)
{
    struct random random = random_seed(1);
    status result = STATUS_OK;
    for (int i = 0, taken = 0; i < (taken ? EXAMPLES : DRAWN) && !result; i++) {
        struct op_call call = {.op = op};
        const struct gpu_pipeline *pipeline;
        op->example(&random, type, &call);
        if (candidate->target == CLASS_CPU || candidate->target == CLASS_NONE ||
            !op_satisfies(device, &call, candidate))
            continue;
        taken++;
        fprintf(stderr, "kernel %s %s %s\n", op->name, candidate->name,
                type == ELEMENT_F16 ? "f16" : "f32");
        uint32_t made = gpu_pipeline_count(device);
        result = op_pipeline(device, &call, candidate, &pipeline);
        if (gpu_pipeline_count(device) == made)
            fprintf(stderr, "same\n"); /* these constants were there before: no figures follow */
    }
    return result;
}

int main(void)
{
    struct logger log = {.write = print_error};
    struct gpu_device *device;
    const struct gpu_device_params params = {.select = "0"};
    status result = gpu_device_create(&log, &params, &device);
    for (uint32_t o = 0; o < op_count && !result; o++)
        for (uint32_t c = 0; c < op_list[o]->candidate_count && !result; c++)
            for (int half = 0; half < 2 && !result; half++)
                result = make_pipelines(device, op_list[o], &op_list[o]->candidates[c],
                                        half ? ELEMENT_F16 : ELEMENT_F32);
    fflush(NULL);
    /* RADV's null device cannot be destroyed: it calls a function that it does not have. */
    _exit(result ? 1 : 0);
}
