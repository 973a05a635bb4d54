#include "options.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- values: each returns false for a text that can never be right ---- */

bool option_device(struct options *options, const char *text)
{
    options->given |= GIVEN_DEVICE;
    options->device = text;
    return *text != 0;
}

static bool set_type(struct options *options, const char *text)
{
    options->given |= GIVEN_DTYPE;
    uint32_t choice = 0;
    bool known = read_choice(text, (const char *const[]){"f32", "f16", NULL}, &choice);
    options->type = choice ? ADAMRA_F16 : ADAMRA_F32;
    return known;
}

static bool set_max_submit_ms(struct options *options, const char *text)
{
    if (strcmp(text, "none") == 0) {
        options->max_submit_ms = -1;
        return true;
    }
    return read_real(text, &options->max_submit_ms) && options->max_submit_ms > 0;
}

static bool set_max_device_memory(struct options *options, const char *text)
{
    return read_bytes(text, &options->max_device_memory);
}

bool option_quiet(struct options *options, const char *text)
{
    (void)text;
    return options->quiet = true;
}

bool option_verbose(struct options *options, const char *text)
{
    (void)text;
    return options->verbose = true;
}

bool option_help(struct options *options, const char *text)
{
    (void)text;
    return options->help = true;
}

bool option_no_tune(struct options *options, const char *text)
{
    (void)text;
    return options->no_tune = true;
}

static bool set_max_seconds(struct options *options, const char *text)
{
    return read_real(text, &options->max_seconds) && options->max_seconds > 0;
}

static bool set_json(struct options *options, const char *text)
{
    (void)text;
    return options->json = true;
}

static bool set_output(struct options *options, const char *text)
{
    options->output = text;
    return *text != 0;
}

static bool set_tokens(struct options *options, const char *text)
{
    options->tokens = text;
    return *text != 0;
}

static bool set_attention(struct options *options, const char *text)
{
    static const char *const kinds[] = {"adamra", "softmax", "linear", "bigbird", NULL};
    uint32_t choice;
    options->attention = text;
    return read_choice(text, kinds, &choice);
}

static bool set_rates(struct options *options, const char *text)
{
    options->rate_count = 0;
    for (;; text++) {
        if (options->rate_count == ADAMRA_MAX_HEADS ||
            !read_count(text, 1, &options->rates[options->rate_count], &text)) {
            return false;
        }
        options->rate_count++;
        if (*text != ',') {
            return *text == 0;
        }
    }
}

static bool set_routing(struct options *options, const char *text)
{
    uint32_t choice = 0;
    bool known = read_choice(text, (const char *const[]){"top1", "soft", "none", NULL}, &choice);
    options->routing = (adamra_routing)choice;
    return known;
}

static bool set_feature_map(struct options *options, const char *text)
{
    uint32_t choice = 0;
    bool known = read_choice(text, (const char *const[]){"elu1", "relu", NULL}, &choice);
    options->feature_map = (adamra_feature_map)choice;
    return known;
}

static bool set_pooling(struct options *options, const char *text)
{
    uint32_t choice = 0;
    bool known = read_choice(text, (const char *const[]){"mean", "max", NULL}, &choice);
    options->pooling = (adamra_pooling)choice;
    return known;
}

static bool set_eps(struct options *options, const char *text)
{
    double number;
    if (!read_real(text, &number)) {
        return false;
    }
    options->eps = strtof(text, NULL);
    return isfinite(options->eps) && options->eps >= FLT_MIN;
}

static bool read_whole(const char *text, uint32_t low, uint32_t *out)
{
    const char *end;
    return read_count(text, low, out, &end) && *end == 0;
}

static bool set_block(struct options *options, const char *text)
{
    return read_whole(text, 1, &options->bigbird.block);
}

static bool set_global_blocks(struct options *options, const char *text)
{
    return read_whole(text, 0, &options->bigbird.global_blocks);
}

static bool set_window(struct options *options, const char *text)
{
    return read_whole(text, 1, &options->bigbird.window) && options->bigbird.window % 2 == 1;
}

static bool set_random_blocks(struct options *options, const char *text)
{
    return read_whole(text, 0, &options->bigbird.random_blocks);
}

static bool set_seed(struct options *options, const char *text)
{
    return read_whole(text, 0, &options->bigbird.seed);
}

static bool set_repeat(struct options *options, const char *text)
{
    return read_whole(text, 1, &options->repeat);
}

static bool set_test_seed(struct options *options, const char *text)
{
    uint32_t seed = 0;
    bool right = read_whole(text, 0, &seed);
    options->seed = seed;
    return right;
}

static bool set_top(struct options *options, const char *text)
{
    return read_whole(text, 1, &options->top);
}

static bool add_text(struct options *options, const char *text)
{
    options->texts.items[options->texts.count++] = text;
    return true;
}

static bool add_jsonl(struct options *options, const char *text)
{
    options->jsonl.items[options->jsonl.count++] = text;
    return *text != 0;
}

/* ---- flags ---- */

#define FOR_MODELS  (FOR_CLASSIFY | FOR_RUN)
#define FOR_RESULTS (FOR_ATTEND | FOR_RUN)
#define FOR_RUNS    (FOR_ATTEND | FOR_MODELS)

#define EXPECTED_DEVICE "an index, a part of a name or a UUID"

/* The order in which --help lists them. */
static const struct flag flags[] = {
    {"output", 'o', "FILE", FOR_RESULTS, set_output, "a path", "safetensors file to write"},
    {"tokens", 0, "FILE", FOR_RUN, set_tokens, "a path", "safetensors file with token ids"},
    {"attention", 0, "KIND", FOR_ATTEND, set_attention, "adamra, softmax, linear or bigbird",
     "adamra (default), softmax, linear or bigbird"},
    {"rates", 0, "LIST", FOR_ATTEND, set_rates,
     "1 to 64 whole numbers >= 1 with commas between them, for example 1,2,4,8",
     "compression rate of each head, for example 1,2,4,8 (adamra)"},
    {"routing", 0, "KIND", FOR_ATTEND, set_routing, "top1, soft or none",
     "top1 (default), soft or none (adamra)"},
    {"feature-map", 0, "KIND", FOR_ATTEND, set_feature_map, "elu1 or relu",
     "elu1 (default) or relu (adamra, linear)"},
    {"pooling", 0, "KIND", FOR_ATTEND, set_pooling, "mean or max",
     "mean (default) or max (adamra)"},
    {"eps", 0, "X", FOR_ATTEND, set_eps, "a number >= 1.17549435e-38 that 32 bits hold",
     "added to the normaliser (default 1e-6; adamra, linear)"},
    {"block", 0, "N", FOR_ATTEND, set_block, "a whole number >= 1",
     "tokens of a block (default 64; bigbird)"},
    {"global-blocks", 0, "N", FOR_ATTEND, set_global_blocks, "a whole number",
     "first blocks, which see all and which all see (default 2; bigbird)"},
    {"window", 0, "N", FOR_ATTEND, set_window, "an odd whole number",
     "blocks around a query's own (default 3; bigbird)"},
    {"random-blocks", 0, "N", FOR_ATTEND, set_random_blocks, "a whole number",
     "blocks drawn besides (default 3; bigbird)"},
    {"seed", 0, "N", FOR_ATTEND, set_seed, "a whole number below 2^32",
     "what they are drawn from (default 0; bigbird)"},
    {"repeat", 0, "N", FOR_SELFTEST, set_repeat, "a whole number >= 1",
     "test N times, each time with other inputs (default 1)"},
    {"seed", 0, "S", FOR_SELFTEST, set_test_seed, "a whole number below 2^32",
     "what the first inputs are drawn from (default 1)"},
    {"text", 0, "STRING", FOR_CLASSIFY, add_text, "a text", "a text to classify; may be repeated"},
    {"jsonl", 0, "FILE", FOR_CLASSIFY, add_jsonl, "a path",
     "lines of {\"text\", \"label\"}; prints the accuracy; may be repeated"},
    {"top", 0, "K", FOR_CLASSIFY, set_top, "a whole number >= 1",
     "print the K most probable labels (default 1)"},
    {"json", 0, NULL, FOR_DEVICES | FOR_CLASSIFY | FOR_TUNE, set_json, NULL, "print JSON"},
    {"device", 0, "DEVICE", FOR_ALL & ~FOR_DEVICES, option_device, EXPECTED_DEVICE,
     "index, part of the name or UUID (default: $ADAMRA_DEVICE, else the best one)"},
    {"device", 0, "DEVICE", FOR_DEVICES, option_device, EXPECTED_DEVICE,
     "index, part of the name or UUID of the one to print (default: all)"},
    {"dtype", 0, "TYPE", FOR_ALL & ~FOR_SELFTEST, set_type, "f32 or f16",
     "storage: f32 (default) or f16"},
    {"dtype", 0, "TYPE", FOR_SELFTEST, set_type, "f32 or f16",
     "storage: f32 or f16 (default: both)"},
    {"max-device-memory", 0, "SIZE", FOR_ATTEND, set_max_device_memory,
     "a whole number >= 1, with K, M or G for 2^10, 2^20 or 2^30 of them",
     "memory of the device to take at most, for example 256M (default: what is free)"},
    {"max-submit-ms", 0, "MS|none", FOR_RUNS, set_max_submit_ms, "a number > 0, or none",
     "no submission runs longer on the device, as far as can be told (default 100)"},
    {"max-seconds", 0, "S", FOR_TUNE, set_max_seconds, "a number of seconds above 0",
     "measure for so long (default 60); what was begun by then may take seconds more"},
    {"no-tune", 0, NULL, FOR_RUNS, option_no_tune, NULL,
     "run the usual kernels, whatever adamra tune has kept"},
    {"quiet", 0, NULL, FOR_ALL, option_quiet, NULL, "no device line, no warnings"},
    {"verbose", 0, NULL, FOR_ALL, option_verbose, NULL,
     "more about what is done and how long it took"},
    {"help", 'h', NULL, FOR_ALL, option_help, NULL, "print this"},
};

static struct flag_table shared_flags(enum command_bit bit)
{
    return (struct flag_table){flags, ARRAY_SIZE(flags), (uint32_t)bit};
}

status options_parse(struct logger *log, enum command_bit bit, int argc, char **argv,
                     struct options *options)
{
    struct flag_table table = shared_flags(bit);
    return options_parse_table(log, &table, argc, argv, options);
}

status options_parse_table(struct logger *log, const struct flag_table *table, int argc,
                           char **argv, struct options *options)
{
    const char *device = getenv("ADAMRA_DEVICE"), *limits = getenv("ADAMRA_LIMITS");
    *options = (struct options){
        .attention = "adamra", .top = 1, .repeat = 1, .seed = 1, .bigbird = {64, 2, 3, 3, 0}};
    options->device = device && *device ? device : NULL;
    options->limits = limits && *limits ? limits : NULL;
    struct word_list *lists[] = {&options->texts, &options->jsonl, &options->operands};
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        lists[i]->items = calloc((size_t)argc, sizeof(*lists[i]->items));
        if (!lists[i]->items) {
            return fail(log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory for %d words", argv[0],
                        argc);
        }
    }
    int first = argc;
    status result = flags_parse(log, table, argc, argv, options, &first);
    for (int i = first; result == STATUS_OK && i < argc; i++) {
        options->operands.items[options->operands.count++] = argv[i];
    }
    return result;
}

void options_finish(struct options *options)
{
    free(options->texts.items);
    free(options->jsonl.items);
    free(options->operands.items);
    *options = (struct options){0};
}

void options_print(FILE *stream, enum command_bit bit)
{
    struct flag_table table = shared_flags(bit);
    flags_print(stream, &table);
}
