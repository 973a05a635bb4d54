/* adamra selftest: every kernel that the device can run, against the reference. */
#include "cli.h"
#include "ops/check.h"
#include <inttypes.h>

#define CASES 6 /* of each kernel and storage type, in one round */

struct summary {
    const struct gpu_device *device;
    uint64_t seed; /* of this round */
    uint32_t round, kernels, mismatches;
    bool verbose;
    bool said; /* how to see the first mismatch again */
};

/* All that is needed to see it again, for whoever reads a report of it. */
static void print_first(struct summary *summary, const struct op_check_report *report)
{
    const struct gpu_info *info = &summary->device->info;
    if (summary->said)
        return;
    summary->said = true;
    printf("first mismatch: %s %s %s, seed %" PRIu64 ", on %s (%s, %s %s, Vulkan %u.%u.%u), "
           "adamra %s\n",
           report->op, report->candidate, report->type == ELEMENT_F16 ? "f16" : "f32",
           summary->seed, info->name, gpu_type_text(info->type), info->driver, info->driver_version,
           VK_API_VERSION_MAJOR(info->api_version), VK_API_VERSION_MINOR(info->api_version),
           VK_API_VERSION_PATCH(info->api_version), adamra_version());
    printf("to see it again: adamra selftest --device %s --seed %" PRIu64 "\n", info->uuid_text,
           summary->seed);
}

static void print_report(void *user, const struct op_check_report *report)
{
    struct summary *summary = user;
    const char *type = report->type == ELEMENT_F16 ? "f16" : "f32";
    if (report->cases == 0) {
        if (summary->verbose && summary->round == 0) {
            printf("%-8s %-20s %-20s %s  not for this device\n", report->op, report->candidate,
                   report->shader, type);
        }
        return;
    }
    summary->kernels += summary->round == 0;
    summary->mismatches += !report->ok;
    if (report->ok && summary->round > 0 && !summary->verbose) {
        return;
    }
    printf("%-8s %-20s %-20s %s  cases %" PRIu32 "  worst error %.1e  %s%s%s\n", report->op,
           report->candidate, report->shader, type, report->cases, report->worst,
           report->ok ? "ok" : "MISMATCH", report->ok ? "" : ": ", report->why);
    if (!report->ok) {
        print_first(summary, report);
    }
    fflush(stdout);
}

/* Rounds draw other inputs each: those of round r are what --seed SEED + r * CASES draws first. */
static status run_rounds(struct cli *cli, struct gpu_device *device, struct summary *summary)
{
    const uint64_t first = cli->options.seed;
    const uint32_t rounds = cli->options.repeat;
    const enum element_type type = cli->options.type == ADAMRA_F16 ? ELEMENT_F16 : ELEMENT_F32;
    const bool one = cli->options.given & GIVEN_DTYPE;
    status result = STATUS_OK;
    for (uint32_t r = 0; r < rounds && result == STATUS_OK && !cli_interrupted(); r++) {
        summary->round = r;
        summary->seed = first + (uint64_t)r * CASES;
        const struct op_check_params check = {.type = one ? &type : NULL,
                                              .seed = summary->seed,
                                              .cases = CASES,
                                              .report = print_report,
                                              .user = summary,
                                              .stop = cli_interrupted};
        result = op_check_all(device, &check);
        if (result == STATUS_OK && rounds > 1 && !cli_interrupted()) {
            printf("round %" PRIu32 " of %" PRIu32 ", seed %" PRIu64 ": %" PRIu32 " wrong so far\n",
                   r + 1, rounds, summary->seed, summary->mismatches);
            fflush(stdout);
        }
    }
    return result;
}

status selftest_command(struct cli *cli)
{
    const struct gpu_device_params params = {.select = cli->options.device,
                                             .limits = cli->options.limits};
    struct gpu_device *device = NULL;
    status result = gpu_device_create(&cli->log, &params, &device);
    struct summary summary = {.device = device, .verbose = cli->options.verbose};
    if (result == STATUS_OK) {
        result = run_rounds(cli, device, &summary);
    }
    const uint32_t wrong = summary.mismatches, rounds = summary.round + 1;
    if (result == STATUS_OK && !cli_interrupted()) {
        printf("%" PRIu32 " kernels, ", summary.kernels);
        if (rounds > 1) {
            printf("%" PRIu32 " rounds, ", rounds);
        }
        printf("%" PRIu32 " wrong, on %s (%s, %s %s)\n", wrong, device->info.name,
               gpu_type_text(device->info.type), device->info.driver, device->info.driver_version);
    }
    if (result == STATUS_OK && wrong > 0) {
        result =
            fail(&cli->log, STATUS_DRIVER,
                 "%" PRIu32 " of %" PRIu64 " checks of kernels differ from the reference on %s",
                 wrong, (uint64_t)rounds * summary.kernels, device->info.name);
    }
    gpu_device_destroy(device);
    return result;
}
