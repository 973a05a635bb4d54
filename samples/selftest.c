/* adamra selftest: every kernel that the device can run, against the reference. */
#include "cli.h"
#include "ops/check.h"
#include <inttypes.h>

#define CASES 6 /* of each kernel and storage type */
#define SEED  1

struct summary {
    uint32_t kernels, mismatches;
    bool verbose;
};

static void print_report(void *user, const struct op_check_report *report)
{
    struct summary *summary = user;
    const char *type = report->type == ELEMENT_F16 ? "f16" : "f32";
    if (report->cases == 0) {
        if (summary->verbose) {
            printf("%-8s %-20s %-20s %s  not for this device\n", report->op, report->candidate,
                   report->shader, type);
        }
        return;
    }
    summary->kernels++;
    summary->mismatches += !report->ok;
    printf("%-8s %-20s %-20s %s  cases %" PRIu32 "  worst error %.1e  %s%s%s\n", report->op,
           report->candidate, report->shader, type, report->cases, report->worst,
           report->ok ? "ok" : "MISMATCH", report->ok ? "" : ": ", report->why);
    fflush(stdout);
}

status selftest_command(struct cli *cli)
{
    const struct gpu_device_params params = {.select = cli->options.device,
                                             .limits = cli->options.limits};
    struct summary summary = {.verbose = cli->options.verbose};
    struct gpu_device *device = NULL;
    status result = gpu_device_create(&cli->log, &params, &device);
    if (result == STATUS_OK) {
        const struct op_check_params check = {.seed = SEED,
                                              .cases = CASES,
                                              .report = print_report,
                                              .user = &summary,
                                              .stop = cli_interrupted};
        result = op_check_all(device, &check);
    }
    if (result == STATUS_OK && !cli_interrupted()) {
        printf("%" PRIu32 " kernels, %" PRIu32 " wrong, on %s (%s, %s %s)\n", summary.kernels,
               summary.mismatches, device->info.name, gpu_type_text(device->info.type),
               device->info.driver, device->info.driver_version);
    }
    if (result == STATUS_OK && summary.mismatches > 0) {
        result = fail(&cli->log, STATUS_DRIVER,
                      "%" PRIu32 " of %" PRIu32 " kernels differ from the reference on %s",
                      summary.mismatches, summary.kernels, device->info.name);
    }
    gpu_device_destroy(device);
    return result;
}
