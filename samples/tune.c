/* adamra tune: measures which kernels are the fastest on the device, and keeps it. */
#include "cli.h"
#include "adamra_tune.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

struct tuning {
    struct cli *cli;
    bool json;
    json_t *results; /* with json */
    uint32_t better, usual, left, wrong; /* kinds of calls, by outcome */
};

static const char *const outcomes[] = {
    [ADAMRA_TUNE_BETTER] = "better",
    [ADAMRA_TUNE_USUAL] = "usual",
    [ADAMRA_TUNE_WRONG] = "wrong",
    [ADAMRA_TUNE_LEFT] = "left",
};

/* How many times as fast as the usual kernel; 0 where that was not timed. */
static double ratio(const adamra_tune_report *report)
{
    return report->usual_ms > 0 && report->best_ms > 0 ? report->usual_ms / report->best_ms : 0;
}

static json_t *number(double value)
{
    return value > 0 ? json_real(value) : json_null();
}

static void add_result(struct tuning *tuning, const adamra_tune_report *report)
{
    json_array_append_new(tuning->results,
                          json_pack("{s:s, s:s, s:s, s:I, s:s, s:o, s:s?, s:o, s:o, s:s}", "op",
                                    report->op, "shape", report->shape, "outcome",
                                    outcomes[report->outcome], "rows", (json_int_t)report->rows,
                                    "usual", report->usual, "usual_ms", number(report->usual_ms),
                                    "best", report->best, "best_ms", number(report->best_ms),
                                    "ratio", number(ratio(report)), "why", report->why));
}

static void print_result(const adamra_tune_report *report)
{
    switch (report->outcome) {
    case ADAMRA_TUNE_LEFT:
        printf("%-8s %-21s not measured: %s\n", report->op, report->shape, report->why);
        break;
    case ADAMRA_TUNE_WRONG:
        printf("%-8s %-21s wrong, never chosen: %s: %s\n", report->op, report->shape, report->best,
               report->why);
        break;
    default:
        printf("%-8s %-21s %6" PRIu32 "  %-18s %9.4f  %-18s %9.4f  %6.2f%s\n", report->op,
               report->shape, report->rows, report->usual, report->usual_ms, report->best,
               report->best_ms, ratio(report),
               report->outcome == ADAMRA_TUNE_BETTER ? "  chosen" : "");
    }
    fflush(stdout);
}

static void take_report(void *user, const adamra_tune_report *report)
{
    struct tuning *tuning = user;
    uint32_t *const counts[] = {
        [ADAMRA_TUNE_BETTER] = &tuning->better,
        [ADAMRA_TUNE_USUAL] = &tuning->usual,
        [ADAMRA_TUNE_WRONG] = &tuning->wrong,
        [ADAMRA_TUNE_LEFT] = &tuning->left,
    };
    ++*counts[report->outcome];
    if (tuning->json) {
        add_result(tuning, report);
    } else {
        bar_end(&tuning->cli->bar);
        print_result(report);
    }
}

static status print_json(struct tuning *tuning, const adamra_device_info *info, bool kept)
{
    const char *type = tuning->cli->options.type == ADAMRA_F16 ? "f16" : "f32";
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:O}", "device", info->name, "uuid", info->uuid,
                  "driver", info->driver, "driver_version", info->driver_version, "dtype", type,
                  "kept", kept, "results", tuning->results);
    char *text = object ? json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(object);
    if (!text) {
        return fail(&tuning->cli->log, STATUS_OUT_OF_HOST_MEMORY, "tune: no memory for JSON");
    }
    puts(text);
    free(text);
    return STATUS_OK;
}

static void print_summary(const struct tuning *tuning, const adamra_device_info *info, bool kept)
{
    const uint32_t measured = tuning->better + tuning->usual;
    if (measured) {
        printf("%" PRIu32 " of %" PRIu32 " kinds of calls run a faster kernel than the usual one "
               "on %s%s\n",
               tuning->better, measured, info->name,
               kept ? "; kept for later runs" : "; not kept");
    } else {
        printf("nothing was measured on %s\n", info->name);
    }
    if (tuning->left) {
        printf("%" PRIu32 " were not measured; another run, or a larger --max-seconds, does that\n",
               tuning->left);
    }
}

static status tune(struct tuning *tuning)
{
    struct cli *cli = tuning->cli;
    int kept = 0;
    adamra_device_info info;
    const adamra_tune_params params = {.type = cli->options.type,
                                       .max_seconds = cli->options.max_seconds,
                                       .report = take_report,
                                       .user = tuning};
    status result = cli_status(adamra_context_device(cli->context, &info));
    if (result != STATUS_OK) {
        return result;
    }
    if (!tuning->json) {
        printf("%-8s %-21s %6s  %-18s %9s  %-18s %9s  %6s\n", "op", "shape", "rows", "usual", "ms",
               "best", "ms", "ratio");
    }
    cli_progress_begin(cli);
    result = cli_status(adamra_tune(cli->context, &params, &kept));
    cli_progress_end(cli);
    if (result != STATUS_OK && result != STATUS_CANCELLED) {
        return result;
    }
    if (!tuning->json) { /* an interrupt keeps what is done */
        print_summary(tuning, &info, kept != 0);
        return result;
    }
    status printed = print_json(tuning, &info, kept != 0);
    return printed != STATUS_OK ? printed : result;
}

status tune_command(struct cli *cli)
{
    struct tuning tuning = {.cli = cli, .json = cli->options.json, .results = json_array()};
    status result = cli_open_device(cli);
    if (result == STATUS_OK) {
        result = tune(&tuning);
    }
    json_decref(tuning.results);
    return result;
}
