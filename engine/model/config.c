/* config: a model's config.json, checked against tables of keys, one row a key. */
#include "model/config.h"
#include "base/file.h"
#include "model/strict_json.h"
#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Sizes beyond these do not fit the engine's 32 bit element counts. */
#define WIDTH_LIMIT   (1 << 20)
#define COUNT_LIMIT   (1 << 24) /* of tokens or positions */
#define LAYER_LIMIT   4096
#define RATE_LIMIT    (1 << 30)
#define WEIGHTS_LIMIT INT32_MAX /* of one tensor */

struct reader {
    struct logger *log;
    const char *path;
    const json_t *root;
    const char *prefix; /* of root's keys in messages */
    struct model_config *config;
};

struct integer_key {
    const char *key;
    size_t offset; /* of a uint32_t in model_config */
    uint32_t min, max;
};

#define FIELD(name) #name, offsetof(struct model_config, name)

static const struct integer_key integer_keys[] = {
    {FIELD(vocab_size), 1, COUNT_LIMIT},
    {FIELD(pad_token_id), 0, COUNT_LIMIT},
    {FIELD(max_position_embeddings), 1, COUNT_LIMIT},
    {FIELD(hidden_size), 1, WIDTH_LIMIT},
    {FIELD(num_hidden_layers), 1, LAYER_LIMIT},
    {FIELD(intermediate_size), 1, WIDTH_LIMIT},
    {FIELD(classifier_size), 1, WIDTH_LIMIT},
    {FIELD(num_labels), 1, CONFIG_MAX_LABELS},
    {FIELD(num_groups), 1, WIDTH_LIMIT},
    {FIELD(head_dim), 1, WIDTH_LIMIT},
};

/* What bigbird's object may hold. */
static const struct integer_key bigbird_keys[] = {
    {"block", offsetof(struct model_config, bigbird.block), 1, UINT32_MAX},
    {"global_blocks", offsetof(struct model_config, bigbird.global_blocks), 0, UINT32_MAX},
    {"window", offsetof(struct model_config, bigbird.window), 1, UINT32_MAX},
    {"random_blocks", offsetof(struct model_config, bigbird.random_blocks), 0, UINT32_MAX},
    {"seed", offsetof(struct model_config, bigbird.seed), 0, UINT32_MAX},
};

/* Strings that can be one thing only. */
static const struct {
    const char *key;
    const char *values[2];
} constant_keys[] = {
    {"model_type", {"adamra"}},
    {"task", {"sequence-classification"}},
    {"hidden_act", {"gelu"}},
};

/* A string of a few: its place in `values` is the number that is kept. */
struct choice_key {
    const char *key;
    bool for_linear; /* besides the kinds with rates; the others ignore it */
    size_t offset;   /* of a uint32_t in model_config */
    const char *values[3];
};

static const struct choice_key choice_keys[] = {
    {"feature_map",
     true,
     offsetof(struct model_config, feature),
     {[FEATURE_ELU1] = "elu1", [FEATURE_RELU] = "relu"}},
    {"routing",
     false,
     offsetof(struct model_config, routing),
     {[ROUTING_TOP1] = "top1", [ROUTING_SOFT] = "soft"}},
    {"pooling",
     false,
     offsetof(struct model_config, pooling),
     {[POOLING_MEAN] = "mean", [POOLING_MAX] = "max"}},
};

static const char *const tokenizers[] = {"ids", "bytes", NULL};

/* Weight tensors by their two sides, whose product is limited. */
static const struct {
    const char *key;
    size_t offset;
} sides[] = {
    {FIELD(vocab_size)},
    {FIELD(max_position_embeddings)},
    {FIELD(intermediate_size)},
    {FIELD(classifier_size)},
};

static uint32_t *field_at(struct model_config *config, size_t offset)
{
    return (uint32_t *)(void *)((char *)config + offset);
}

/* Reports a key's value, or that it is missing. */
static status fail_key(const struct reader *reader, const char *key, const char *expected)
{
    char text[80];
    const json_t *value = json_object_get(reader->root, key);
    if (!value)
        return fail(reader->log, STATUS_BAD_INPUT, "%s: key \"%s%s\" is missing: expected %s",
                    reader->path, reader->prefix, key, expected);
    return fail(reader->log, STATUS_BAD_INPUT, "%s: key \"%s%s\": expected %s, got %s",
                reader->path, reader->prefix, key, expected,
                strict_json_text(value, text, sizeof(text)));
}

static status fail_memory(const struct reader *reader)
{
    return fail(reader->log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory for its content",
                reader->path);
}

static bool integer_within(const json_t *value, uint32_t min, uint32_t max)
{
    return json_is_integer(value) && json_integer_value(value) >= min &&
           json_integer_value(value) <= max;
}

static status read_integer(const struct reader *reader, const struct integer_key *row)
{
    const json_t *value = json_object_get(reader->root, row->key);
    char expected[80];
    if (integer_within(value, row->min, row->max)) {
        *field_at(reader->config, row->offset) = (uint32_t)json_integer_value(value);
        return STATUS_OK;
    }
    snprintf(expected, sizeof(expected), "an integer of %" PRIu32 "..%" PRIu32, row->min, row->max);
    return fail_key(reader, row->key, expected);
}

/* The place of the key's string in `values`, a list that ends with NULL. */
static status read_choice(const struct reader *reader, const char *key, const char *const *values,
                          uint32_t *out)
{
    const char *text = json_string_value(json_object_get(reader->root, key));
    char expected[256] = "";
    for (uint32_t i = 0; values[i]; i++) {
        if (text && strcmp(text, values[i]) == 0) {
            *out = i;
            return STATUS_OK;
        }
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof(expected) - used, "%s\"%s\"", i ? " or " : "", values[i]);
    }
    return fail_key(reader, key, expected);
}

static status read_attention(const struct reader *reader)
{
    const char *names[16] = {NULL};
    for (uint32_t i = 0; i < attn_kind_count && i + 1 < ARRAY_SIZE(names); i++)
        names[i] = attn_kinds[i]->name;
    uint32_t index;
    status result = read_choice(reader, "attention", names, &index);
    if (result == STATUS_OK)
        reader->config->attention = attn_kinds[index];
    return result;
}

static status read_rates(const struct reader *reader)
{
    static const char key[] = "compression_rates";
    struct model_config *config = reader->config;
    const json_t *list = json_object_get(reader->root, key);
    char expected[80];
    config->heads = 1;
    config->rates[0] = 1;
    if (!config->attention->multires)
        return STATUS_OK;
    snprintf(expected, sizeof(expected), "a list of 1..%d integers of 1..%d", ATTN_MAX_HEADS,
             RATE_LIMIT);
    if (json_array_size(list) < 1 || json_array_size(list) > ATTN_MAX_HEADS)
        return fail_key(reader, key, expected);
    config->heads = (uint32_t)json_array_size(list);
    for (uint32_t h = 0; h < config->heads; h++) {
        const json_t *rate = json_array_get(list, h);
        if (!integer_within(rate, 1, RATE_LIMIT))
            return fail_key(reader, key, expected);
        config->rates[h] = (uint32_t)json_integer_value(rate);
    }
    return STATUS_OK;
}

static status read_bigbird(const struct reader *reader)
{
    struct model_config *config = reader->config;
    const json_t *object = json_object_get(reader->root, "bigbird");
    struct reader inner = *reader;
    inner.root = object;
    inner.prefix = "bigbird.";
    config->bigbird = bigbird_defaults;
    if (config->attention != &attn_bigbird || !object)
        return STATUS_OK;
    if (!json_is_object(object))
        return fail_key(reader, "bigbird", "an object");
    for (size_t i = 0; i < ARRAY_SIZE(bigbird_keys); i++) {
        status result = STATUS_OK;
        if (json_object_get(object, bigbird_keys[i].key))
            result = read_integer(&inner, &bigbird_keys[i]);
        if (result != STATUS_OK)
            return result;
    }
    if (config->bigbird.window % 2 == 0)
        return fail_key(&inner, "window", "an odd number");
    return STATUS_OK;
}

static status read_labels(const struct reader *reader)
{
    struct model_config *config = reader->config;
    const json_t *list = json_object_get(reader->root, "labels");
    char expected[80];
    snprintf(expected, sizeof(expected), "a list of %" PRIu32 " strings, as num_labels says",
             config->num_labels);
    if (!json_is_array(list) || json_array_size(list) != config->num_labels)
        return fail_key(reader, "labels", expected);
    config->labels = arena_alloc(&config->arena, config->num_labels, sizeof(*config->labels));
    if (!config->labels)
        return fail_memory(reader);
    for (uint32_t i = 0; i < config->num_labels; i++) {
        const json_t *label = json_array_get(list, i);
        if (!json_is_string(label))
            return fail_key(reader, "labels", expected);
        config->labels[i] = arena_strdup(&config->arena, json_string_value(label));
        if (!config->labels[i])
            return fail_memory(reader);
    }
    return STATUS_OK;
}

static status read_eps(const struct reader *reader)
{
    const json_t *value = json_object_get(reader->root, "layer_norm_eps");
    double eps = json_number_value(value);
    /* Devices take what is below the least normal number for zero, some not everywhere. */
    if (!json_is_number(value) || eps < 0 || eps > (double)FLT_MAX ||
        (eps > 0 && (float)eps < FLT_MIN))
        return fail_key(reader, "layer_norm_eps", "0, or a number of 1.2e-38 to 3.4e38");
    reader->config->layer_norm_eps = (float)eps;
    return STATUS_OK;
}

static status read_tokenizer(const struct reader *reader)
{
    uint32_t index = 0;
    status result = read_choice(reader, "tokenizer", tokenizers, &index);
    if (result != STATUS_OK)
        return result;
    reader->config->bytes_tokenizer = index == 1;
    if (reader->config->bytes_tokenizer && reader->config->vocab_size < 256)
        return fail_key(reader, "vocab_size", "at least 256 for the tokenizer \"bytes\"");
    if (reader->config->pad_token_id >= reader->config->vocab_size)
        return fail_key(reader, "pad_token_id", "less than vocab_size");
    return STATUS_OK;
}

/* Every weight tensor's element count fits the engine's arithmetic. */
static status check_products(const struct reader *reader)
{
    struct model_config *config = reader->config;
    uint64_t hidden = config->hidden_size;
    for (size_t i = 0; i < ARRAY_SIZE(sides); i++)
        if (hidden * *field_at(config, sides[i].offset) > WEIGHTS_LIMIT)
            return fail(reader->log, STATUS_BAD_INPUT,
                        "%s: keys \"hidden_size\" and \"%s\": expected a product of at most %d",
                        reader->path, sides[i].key, WEIGHTS_LIMIT);
    if ((uint64_t)config->num_labels * config->classifier_size > WEIGHTS_LIMIT)
        return fail(reader->log, STATUS_BAD_INPUT,
                    "%s: keys \"num_labels\" and \"classifier_size\": expected a product of at "
                    "most %d",
                    reader->path, WEIGHTS_LIMIT);
    uint64_t rows = (uint64_t)config->num_groups * config->head_dim; /* 2^40 at most */
    if (rows * config->heads > WIDTH_LIMIT || rows * config->heads * hidden > WEIGHTS_LIMIT)
        return fail(reader->log, STATUS_BAD_INPUT,
                    "%s: keys \"num_groups\", \"head_dim\" and \"compression_rates\": expected at "
                    "most %d key rows in all, and %d weights",
                    reader->path, WIDTH_LIMIT, WEIGHTS_LIMIT);
    return STATUS_OK;
}

static status read_constants(const struct reader *reader)
{
    status result = STATUS_OK;
    uint32_t index;
    for (size_t i = 0; i < ARRAY_SIZE(constant_keys) && result == STATUS_OK; i++)
        result = read_choice(reader, constant_keys[i].key, constant_keys[i].values, &index);
    return result;
}

static status read_choices(const struct reader *reader)
{
    const struct attn_kind *kind = reader->config->attention;
    status result = STATUS_OK;
    for (size_t i = 0; i < ARRAY_SIZE(choice_keys) && result == STATUS_OK; i++) {
        const struct choice_key *row = &choice_keys[i];
        if (kind->multires || (row->for_linear && kind == &attn_linear))
            result =
                read_choice(reader, row->key, row->values, field_at(reader->config, row->offset));
    }
    return result;
}

static status read_integers(const struct reader *reader)
{
    status result = STATUS_OK;
    for (size_t i = 0; i < ARRAY_SIZE(integer_keys) && result == STATUS_OK; i++)
        result = read_integer(reader, &integer_keys[i]);
    return result;
}

/* In this order: later steps rely on what earlier ones have read. */
static status (*const steps[])(const struct reader *reader) = {
    read_constants, read_attention, read_choices, read_integers, read_tokenizer,
    read_rates,     read_bigbird,   read_labels,  read_eps,      check_products,
};

status config_parse(struct logger *log, const char *path, const char *text, size_t size,
                    struct model_config *config)
{
    *config = (struct model_config){0};
    json_t *root;
    status result = strict_json_parse(log, path, "model configuration", text, size, &root);
    if (result != STATUS_OK)
        return result;
    struct reader reader = {.log = log, .path = path, .root = root, .prefix = "", .config = config};
    for (size_t i = 0; i < ARRAY_SIZE(steps) && result == STATUS_OK; i++)
        result = steps[i](&reader);
    json_decref(root);
    if (result != STATUS_OK)
        config_finish(config);
    return result;
}

status config_open(struct logger *log, const char *path, struct model_config *config)
{
    struct file_view view;
    *config = (struct model_config){0};
    status result = file_view_open(log, path, NULL, &view);
    if (result != STATUS_OK)
        return result;
    result = config_parse(log, path, view.bytes, view.size, config);
    file_view_finish(&view);
    return result;
}

void config_finish(struct model_config *config)
{
    arena_finish(&config->arena);
    *config = (struct model_config){0};
}
