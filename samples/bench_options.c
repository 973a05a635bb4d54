#include "bench_options.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- values: each returns false for a text that can never be right ---- */

/* The flags of this table are read into a struct bench_options. */
static struct bench_options *bench(struct options *options)
{
    return (struct bench_options *)options;
}

static bool set_profile(struct options *options, const char *text)
{
    (void)text;
    return bench(options)->profile = true;
}

static bool set_kinds(struct options *options, const char *text)
{
    return list_kinds(text, &bench(options)->kinds);
}

static bool set_types(struct options *options, const char *text)
{
    return list_types(text, &bench(options)->types);
}

static bool set_rates(struct options *options, const char *text)
{
    return list_rates(text, &bench(options)->rates);
}

static bool set_n(struct options *options, const char *text)
{
    return list_counts(text, &bench(options)->n);
}

static bool set_d(struct options *options, const char *text)
{
    return list_counts(text, &bench(options)->d);
}

static bool set_d_model(struct options *options, const char *text)
{
    return list_counts(text, &bench(options)->d_model);
}

static bool set_batch(struct options *options, const char *text)
{
    return list_counts(text, &bench(options)->batch);
}

static bool set_groups(struct options *options, const char *text)
{
    return list_counts(text, &bench(options)->groups);
}

static bool set_pass(struct options *options, const char *text)
{
    uint32_t choice = 0;
    bool known =
        read_choice(text, (const char *const[]){"core", "layer", "encoder", NULL}, &choice);
    bench(options)->pass = (enum bench_pass)choice;
    bench(options)->pass_given = true;
    return known;
}

static bool set_op(struct options *options, const char *text)
{
    bench(options)->op = text;
    return list_product(text, &bench(options)->product);
}

static bool set_model(struct options *options, const char *text)
{
    bench(options)->model = text;
    return *text != 0;
}

static bool set_kv(struct options *options, const char *text)
{
    uint32_t choice = 0;
    bool known = read_choice(text, (const char *const[]){"per-head", "shared", NULL}, &choice);
    bench(options)->shared_kv = choice == 1;
    bench(options)->kv_given = true;
    return known;
}

static bool set_repetitions(struct options *options, const char *text)
{
    const char *end;
    return read_count(text, 1, &bench(options)->repetitions, &end) && *end == 0;
}

static bool set_min_seconds(struct options *options, const char *text)
{
    return read_real(text, &bench(options)->min_seconds);
}

static bool set_max_seconds(struct options *options, const char *text)
{
    return read_real(text, &bench(options)->max_seconds) && bench(options)->max_seconds > 0;
}

static bool set_format(struct options *options, const char *text)
{
    uint32_t choice = 0;
    bool known =
        read_choice(text, (const char *const[]){"md", "csv", "json", "jsonl", NULL}, &choice);
    bench(options)->format = (enum bench_format)choice;
    bench(options)->format_given = true;
    return known;
}

static bool set_html(struct options *options, const char *text)
{
    bench(options)->html = text;
    return *text != 0;
}

static bool set_svg(struct options *options, const char *text)
{
    bench(options)->svg = text;
    return *text != 0;
}

static bool add_compare(struct options *options, const char *text)
{
    struct bench_options *to = bench(options);
    if (*text == 0 || to->compare_count == LIST_MAX) {
        return false;
    }
    to->compare[to->compare_count++] = text;
    return true;
}

static bool set_preset(struct options *options, const char *text)
{
    bench(options)->preset = text;
    return read_choice(text, (const char *const[]){"quick", "full", "mobile", "none", NULL},
                       &(uint32_t){0});
}

/* ---- flags ---- */

#define EXPECTED_COUNTS                                                                            \
    "whole numbers >= 1 and ranges of at most 64 entries, for example 1024,4096 or 1024-65536*4"

static const struct flag flags[] = {
    {"preset", 0, "NAME", 1, set_preset, "quick, full, mobile or none",
     "what is filled in where nothing is said (default quick)"},
    {"attention", 0, "LIST", 1, set_kinds, "names of attention kinds with commas between them",
     "adamra, softmax, linear, bigbird (default adamra,softmax)"},
    {"pass", 0, "PASS", 1, set_pass, "core, layer or encoder",
     "core (default): attention alone; layer: with its projections; encoder: a model"},
    {"n", 0, "LIST", 1, set_n, EXPECTED_COUNTS, "lengths: 1024,4096 or 1024-65536*4 or 64-256+64"},
    {"d", 0, "LIST", 1, set_d, EXPECTED_COUNTS, "width of a query, key and value (default 64)"},
    {"d-model", 0, "LIST", 1, set_d_model, EXPECTED_COUNTS, "width of a layer (default 512)"},
    {"batch", 0, "LIST", 1, set_batch, EXPECTED_COUNTS, "batch sizes (default 1)"},
    {"groups", 0, "LIST", 1, set_groups, EXPECTED_COUNTS, "query groups (default 1)"},
    {"rates", 0, "SETS", 1, set_rates,
     "whole numbers >= 1 with commas, sets with slashes, for example 1,2,4,8/1,4,16",
     "compression rates of adamra's heads (default 1,2,4,8); several sets: 1,2,4,8/1,4,16"},
    {"kv", 0, "KIND", 1, set_kv, "per-head or shared",
     "keys and values for each head (default), or one projection for all"},
    {"dtype", 0, "LIST", 1, set_types, "f32, f16 or both with a comma", "storage (default f32)"},
    {"op", 0, "PRODUCT", 1, set_op, "linear:MxKxN with whole numbers >= 1",
     "time one product [M, K] [K, N] instead: linear:MxKxN"},
    {"model", 0, "FOLDER", 1, set_model, "a path",
     "model of --pass encoder (default: the one that is installed)"},
    {"device", 0, "LIST", 1, option_device, "indices, parts of names or UUIDs with commas, or all",
     "devices, or all (default: $ADAMRA_DEVICE, else the best one); each is measured once"},
    {"repetitions", 'r', "REPS", 1, set_repetitions, "a whole number >= 1",
     "timed runs at least (default 10; mobile 5)"},
    {"min-seconds", 0, "S", 1, set_min_seconds, "a number of seconds",
     "time runs for so long at least"},
    {"max-seconds", 0, "S", 1, set_max_seconds, "a number of seconds above 0",
     "of one combination, with warm-up: leave out what would take longer"},
    {"output", 'o', "FORMAT", 1, set_format, "md, csv, json or jsonl",
     "md (default), csv, json or jsonl on standard output"},
    {"html", 0, "FILE", 1, set_html, "a path", "write a page with plots"},
    {"svg", 0, "FILE", 1, set_svg, "a path", "write the plot of time against length"},
    {"compare", 0, "FILE...", 1, add_compare, "paths of result files",
     "compare with earlier results (-o json)"},
    {"profile", 0, NULL, 1, set_profile, NULL, "a line for each kernel too"},
    {"no-tune", 0, NULL, 1, option_no_tune, NULL,
     "run the usual kernels, whatever adamra tune has kept"},
    {"quiet", 0, NULL, 1, option_quiet, NULL, "no progress, no warnings"},
    {"verbose", 0, NULL, 1, option_verbose, NULL, "a line on standard error for each combination"},
    {"help", 'h', NULL, 1, option_help, NULL, "print this"},
};

static const struct flag_table table = {flags, ARRAY_SIZE(flags), 1};

/* ---- presets ---- */

struct preset {
    const char *name, *n, *kinds, *types;
    uint32_t repetitions;
    double min_seconds, max_seconds;
    bool measures;
    const char *about;
};

static const struct preset presets[] = {
    {"quick", "256-16384*4", "adamra,softmax", "f32", 10, 0.3, 20, true, "under a minute"},
    {"full", "256-1048576*4", "adamra,softmax,linear,bigbird", "f32,f16", 10, 1, 60, true,
     "every kind and type, to a million tokens"},
    {"mobile", "256-16384*4", "adamra,softmax", "f32,f16", 5, 0.2, 5, true,
     "for phones: short runs that do not heat them"},
    {"none", "1", "adamra", "f32", 1, 0, 1, false,
     "measures nothing: shows the files of --compare"},
};

static const struct preset *find_preset(const char *name)
{
    size_t i = 0;
    while (name && strcmp(presets[i].name, name) != 0) {
        i++;
    }
    return &presets[i];
}

static void default_counts(struct count_list *list, const char *text)
{
    if (list->count == 0) {
        list_counts(text, list);
    }
}

static void fill_defaults(struct bench_options *options)
{
    const struct preset *preset = find_preset(options->preset);
    default_counts(&options->n, preset->n);
    default_counts(&options->d, "64");
    default_counts(&options->d_model, "512");
    default_counts(&options->batch, "1");
    default_counts(&options->groups, "1");
    if (options->kinds.count == 0) {
        list_kinds(preset->kinds, &options->kinds);
    }
    if (options->types.count == 0) {
        list_types(preset->types, &options->types);
    }
    if (options->rates.count == 0) {
        list_rates("1,2,4,8", &options->rates);
    }
    if (options->repetitions == 0) {
        options->repetitions = preset->repetitions;
    }
    if (options->max_seconds < 0) {
        options->max_seconds = fmax(preset->max_seconds, options->min_seconds);
    }
    if (options->min_seconds < 0) {
        options->min_seconds = fmin(preset->min_seconds, options->max_seconds);
    }
    options->measures = preset->measures;
}

/* ---- all of it ---- */

#define IN(pass) (1U << (pass))
#define EVERY    ~0U

/* A flag that says nothing to the pass, or to a preset that measures nothing, is a mistake. */
static status check_uses(struct logger *log, const struct bench_options *options)
{
    const uint32_t attention = IN(PASS_CORE) | IN(PASS_LAYER), layer = IN(PASS_LAYER);
    const uint32_t encoder = IN(PASS_ENCODER), core = IN(PASS_CORE);
    const struct {
        const char *flag;
        bool given;
        uint32_t passes;
    } uses[] = {
        {"pass", options->op && options->pass_given, 0},
        {"attention", options->kinds.count > 0, attention},
        {"n", options->n.count > 0, attention | encoder},
        {"d", options->d.count > 0, attention},
        {"d-model", options->d_model.count > 0, layer},
        {"batch", options->batch.count > 0, attention | encoder},
        {"groups", options->groups.count > 0, attention},
        {"rates", options->rates.count > 0, attention},
        {"kv", options->kv_given, core},
        {"model", options->model != NULL, encoder},
        {"op", options->op != NULL, EVERY},
        {"pass", options->pass_given, EVERY},
        {"dtype", options->types.count > 0, EVERY},
        {"device", options->common.given & GIVEN_DEVICE, EVERY},
        {"repetitions", options->repetitions > 0, EVERY},
        {"min-seconds", options->min_seconds >= 0, EVERY},
        {"max-seconds", options->max_seconds >= 0, EVERY},
        {"profile", options->profile, EVERY},
    };
    const bool measures = find_preset(options->preset)->measures;
    for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
        if (uses[i].given && !measures) {
            return fail(log, STATUS_INVALID_ARGUMENT,
                        "bench: --%s has no meaning with --preset none, which measures nothing",
                        uses[i].flag);
        }
        if (uses[i].given && !(uses[i].passes & IN(options->pass))) {
            return fail(log, STATUS_INVALID_ARGUMENT, "bench: --%s has no meaning with %s%s",
                        uses[i].flag, options->op ? "--op" : "--pass ",
                        options->op ? "" : bench_pass_names[options->pass]);
        }
    }
    return STATUS_OK;
}

/* --compare takes all the words that follow it. */
static status take_operands(struct logger *log, struct bench_options *options)
{
    const struct word_list *operands = &options->common.operands;
    for (uint32_t i = 0; i < operands->count; i++) {
        if (options->compare_count == 0 || options->compare_count == LIST_MAX) {
            return fail(log, STATUS_INVALID_ARGUMENT,
                        "bench: unexpected word '%s'; only --compare takes files, %d at most",
                        operands->items[i], LIST_MAX);
        }
        options->compare[options->compare_count++] = operands->items[i];
    }
    return STATUS_OK;
}

status bench_options_parse(struct logger *log, int argc, char **argv, struct bench_options *options)
{
    *options = (struct bench_options){.min_seconds = -1, .max_seconds = -1};
    status result = options_parse_table(log, &table, argc, argv, &options->common);
    if (result != STATUS_OK || options->common.help) {
        return result;
    }
    if (options->op) {
        options->pass = PASS_OP;
    }
    result = check_uses(log, options);
    if (result == STATUS_OK) {
        result = take_operands(log, options);
    }
    if (result != STATUS_OK) {
        return result;
    }
    fill_defaults(options);
    if (!options->measures && options->compare_count == 0) {
        return fail(log, STATUS_INVALID_ARGUMENT,
                    "bench: --preset none shows the files of --compare; there are none");
    }
    if (options->profile && options->format != FORMAT_MD && options->format != FORMAT_JSON &&
        !options->html) {
        return fail(log, STATUS_INVALID_ARGUMENT,
                    "bench: --profile: expected --output md or json, or --html");
    }
    if (options->html && options->svg && strcmp(options->html, options->svg) == 0) {
        return fail(log, STATUS_INVALID_ARGUMENT, "bench: --html and --svg: expected two files");
    }
    if (options->min_seconds > options->max_seconds) {
        return fail(log, STATUS_INVALID_ARGUMENT,
                    "bench: --min-seconds %g; expected at most --max-seconds, %g",
                    options->min_seconds, options->max_seconds);
    }
    return STATUS_OK;
}

void bench_options_print(FILE *stream)
{
    flags_print(stream, &table);
    fprintf(stream, "\nPresets:\n");
    for (size_t i = 0; i < ARRAY_SIZE(presets); i++) {
        fprintf(stream, "  %-7s %s", presets[i].name, presets[i].about);
        if (presets[i].measures) {
            fprintf(stream, "; n %s, %s, %s, %g s at most each", presets[i].n, presets[i].kinds,
                    presets[i].types, presets[i].max_seconds);
        }
        fprintf(stream, "\n");
    }
}
