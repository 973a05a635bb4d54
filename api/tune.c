#include "adamra_tune.h"
#include "context.h"
#include "ops/tune.h"
#include <assert.h>
#include <math.h>

#define DEFAULT_SECONDS 60

static_assert(ADAMRA_TUNE_BETTER == (int)OP_TUNE_BETTER, "outcome");
static_assert(ADAMRA_TUNE_USUAL == (int)OP_TUNE_USUAL, "outcome");
static_assert(ADAMRA_TUNE_WRONG == (int)OP_TUNE_WRONG, "outcome");
static_assert(ADAMRA_TUNE_LEFT == (int)OP_TUNE_LEFT, "outcome");

void tune_open(struct adamra_context *context)
{
    struct gpu_device *device = context->device;
    struct op_choices choices;
    if (!op_choices_load(device, &device->store, &choices) || !op_choices_use(device, &choices))
        return;
    context->tuned = op_choices_count(&choices);
    if (context->tuned)
        log_line(&context->log, LOG_INFO, "tuned kernels: %u", (unsigned)context->tuned);
}

struct listener {
    struct adamra_context *context;
    const adamra_tune_params *params;
    uint32_t measured; /* kinds of calls */
};

static void pass_report(void *user, const struct op_tune_report *report)
{
    struct listener *listener = user;
    const char *op = report->shape->op->name;
    const adamra_tune_report public = {
        .outcome = (adamra_tune_outcome)report->outcome,
        .op = op,
        .shape = report->shape->text,
        .rows = report->rows,
        .usual = report->usual->name,
        .best = report->best ? report->best->name : NULL,
        .usual_ms = report->usual_ms,
        .best_ms = report->best_ms,
        .why = report->why,
    };
    listener->measured += report->outcome == OP_TUNE_BETTER || report->outcome == OP_TUNE_USUAL;
    if (report->outcome == OP_TUNE_WRONG)
        log_line(&listener->context->log, LOG_WARNING,
                 "%s %s is wrong on this device and is not chosen: %s", op, report->best->name,
                 report->why);
    if (listener->params->report)
        listener->params->report(listener->params->user, &public);
}

/* Keeps what was found, and uses it unless the context asked for the usual kernels. */
static bool take(struct adamra_context *context, const struct op_choices *choices)
{
    struct gpu_device *device = context->device;
    bool kept = !context->limited && op_choices_keep(device, &device->store, choices);
    if (!kept && !context->limited && device->store.save)
        log_line(&context->log, LOG_WARNING, "the kernels that were chosen cannot be kept in %s",
                 context->files.user ? (const char *)context->files.user : "the caller's cache");
    if (!context->no_tune && op_choices_use(device, choices))
        context->tuned = op_choices_count(choices);
    return kept;
}

static status tune(struct adamra_context *context, const adamra_tune_params *params, int *kept)
{
    struct logger *log = &context->log;
    EXPECT(params->type == ADAMRA_F32 || params->type == ADAMRA_F16,
           "type: expected ADAMRA_F32 or ADAMRA_F16, got %d", (int)params->type);
    EXPECT(isfinite(params->max_seconds) && params->max_seconds >= 0,
           "max_seconds: expected a number >= 0, got %g", params->max_seconds);
    struct gpu_device *device = context->device;
    struct listener listener = {.context = context, .params = params};
    double seconds = params->max_seconds > 0 ? params->max_seconds : DEFAULT_SECONDS;
    const struct op_tune_params inner = {.type =
                                             params->type == ADAMRA_F16 ? ELEMENT_F16 : ELEMENT_F32,
                                         .max_ms = 1e3 * seconds,
                                         .report = pass_report,
                                         .user = &listener};
    struct op_choices choices;
    status result = gpu_device_check(device);
    if (result)
        return result;
    op_choices_load(device, &device->store, &choices);
    result = op_tune(device, &inner, &choices);
    if (listener.measured && (!result || result == STATUS_CANCELLED))
        *kept = take(context, &choices);
    return result;
}

adamra_status adamra_tune(adamra_context *context, const adamra_tune_params *params, int *kept)
{
    static const adamra_tune_params defaults;
    int ignored;
    if (!context)
        return ADAMRA_INVALID_ARGUMENT;
    kept = kept ? kept : &ignored;
    *kept = 0;
    status result = context_enter(context);
    if (result)
        return context_status(result);
    result = tune(context, params ? params : &defaults, kept);
    context_leave(context);
    return context_status(result);
}
