#include "bench_run.h"
#include "bench_encoder.h"
#include "ops/choices.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROBE_FACTOR 4 /* from a length to the next shorter one that is probed */
#define PROBE_LEAST  16

/* One combination of sizes: its kinds are measured side by side. */
struct sizes {
    enum element_type type;
    uint32_t d, batch, groups, d_model;
};

/* ---- subjects ---- */

static status init_subject(struct bench_run *run, const struct work_spec *spec,
                           struct subject *subject)
{
    *subject = (struct subject){.spec = *spec};
    return bench_describe(run, subject);
}

/* A subject for each kind, and for each set of rates where a kind has rates. */
static status list_kind_subjects(struct bench_run *run, const struct work_spec *sizes,
                                 struct subject *subjects, uint32_t *count)
{
    const struct bench_options *options = run->options;
    struct work_spec spec = *sizes;
    status result = STATUS_OK;
    for (uint32_t i = 0; i < options->kinds.count; i++) {
        spec.kind = options->kinds.items[i];
        uint32_t sets = spec.kind->multires ? options->rates.count : 1;
        for (uint32_t j = 0; j < sets && result == STATUS_OK; j++) {
            spec.rates = spec.kind->multires ? &options->rates.items[j] : NULL;
            result = init_subject(run, &spec, &subjects[(*count)++]);
        }
    }
    return result;
}

/* The model's own sizes, in place of the options'. */
static status list_encoder_subject(struct bench_run *run, const struct work_spec *sizes,
                                   struct subject *subjects, uint32_t *count)
{
    const struct bench_model *model = run->models[sizes->type];
    const struct model_config *config = &model->config;
    struct work_spec spec = *sizes;
    spec.model = model;
    spec.kind = config->attention;
    spec.rates = config->attention->multires ? &model->rates : NULL;
    spec.d = config->head_dim;
    spec.groups = config->num_groups;
    spec.d_model = config->hidden_size;
    return init_subject(run, &spec, &subjects[(*count)++]);
}

static uint32_t most_subjects(const struct bench_options *options)
{
    return options->kinds.count * options->rates.count;
}

/* Measures all kinds at one length. */
static status run_length(struct bench_run *run, const struct sizes *sizes, uint32_t n)
{
    const struct bench_options *options = run->options;
    struct work_spec spec = {.pass = options->pass,
                             .shared_kv = options->shared_kv,
                             .type = sizes->type,
                             .n = n,
                             .d = sizes->d,
                             .batch = sizes->batch,
                             .groups = sizes->groups,
                             .d_model = sizes->d_model,
                             .product = options->product};
    uint32_t count = 0;
    struct subject *subjects = calloc(most_subjects(options), sizeof(*subjects));
    if (!subjects) {
        return fail(&run->log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for %u rows",
                    most_subjects(options));
    }
    status result;
    if (options->pass == PASS_OP) {
        result = init_subject(run, &spec, &subjects[count++]);
    } else if (options->pass == PASS_ENCODER) {
        result = list_encoder_subject(run, &spec, subjects, &count);
    } else {
        result = list_kind_subjects(run, &spec, subjects, &count);
    }
    if (result == STATUS_OK) {
        result = bench_measure(run, subjects, count);
    }
    free(subjects);
    return result;
}

/* ---- lengths ---- */

/* Lengths below the shortest one, while adamra is faster even there: to find where it begins to
 * be. */
static status probe(struct bench_run *run, const struct sizes *sizes)
{
    const struct count_list *lengths = &run->options->n;
    struct bench_row like = {.device = run->device->info.index,
                             .pass = run->options->pass,
                             .dtype = sizes->type == ELEMENT_F16 ? "f16" : "f32",
                             .n = lengths->items[0],
                             .d = sizes->d,
                             .batch = sizes->batch,
                             .groups = sizes->groups,
                             .d_model = sizes->d_model};
    for (uint32_t i = 1; i < lengths->count; i++) {
        like.n = size_min(like.n, lengths->items[i]);
    }
    status result = STATUS_OK;
    run->probing = true;
    while (result == STATUS_OK && like.n >= PROBE_FACTOR * PROBE_LEAST && !cli_interrupted() &&
           bench_crossover_below(run, &like)) {
        like.n /= PROBE_FACTOR;
        result = run_length(run, sizes, (uint32_t)like.n);
    }
    run->probing = false;
    return result;
}

static status run_lengths(struct bench_run *run, const struct sizes *sizes)
{
    const struct bench_options *options = run->options;
    status result = STATUS_OK;
    if (options->pass == PASS_OP) {
        return run_length(run, sizes, options->product.m);
    }
    for (uint32_t i = 0; i < options->n.count && result == STATUS_OK; i++) {
        if (cli_interrupted()) {
            return STATUS_OK;
        }
        result = run_length(run, sizes, options->n.items[i]);
    }
    if (result == STATUS_OK && options->n.count > 1) {
        result = probe(run, sizes);
    }
    return result;
}

/* The lists of sizes that a pass walks: one entry of 0 for a size that it has not. */
static struct count_list pass_list(const struct bench_options *options,
                                   const struct count_list *list)
{
    const struct count_list none = {.count = 1};
    bool used =
        options->pass == PASS_ENCODER ? list == &options->batch : options->pass <= PASS_LAYER;
    return used ? *list : none;
}

/* Combination `index` of all, the last list running fastest; false behind the last one. */
static bool nth_sizes(const struct bench_options *options, uint64_t index, struct sizes *out)
{
    struct count_list d_model = {.count = 1};
    if (options->pass == PASS_LAYER) {
        d_model = options->d_model;
    }
    const struct count_list d = pass_list(options, &options->d);
    const struct count_list batch = pass_list(options, &options->batch);
    const struct count_list groups = pass_list(options, &options->groups);
    const struct count_list *lists[] = {&d, &batch, &groups, &d_model};
    uint32_t *values[] = {&out->d, &out->batch, &out->groups, &out->d_model};
    for (size_t i = ARRAY_SIZE(lists); i-- > 0;) {
        *values[i] = lists[i]->items[index % lists[i]->count];
        index /= lists[i]->count;
    }
    out->type = options->types.items[index % options->types.count];
    return index < options->types.count;
}

static uint64_t count_rows(const struct bench_options *options, uint32_t devices)
{
    struct sizes sizes;
    uint64_t count = 0, rows = 0;
    while (nth_sizes(options, count, &sizes)) {
        count++;
    }
    for (uint32_t i = 0; i < options->kinds.count; i++) {
        rows += options->kinds.items[i]->multires ? options->rates.count : 1;
    }
    if (options->pass == PASS_OP) {
        return count * devices;
    }
    return count * devices * options->n.count * (options->pass == PASS_ENCODER ? 1 : rows);
}

/* ---- devices ---- */

static const char *keep_text(struct bench_run *run, const char *text)
{
    const char *kept = arena_strdup(&run->arena, text);
    return kept ? kept : "";
}

static status add_device(struct bench_run *run)
{
    const struct gpu_info *info = &run->device->info;
    char version[48];
    snprintf(version, sizeof(version), "%u.%u.%u", VK_API_VERSION_MAJOR(info->api_version),
             VK_API_VERSION_MINOR(info->api_version), VK_API_VERSION_PATCH(info->api_version));
    size_t count = run->results.device_count;
    struct bench_device *devices =
        realloc(run->results.devices, (count + 1) * sizeof(*run->results.devices));
    if (!devices) {
        return fail(&run->log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for a device");
    }
    devices[count] = (struct bench_device){
        .index = info->index,
        .name = keep_text(run, info->name),
        .type = gpu_type_text(info->type),
        .uuid = keep_text(run, info->uuid_text),
        .driver = keep_text(run, info->driver),
        .driver_version = keep_text(run, info->driver_version),
        .api_version = keep_text(run, version),
        .tuned = run->device->choices ? op_choices_count(run->device->choices) : 0,
    };
    run->results.devices = devices;
    run->results.device_count = count + 1;
    return STATUS_OK;
}

/* Unless one is given, that of the model that comes with the program. */
const char *bench_model_folder(const struct bench_run *run)
{
    bool installed = access(ADAMRA_MODEL_DIR "/config.json", R_OK) == 0;
    return run->options->model ? run->options->model
           : installed         ? ADAMRA_MODEL_DIR
                               : ADAMRA_MODEL_SOURCE;
}

static status load_model(struct bench_run *run, enum element_type type)
{
    if (run->options->pass != PASS_ENCODER || run->models[type]) {
        return STATUS_OK;
    }
    return bench_model_load(&run->log, run->device, bench_model_folder(run), type,
                            &run->models[type]);
}

static status run_combinations(struct bench_run *run)
{
    struct sizes sizes;
    status result = STATUS_OK;
    for (uint64_t i = 0; nth_sizes(run->options, i, &sizes) && result == STATUS_OK; i++) {
        result = load_model(run, sizes.type);
        if (result == STATUS_OK) {
            result = run_lengths(run, &sizes);
        }
    }
    return result == STATUS_CANCELLED ? STATUS_OK : result;
}

static void say_device(struct bench_run *run)
{
    const struct gpu_info *info = &run->device->info;
    if (!run->options->common.quiet) {
        progress_end(&run->progress);
        fprintf(stderr, "device: %s (%s, %s %s)\n", info->name, gpu_type_text(info->type),
                info->driver, info->driver_version);
        progress_show(&run->progress, "bandwidth and multiply-add rate");
    }
}

/* The device's rates are measured before, to estimate by, and once more after: other load, or
 * clocks that were still low, may have held it back. */
static status measure_device(struct bench_run *run)
{
    size_t first_row = run->results.row_count;
    run->rates = (struct device_rates){0};
    status result = micro_measure(run->device, &run->rates);
    if (result == STATUS_OK) {
        result = add_device(run);
    }
    if (result == STATUS_OK) {
        result = run_combinations(run);
    }
    if (result == STATUS_OK && !cli_interrupted()) {
        result = micro_measure(run->device, &run->rates);
    }
    if (run->results.device_count > 0) {
        struct bench_device *device = &run->results.devices[run->results.device_count - 1];
        device->copy_gbytes_per_s = run->rates.copy_gbytes_per_s;
        device->f32_gflops = run->rates.f32_gflops;
        device->f16_gflops = run->rates.f16_gflops;
    }
    bench_fill_shares(run, first_row);
    return result;
}

/* What `adamra tune` has kept. Pipelines that are kept are not used: first calls would be no first
 * calls. */
static void load_choices(struct gpu_device *device)
{
    struct gpu_store store;
    struct op_choices choices;
    gpu_store_init(NULL, &store);
    if (op_choices_load(device, &store, &choices)) {
        (void)op_choices_use(device, &choices); /* without memory: the usual kernels */
    }
    gpu_store_finish(&store);
}

static void cancel_run(void *device)
{
    gpu_cancel(device);
}

static status run_device(struct bench_run *run, const char *select)
{
    const struct gpu_device_params params = {
        .select = select, .limits = run->options->common.limits, .store = warm_saves(&run->warm)};
    status result = gpu_device_create(&run->log, &params, &run->device);
    if (result == STATUS_OK) {
        cli_on_interrupt(cancel_run, run->device);
        if (!run->options->common.no_tune) {
            load_choices(run->device);
        }
        say_device(run);
        result = measure_device(run);
        cli_on_interrupt(NULL, NULL);
    }
    if (result == STATUS_CANCELLED) { /* what is done so far counts */
        result = STATUS_OK;
    }
    for (size_t i = 0; i < ARRAY_SIZE(run->models); i++) {
        bench_model_destroy(run->models[i]);
        run->models[i] = NULL;
    }
    gpu_device_destroy(run->device);
    run->device = NULL;
    warm_finish(&run->warm);
    return result;
}

/* ---- all of it ---- */

/* The engine's warnings are shown, its errors only where they end the program. */
static void pass_warning(void *user, enum log_level level, const char *text)
{
    struct bench_run *run = user;
    if (level != LOG_ERROR) {
        progress_end(&run->progress);
        log_line(&run->cli->log, level, "%s", text);
    }
}

static status run_devices(struct bench_run *run)
{
    struct bench_selectors selectors = {0};
    status result = numbers_create(&run->log, &run->numbers);
    if (result == STATUS_OK) {
        result = bench_select(run, &selectors);
    }
    if (result == STATUS_OK) {
        progress_begin(&run->progress, (uint32_t)count_rows(run->options, selectors.count),
                       run->options->common.quiet, run->options->common.verbose);
    }
    for (uint32_t i = 0; i < selectors.count && result == STATUS_OK && !cli_interrupted(); i++) {
        result = run_device(run, selectors.items[i]);
    }
    progress_end(&run->progress);
    return result == STATUS_OK ? bench_find_crossovers(run) : result;
}

status bench_run(struct cli *cli, const struct bench_options *options, struct bench_run *run)
{
    *run = (struct bench_run){.cli = cli, .options = options};
    run->log = (struct logger){.write = pass_warning, .user = run};
    status result = run_devices(run);
    return result == STATUS_OK ? STATUS_OK : fail(&cli->log, result, "%s", run->log.error);
}

void bench_run_finish(struct bench_run *run)
{
    free(run->results.devices);
    free(run->results.rows);
    free(run->results.kernels);
    free(run->probes);
    numbers_destroy(&run->numbers);
    arena_finish(&run->arena);
    *run = (struct bench_run){0};
}
