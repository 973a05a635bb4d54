/* adamra attend: one attention on tensors from a file. */
#include "attend_input.h"
#include "cli.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TIMED_RUNS 5

static status check_flags(struct cli *cli)
{
    const struct options *options = &cli->options;
    bool multires = !strcmp(options->attention, "adamra");
    if (!options->output) {
        return fail(&cli->log, STATUS_INVALID_ARGUMENT,
                    "attend: expected -o OUT.safetensors, the file to write");
    }
    if (multires && options->rate_count == 0) {
        return fail(&cli->log, STATUS_INVALID_ARGUMENT,
                    "attend: --attention adamra; expected --rates, one per head, for example "
                    "--rates 1,2,4,8");
    }
    if (!multires && options->rate_count > 0) {
        return fail(&cli->log, STATUS_INVALID_ARGUMENT,
                    "attend: --attention %s has no --rates; expected --attention adamra with it",
                    options->attention);
    }
    return STATUS_OK;
}

static void print_timing(const struct attend_input *input, const adamra_timing *first,
                         const adamra_timing *median)
{
    /* Without device timestamps the host's clock is all there is. */
    bool device = median->device_ms >= 0;
    double ms = device ? median->device_ms : median->host_ms;
    double seconds = ms / 1e3;
    double queries = (double)input->params.batch *
                     (input->params.groups ? input->params.groups : 1) * input->params.queries;
    fprintf(stderr, "%s time     %.3f ms (median of %d runs; the first %.3f ms)\n",
            device ? "device" : "host  ", ms, TIMED_RUNS,
            device ? first->device_ms : first->host_ms);
    fprintf(stderr, "call time       %.3f ms (with copies; the first %.3f ms)\n", median->host_ms,
            first->host_ms);
    fprintf(stderr, "operations      %.0f\n", median->operations);
    fprintf(stderr, "bytes           %.0f\n", median->bytes);
    fprintf(stderr, "rate            %.3f GFLOP/s, %.3f GB/s, %.0f queries/s\n",
            seconds > 0 ? median->operations / seconds / 1e9 : 0,
            seconds > 0 ? median->bytes / seconds / 1e9 : 0, seconds > 0 ? queries / seconds : 0);
    if (median->streamed) {
        fprintf(stderr, "device memory   %" PRIu64 " bytes: streamed, it does not fit at once\n",
                median->extra_bytes);
        return;
    }
    fprintf(stderr,
            "device memory   inputs %" PRIu64 ", outputs %" PRIu64 ", beyond both %" PRIu64
            " bytes\n",
            median->input_bytes, median->output_bytes, median->extra_bytes);
}

static int compare_timings(const void *left, const void *right)
{
    const adamra_timing *a = left, *b = right;
    double difference = a->device_ms >= 0 ? a->device_ms - b->device_ms : a->host_ms - b->host_ms;
    return (difference > 0) - (difference < 0);
}

/* The tensors of the file that is written. */
enum { OUTPUT_Y, OUTPUT_HEAD, OUTPUT_PROB, OUTPUTS };

/* Where the draft has the bytes of a tensor; NULL for one that it lacks. */
static void *output_data(const struct st_tensor *tensor)
{
    return (void *)(uintptr_t)tensor->data;
}

static status compute(struct cli *cli, const struct attend_input *input,
                      const struct st_tensor outputs[OUTPUTS])
{
    adamra_attention_io io = {
        .q = {.data = input->q.data},
        .k = {.data = input->k.data},
        .v = {.data = input->v.data},
        .router_logits = {.data = input->router_logits.data},
        .router_weight = {.data = input->router_weight.data},
        .router_bias = {.data = input->router_bias.data},
        .key_lengths = input->key_lengths,
        .query_lengths = input->query_lengths,
        .y = {.data = output_data(&outputs[OUTPUT_Y])},
        .head = output_data(&outputs[OUTPUT_HEAD]),
        .prob = output_data(&outputs[OUTPUT_PROB]),
    };
    adamra_attention *attention = NULL;
    adamra_timing first, timings[TIMED_RUNS];
    status result = cli_status(adamra_attention_create(cli->context, &input->params, &attention));
    if (result == STATUS_OK) {
        cli_progress_begin(cli);
        result = cli_status(adamra_attention_run(attention, &io, &first));
        cli_progress_end(cli);
    }
    /* The first run compiles kernels; what a user waits for from then on is timed after it. */
    int runs = 0;
    while (cli->options.verbose && result == STATUS_OK && runs < TIMED_RUNS && !cli_interrupted()) {
        result = cli_status(adamra_attention_run(attention, &io, &timings[runs++]));
    }
    if (result == STATUS_OK && runs == TIMED_RUNS) {
        qsort(timings, TIMED_RUNS, sizeof(timings[0]), compare_timings);
        print_timing(input, &first, &timings[TIMED_RUNS / 2]);
    }
    adamra_attention_destroy(attention);
    return result;
}

/* A tensor of B, G, (H,) n and, where it has one, the width; false when it is too large. */
static bool set_output(const struct attend_input *input, const char *name, bool heads,
                       uint32_t width, struct st_tensor *tensor)
{
    const adamra_attention_params *params = &input->params;
    *tensor = (struct st_tensor){.name = name, .type = ST_F32, .elements = 1};
    tensor->shape[tensor->dims++] = params->batch;
    tensor->shape[tensor->dims++] = params->groups;
    if (heads) {
        tensor->shape[tensor->dims++] = params->heads;
    }
    tensor->shape[tensor->dims++] = params->queries;
    if (width) {
        tensor->shape[tensor->dims++] = width;
    }
    for (uint32_t i = 0; i < tensor->dims; i++) {
        if (!size_mul(tensor->elements, tensor->shape[i], &tensor->elements)) {
            return false;
        }
    }
    return size_mul(tensor->elements, sizeof(float), &tensor->bytes);
}

/* Opens the file that is written: y, and head and prob where there is a choice. */
static status open_outputs(struct cli *cli, const struct attend_input *input,
                           struct st_tensor outputs[OUTPUTS], struct st_draft *draft)
{
    bool per_head = !strcmp(input->params.kind, "adamra") && input->params.routing == ADAMRA_NONE;
    bool fits = set_output(input, "y", per_head, input->params.value_width, &outputs[OUTPUT_Y]) &&
                set_output(input, "router.head", false, 0, &outputs[OUTPUT_HEAD]) &&
                set_output(input, "router.prob", false, 0, &outputs[OUTPUT_PROB]);
    if (!fits) {
        return fail(&cli->log, STATUS_OUT_OF_HOST_MEMORY, "no memory for y: over 2^64 bytes");
    }
    outputs[OUTPUT_HEAD].type = ST_I32;
    return st_draft_open(&cli->log, cli->options.output, outputs,
                         attend_input_chooses(input) ? OUTPUTS : 1, NULL, 0, draft);
}

status attend_command(struct cli *cli)
{
    struct attend_input input = {0};
    struct st_draft draft = {0};
    struct st_tensor outputs[OUTPUTS] = {0};
    status result = check_flags(cli);
    if (result == STATUS_OK) {
        cli_reading(true);
        result = attend_input_read(&cli->log, &cli->options, &input);
        cli_reading(false);
    }
    if (result == STATUS_OK) {
        result = cli_check_interrupt();
    }
    if (result == STATUS_OK) {
        result = cli_open_device(cli);
    }
    if (result == STATUS_OK) {
        result = open_outputs(cli, &input, outputs, &draft);
    }
    if (result == STATUS_OK) {
        result = compute(cli, &input, outputs);
    }
    if (result == STATUS_OK) {
        tensors_warn_not_finite(&cli->log, cli->options.output, &outputs[OUTPUT_Y],
                                cli->options.type == ADAMRA_F16);
    }
    /* The target may be the input's file, which some systems do not replace while it is open. */
    attend_input_finish(&input);
    if (result == STATUS_OK) {
        result = st_draft_sync(&draft); /* the long part, so that Ctrl-C still counts meanwhile */
    }
    if (result == STATUS_OK) {
        result = cli_settle();
    }
    if (result == STATUS_OK) {
        return st_draft_commit(&draft);
    }
    st_draft_discard(&draft);
    return result;
}
