#include "base/system.h"
#include "ops/check.h"
#include "ops/tune.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASES      4    /* of op_check */
#define MOST       32   /* candidates of an op */
#define WARM_UPS   3    /* runs; the first one may compile */
#define ROUNDS     9    /* timed runs of each candidate */
#define FEW_ROUNDS 5    /* without which nothing is said */
#define TARGET_MS  10.0 /* of a run of the usual candidate */
#define MOST_TIMES 256  /* the call is repeated within a run, on fast devices */
#define HOPELESS   4.0  /* times as slow as the best: not timed further */
#define LEAST_GAIN 0.03 /* of the time, for another candidate than the usual to be chosen */

/* The memory of a shape over some rows. */
struct bench {
    struct op_call call; /* with buffers */
    uint32_t rows;
};

/* A candidate that takes part. */
struct contender {
    const struct op_candidate *candidate;
    struct gpu_commands *commands;
    double warm_ms, samples[ROUNDS]; /* of one call */
    uint32_t count;
    double median, low, high; /* of the samples; low and high: quartiles */
    bool out;                 /* wrong, or hopeless */
};

struct contest {
    struct op_tuning *tuning;
    const struct op_shape *shape;
    struct bench bench;
    const struct op_candidate *usual;
    uint32_t times; /* calls of a run */
    struct contender contenders[MOST];
    uint32_t count;
    void *numbers; /* the first right contender's output: the one that is written */
};

static bool out_of_time(const struct op_tuning *tuning)
{
    return system_clock_ms() >= tuning->end_ms;
}

/* ---- memory ---- */

static void bench_finish(struct bench *bench)
{
    for (uint32_t i = 0; i < OP_MAX_TENSORS; i++)
        gpu_buffer_destroy(bench->call.tensors[i].buffer);
    *bench = (struct bench){.rows = 0};
}

static status fill_buffer(struct op_tuning *tuning, struct op_call *call, uint32_t index)
{
    struct tensor *tensor = &call->tensors[index];
    uint64_t bytes = tensor->elements * element_bytes(tensor->type);
    status result = gpu_buffer_create(tuning->device, bytes, GPU_MEMORY_DEVICE, &tensor->buffer);
    if (result || call->op->writes >> index & 1)
        return result;
    tensor->host = malloc(bytes);
    if (!tensor->host)
        return fail(tuning->device->log, STATUS_OUT_OF_HOST_MEMORY, "no memory for a tensor");
    op_shape_fill(&tuning->random, call, index);
    result = gpu_buffer_write(tensor->buffer, 0, tensor->host, bytes);
    free(tensor->host);
    tensor->host = NULL;
    return result;
}

/* On failure, too, bench_finish frees it. */
static status bench_init(struct op_tuning *tuning, const struct op_shape *shape, uint32_t rows,
                         struct bench *bench)
{
    *bench = (struct bench){.rows = rows};
    bench->call = op_shape_call(shape, tuning->params->type, rows);
    status result = STATUS_OK;
    for (uint32_t i = 0; i < shape->op->tensor_count && !result; i++)
        if (bench->call.tensors[i].elements)
            result = fill_buffer(tuning, &bench->call, i);
    return result;
}

/* ---- runs ---- */

static status record(const struct contest *contest, struct contender *contender)
{
    struct gpu_device *device = contest->tuning->device;
    status result =
        gpu_commands_create(device, &(struct gpu_commands_params){0}, &contender->commands);
    for (uint32_t i = 0; i < contest->times && !result; i++)
        result = op_record(contender->commands, &contest->bench.call, contender->candidate);
    return result ? result : gpu_commands_end(contender->commands);
}

/* Milliseconds of one call; by the host's clock where the device has none. */
static status run(const struct contest *contest, struct contender *contender, double *ms)
{
    double device_ms, start = system_clock_ms();
    status result = gpu_commands_run(contender->commands, &device_ms);
    double host_ms = system_clock_ms() - start;
    *ms = (device_ms > 0 ? device_ms : host_ms) / contest->times;
    return result;
}

static status warm_up(const struct contest *contest, struct contender *contender)
{
    status result = STATUS_OK;
    contender->warm_ms = INFINITY;
    for (uint32_t i = 0; i < WARM_UPS && !result; i++) {
        double ms;
        result = run(contest, contender, &ms);
        contender->warm_ms = fmin(contender->warm_ms, ms);
    }
    return result;
}

/* How often the usual candidate's call over these rows fits a run. */
static status run_usual(const struct contest *contest, double *fits)
{
    struct contender usual = {.candidate = contest->usual};
    status result = record(contest, &usual);
    if (!result)
        result = warm_up(contest, &usual);
    gpu_commands_destroy(usual.commands);
    *fits = floor(TARGET_MS / fmax(usual.warm_ms, 1e-6));
    return result;
}

/* Who takes part; found again when the size is chosen, as some are for large calls. */
static void find_contenders(struct contest *contest)
{
    const struct op *op = contest->shape->op;
    contest->count = 0;
    assert(op->candidate_count <= MOST);
    for (uint32_t i = 0; i < op->candidate_count; i++)
        if (op->candidates[i].target != CLASS_NONE &&
            op_satisfies(contest->tuning->device, &contest->bench.call, &op->candidates[i]))
            contest->contenders[contest->count++].candidate = &op->candidates[i];
}

/* Rows first, from the fewest on; then, on fast devices, several calls a run. */
static status choose_size(struct contest *contest)
{
    double fits;
    contest->times = 1;
    status result = run_usual(contest, &fits);
    if (result)
        return result;
    double rows = fmax(SHAPE_ROWS, fmin(SHAPE_ROWS * fits, contest->shape->rows));
    bench_finish(&contest->bench);
    result = bench_init(contest->tuning, contest->shape, (uint32_t)rows, &contest->bench);
    if (!result) {
        contest->usual = op_usual(contest->tuning->device, &contest->bench.call);
        find_contenders(contest);
        result = run_usual(contest, &fits);
    }
    contest->times = (uint32_t)fmax(1, fmin(MOST_TIMES, fits));
    return result;
}

/* ---- who takes part ---- */

static void report(const struct contest *contest, enum op_tune_outcome outcome,
                   const struct contender *usual, const struct contender *best, const char *why)
{
    struct op_tune_report report = {.outcome = outcome,
                                    .shape = contest->shape,
                                    .rows = contest->bench.rows,
                                    .usual = contest->usual,
                                    .best = best ? best->candidate : NULL,
                                    .usual_ms = usual ? usual->median : 0,
                                    .best_ms = best ? best->median : 0,
                                    .why = why};
    contest->tuning->params->report(contest->tuning->params->user, &report);
}

/* Compares a candidate with the reference, by the pipeline that is to be timed. One for which no
 * call could be drawn is out, unless it is what runs anyway. */
static status check(struct contest *contest, struct contender *contender)
{
    const struct op_candidate *checked[] = {contender->candidate,
                                            op_stand_in(contest->shape->op, contender->candidate)};
    struct op_check_report found = {0};
    status result = STATUS_OK;
    for (uint32_t i = 0; i < 2 && checked[i] && !found.cases && !result; i++)
        result = op_check_like(contest->tuning->device, &contest->bench.call, checked[i],
                               contest->tuning->params->type, 1, CASES, &found);
    if (!result && !found.ok)
        report(contest, OP_TUNE_WRONG, NULL, contender, found.why);
    contender->out = !found.ok || (!found.cases && contender->candidate != contest->usual);
    return result;
}

/* ---- the same numbers ---- */

/* The output of numbers; op_check has compared the others. */
static const struct tensor *output(const struct op_call *call)
{
    uint32_t i = 0;
    while (!(call->op->writes >> i & 1) || call->tensors[i].type == ELEMENT_U32)
        i++;
    return &call->tensors[i];
}

/* The norm of the difference by that of the numbers. */
static double difference(const struct tensor *tensor, void *a, void *b)
{
    struct tensor left = *tensor, right = *tensor;
    double sum = 0, norm = 0;
    left.host = a;
    right.host = b;
    for (uint64_t i = 0; i < tensor->elements; i++) {
        double x = tensor_get(&left, i), y = tensor_get(&right, i);
        sum += (x - y) * (x - y);
        norm += x * x;
    }
    return sum == 0 ? 0 : sqrt(sum / norm);
}

/* Compares what a contender has left in memory with what the first one has. */
static status compare(struct contest *contest, struct contender *contender)
{
    const struct tensor *tensor = output(&contest->bench.call);
    uint64_t bytes = tensor->elements * element_bytes(tensor->type);
    void *numbers = malloc(bytes);
    if (!numbers)
        return fail(contest->tuning->device->log, STATUS_OUT_OF_HOST_MEMORY,
                    "no memory for an output");
    status result = gpu_buffer_read(tensor->buffer, 0, numbers, bytes);
    if (!result && !contest->numbers) {
        contest->numbers = numbers;
        return STATUS_OK;
    }
    double most = 2 * op_tolerance(contest->tuning->params->type).error;
    if (!result && !(difference(tensor, contest->numbers, numbers) <= most)) {
        report(contest, OP_TUNE_WRONG, NULL, contender, "other numbers than the usual candidate's");
        contender->out = true;
    }
    free(numbers);
    return result;
}

/* ---- the contest ---- */

static struct contender *find(struct contest *contest, const struct op_candidate *candidate)
{
    for (uint32_t i = 0; i < contest->count; i++)
        if (contest->contenders[i].candidate == candidate)
            return &contest->contenders[i];
    return NULL;
}

/* Checks, records, runs and compares one. */
static status admit(struct contest *contest, struct contender *contender)
{
    if (out_of_time(contest->tuning))
        return STATUS_OK;
    status result = check(contest, contender);
    if (result || contender->out)
        return result;
    result = record(contest, contender);
    if (!result)
        result = warm_up(contest, contender);
    return result ? result : compare(contest, contender);
}

/* The usual one first: it is what others are compared with. */
static status admit_all(struct contest *contest)
{
    double best = INFINITY;
    struct contender *usual = find(contest, contest->usual);
    status result = usual ? admit(contest, usual) : STATUS_OK;
    for (uint32_t i = 0; i < contest->count && !result; i++)
        if (&contest->contenders[i] != usual)
            result = admit(contest, &contest->contenders[i]);
    for (uint32_t i = 0; i < contest->count; i++)
        if (!contest->contenders[i].out && contest->contenders[i].commands)
            best = fmin(best, contest->contenders[i].warm_ms);
    for (uint32_t i = 0; i < contest->count; i++) {
        struct contender *contender = &contest->contenders[i];
        contender->out |= contender != usual && contender->warm_ms > HOPELESS * best;
    }
    return result;
}

static status time_all(struct contest *contest)
{
    status result = STATUS_OK;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < contest->count && !result; i++) {
            struct contender *contender = &contest->contenders[(i + round) % contest->count];
            if (contender->out)
                continue;
            result = run(contest, contender, &contender->samples[round]);
            contender->count = round + 1;
        }
        if (result || out_of_time(contest->tuning))
            break;
    }
    return result;
}

static int compare_ms(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void judge(struct contest *contest, struct op_choices *choices)
{
    struct contender *best = NULL, *usual = find(contest, contest->usual);
    for (uint32_t i = 0; i < contest->count; i++) {
        struct contender *contender = &contest->contenders[i];
        uint32_t count = contender->count;
        if (contender->out)
            continue;
        qsort(contender->samples, count, sizeof(*contender->samples), compare_ms);
        contender->median = contender->samples[count / 2];
        contender->low = contender->samples[count / 4];
        contender->high = contender->samples[count - 1 - count / 4];
        best = !best || contender->median < best->median ? contender : best;
    }
    if (!best)
        return;
    bool better = best != usual;
    if (better && usual && !usual->out)
        better = best->median < (1 - LEAST_GAIN) * usual->median && best->high < usual->low;
    op_choices_set(choices, &contest->bench.call, better ? best->candidate : NULL);
    report(contest, better ? OP_TUNE_BETTER : OP_TUNE_USUAL, usual, best, "");
}

/* Whether every contender was timed often enough. */
static bool is_decided(const struct contest *contest)
{
    for (uint32_t i = 0; i < contest->count; i++)
        if (!contest->contenders[i].out && contest->contenders[i].count < FEW_ROUNDS)
            return false;
    return true;
}

/* The contest, from the fewest rows on; nothing to decide where there is one candidate. */
static status hold(struct contest *contest, struct op_choices *choices)
{
    const struct op_tuning *tuning = contest->tuning;
    const struct op_call call = op_shape_call(contest->shape, tuning->params->type, SHAPE_ROWS);
    contest->usual = op_usual(tuning->device, &call); /* reports name it, of failures too */
    status result = bench_init(contest->tuning, contest->shape, SHAPE_ROWS, &contest->bench);
    if (!result)
        find_contenders(contest);
    if (result || contest->count < 2)
        return result;
    if (!out_of_time(contest->tuning)) {
        result = choose_size(contest);
        if (!result)
            result = admit_all(contest);
        if (!result && !out_of_time(contest->tuning))
            result = time_all(contest);
    }
    if (result)
        return result;
    if (is_decided(contest))
        judge(contest, choices);
    else
        report(contest, OP_TUNE_LEFT, NULL, NULL, "there was no time");
    return STATUS_OK;
}

status op_tune_shape(struct op_tuning *tuning, const struct op_shape *shape,
                     struct op_choices *choices)
{
    struct contest contest = {.tuning = tuning, .shape = shape};
    status result = hold(&contest, choices);
    if (result == STATUS_OUT_OF_DEVICE_MEMORY || result == STATUS_UNSUPPORTED) {
        report(&contest, OP_TUNE_LEFT, NULL, NULL, tuning->device->log->error);
        result = STATUS_OK;
    }
    for (uint32_t i = 0; i < contest.count; i++)
        gpu_commands_destroy(contest.contenders[i].commands);
    bench_finish(&contest.bench);
    free(contest.numbers);
    return result;
}
