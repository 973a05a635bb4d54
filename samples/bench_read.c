/* bench_read: result files back into results. What the tables of fields need must be there and of
 * the right type; keys beyond them are ignored, so that later versions may add some. */
#include "base/file.h"
#include "bench_fields.h"
#include "model/strict_json.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The results come first: bench_results_destroy is given their address. */
struct result_file {
    struct bench_results results;
    struct arena arena;
};

struct reader {
    struct logger *log;
    const char *path;
    struct result_file *out;
    char prefix[64]; /* of keys in messages: "results[3]." */
};

static status refuse(const struct reader *reader, const char *key, const json_t *value,
                     const char *expected)
{
    char text[128];
    return fail(reader->log, STATUS_BAD_INPUT, "%s: %s%s: %s, expected %s", reader->path,
                reader->prefix, key, strict_json_text(value, text, sizeof(text)), expected);
}

static status no_memory(const struct reader *reader)
{
    return fail(reader->log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory for the results",
                reader->path);
}

/* ---- values ---- */

/* What a file holds reaches terminals: control characters become spaces. */
static status read_text(const struct reader *reader, const char *key, const json_t *value,
                        const char **out)
{
    if (!json_is_string(value)) {
        return refuse(reader, key, value, "a string");
    }
    char *text = arena_strdup(&reader->out->arena, json_string_value(value));
    for (char *at = text; at && *at; at++) {
        *at = (unsigned char)*at < ' ' || *at == 0x7f ? ' ' : *at;
    }
    *out = text;
    return text ? STATUS_OK : no_memory(reader);
}

static status read_integer(const struct reader *reader, const char *key, const json_t *value,
                           uint64_t limit, uint64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > limit) {
        return refuse(reader, key, value, "a whole number >= 0 that is in range");
    }
    *out = (uint64_t)json_integer_value(value);
    return STATUS_OK;
}

static status read_real(const struct reader *reader, const char *key, const json_t *value,
                        double *out)
{
    *out = json_number_value(value);
    bool fits = json_is_number(value) && isfinite(*out) && *out >= 0;
    return fits ? STATUS_OK : refuse(reader, key, value, "a number >= 0");
}

static status read_choice_of(const struct reader *reader, const char *key, const json_t *value,
                             const char *const *names, size_t count, size_t *out)
{
    char expected[96] = "";
    for (*out = 0; *out < count; ++*out) {
        if (json_is_string(value) && !strcmp(json_string_value(value), names[*out])) {
            return STATUS_OK;
        }
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof(expected) - used, "%s\"%s\"", used ? " or " : "",
                 names[*out]);
    }
    return refuse(reader, key, value, expected);
}

static status read_samples(const struct reader *reader, const json_t *value, struct bench_row *row)
{
    if (!json_is_array(value) || json_array_size(value) == 0) {
        return refuse(reader, "samples_ms", value, "a list of numbers, not empty");
    }
    row->sample_count = json_array_size(value);
    row->samples_ms = arena_alloc(&reader->out->arena, row->sample_count, sizeof(double));
    status result = row->samples_ms ? STATUS_OK : no_memory(reader);
    for (size_t i = 0; i < row->sample_count && result == STATUS_OK; i++) {
        result = read_real(reader, "samples_ms", json_array_get(value, i), &row->samples_ms[i]);
    }
    return result;
}

/* ---- records ---- */

/* Reads a value that is there into the field's place. */
static status read_value(const struct reader *reader, const struct bench_field *field,
                         const json_t *value, void *record)
{
    void *at = (char *)record + field->offset;
    uint64_t count = 0;
    size_t choice = 0;
    status result;
    switch (field->kind) {
    case FIELD_TEXT:
        return read_text(reader, field->name, value, at);
    case FIELD_REAL:
        return read_real(reader, field->name, value, at);
    case FIELD_COUNT:
        return read_integer(reader, field->name, value, INT64_MAX, at);
    case FIELD_INDEX:
        result = read_integer(reader, field->name, value, UINT32_MAX, &count);
        *(uint32_t *)at = (uint32_t)count;
        return result;
    case FIELD_ROW:
        result = read_integer(reader, field->name, value, INT32_MAX, &count);
        *(size_t *)at = (size_t)count;
        return result;
    case FIELD_PASS:
        result = read_choice_of(reader, field->name, value, bench_pass_names, PASS_OP + 1, &choice);
        *(enum bench_pass *)at = (enum bench_pass)choice;
        return result;
    case FIELD_STATUS:
        result =
            read_choice_of(reader, field->name, value, bench_status_names, ROW_WRONG + 1, &choice);
        *(enum bench_status *)at = (enum bench_status)choice;
        return result;
    case FIELD_SAMPLES:
        return read_samples(reader, value, record);
    }
    return STATUS_OK;
}

/* `state` is where the record's status is, which stands before what depends on it; NULL: none. */
static status read_record(const struct reader *reader, const struct field_list *list,
                          const json_t *object, void *record, const enum bench_status *state)
{
    status result = STATUS_OK;
    for (size_t i = 0; i < list->count && result == STATUS_OK; i++) {
        const struct bench_field *field = &list->items[i];
        const json_t *value = json_object_get(object, field->name);
        bool ok = !state || *state == ROW_OK;
        bool measured = field->presence == FIELD_OK || field->presence == FIELD_MAYBE_OK;
        bool needed = field->presence == FIELD_ALWAYS || (ok && field->presence == FIELD_OK);
        bool given = value && !json_is_null(value);
        if (needed || (given && (ok || !measured))) {
            result = read_value(reader, field, value, record);
        }
    }
    return result;
}

/* Starts messages with "KEY[INDEX]." and gives that element, an object. */
static status enter_element(struct reader *reader, const char *key, const json_t *list, size_t i,
                            const json_t **element)
{
    reader->prefix[0] = 0;
    char name[sizeof(reader->prefix) - 2];
    snprintf(name, sizeof(name), "%s[%zu]", key, i);
    *element = json_array_get(list, i);
    if (!json_is_object(*element)) {
        return refuse(reader, name, *element, "an object");
    }
    snprintf(reader->prefix, sizeof(reader->prefix), "%s.", name);
    return STATUS_OK;
}

/* The list `key` of the file, and zeroed memory for its elements. */
static status enter_list(struct reader *reader, const json_t *root, const char *key, bool needed,
                         size_t size, const json_t **list, void *memory)
{
    reader->prefix[0] = 0;
    *list = json_object_get(root, key);
    if (*list ? !json_is_array(*list) : needed) {
        return refuse(reader, key, *list, "a list");
    }
    void *elements = arena_alloc(&reader->out->arena, json_array_size(*list), size);
    memcpy(memory, &elements, sizeof(elements));
    return elements ? STATUS_OK : no_memory(reader);
}

/* ---- the file's parts ---- */

static status read_devices(struct reader *reader, const json_t *root)
{
    struct bench_results *results = &reader->out->results;
    const json_t *list, *element;
    status result = enter_list(reader, root, "devices", true, sizeof(*results->devices), &list,
                               &results->devices);
    for (size_t i = 0; i < json_array_size(list) && result == STATUS_OK; i++) {
        result = enter_element(reader, "devices", list, i, &element);
        if (result == STATUS_OK) {
            result = read_record(reader, &bench_device_fields, element, &results->devices[i], NULL);
            results->device_count = i + 1;
        }
    }
    return result;
}

static status read_rows(struct reader *reader, const json_t *root)
{
    struct bench_results *results = &reader->out->results;
    const json_t *list, *element;
    status result =
        enter_list(reader, root, "results", true, sizeof(*results->rows), &list, &results->rows);
    for (size_t i = 0; i < json_array_size(list) && result == STATUS_OK; i++) {
        struct bench_row *row = &results->rows[i];
        result = enter_element(reader, "results", list, i, &element);
        if (result == STATUS_OK) {
            result = read_record(reader, &bench_row_fields, element, row, &row->status);
        }
        if (result == STATUS_OK && !bench_find_device(results, row->device)) {
            result = refuse(reader, "device", json_object_get(element, "device"),
                            "the index of one of \"devices\"");
        }
        if (result == STATUS_OK && (row->pass == PASS_OP ? !row->op : !row->attention)) {
            const char *key = row->pass == PASS_OP ? "op" : "attention";
            result = refuse(reader, key, json_object_get(element, key), "a string");
        }
        results->row_count = i + 1;
    }
    return result;
}

/* The first adamra row with the options that a crossover names. */
static bool find_crossover_row(const struct bench_results *results, const struct bench_row *options,
                               size_t *out)
{
    for (*out = 0; *out < results->row_count; ++*out) {
        const struct bench_row *row = &results->rows[*out];
        bool equal = row->device == options->device;
        for (size_t i = 0; i < bench_row_fields.count && equal; i++) {
            const struct bench_field *field = &bench_row_fields.items[i];
            equal = !field->option || !strcmp(field->name, "n") || field_equal(field, row, options);
        }
        if (equal) {
            return true;
        }
    }
    return false;
}

static status read_crossover(struct reader *reader, const json_t *element,
                             struct bench_crossover *crossover)
{
    struct bench_row options = {0};
    const json_t *n = json_object_get(element, "n");
    status result =
        read_text(reader, "against", json_object_get(element, "against"), &crossover->against);
    if (result == STATUS_OK && n && !json_is_null(n)) {
        result = read_real(reader, "n", n, &crossover->n);
    }
    if (result == STATUS_OK && crossover->n > (double)INT32_MAX * INT32_MAX) {
        result = refuse(reader, "n", n, "a length");
    }
    for (size_t i = 0; i < bench_row_fields.count && result == STATUS_OK; i++) {
        const struct bench_field *field = &bench_row_fields.items[i];
        const json_t *value = json_object_get(element, field->name);
        bool given = value && !json_is_null(value);
        bool wanted = (i == 0 || field->option) && strcmp(field->name, "n") != 0;
        if (wanted && (given || field->presence == FIELD_ALWAYS)) {
            result = read_value(reader, field, value, &options);
        }
    }
    crossover->device = options.device;
    if (result == STATUS_OK &&
        !find_crossover_row(&reader->out->results, &options, &crossover->row)) {
        reader->prefix[strlen(reader->prefix) - 1] = 0; /* without the point */
        result = refuse(reader, "", element, "the options of one of \"results\"");
    }
    return result;
}

static status read_crossovers(struct reader *reader, const json_t *root)
{
    struct bench_results *results = &reader->out->results;
    const json_t *list, *element;
    status result = enter_list(reader, root, "crossovers", false, sizeof(*results->crossovers),
                               &list, &results->crossovers);
    for (size_t i = 0; i < json_array_size(list) && result == STATUS_OK; i++) {
        result = enter_element(reader, "crossovers", list, i, &element);
        if (result == STATUS_OK) {
            result = read_crossover(reader, element, &results->crossovers[i]);
            results->crossover_count = i + 1;
        }
    }
    return result;
}

static status read_kernels(struct reader *reader, const json_t *root)
{
    struct bench_results *results = &reader->out->results;
    const json_t *list, *element;
    status result = enter_list(reader, root, "profile", false, sizeof(*results->kernels), &list,
                               &results->kernels);
    for (size_t i = 0; i < json_array_size(list) && result == STATUS_OK; i++) {
        struct bench_kernel *kernel = &results->kernels[i];
        result = enter_element(reader, "profile", list, i, &element);
        if (result == STATUS_OK) {
            result = read_record(reader, &bench_kernel_fields, element, kernel, NULL);
        }
        if (result == STATUS_OK && kernel->row >= results->row_count) {
            result = refuse(reader, "result", json_object_get(element, "result"),
                            "the place of one of \"results\"");
        }
        results->kernel_count = i + 1;
    }
    return result;
}

static status read_run(struct reader *reader, const json_t *root)
{
    struct bench_results *results = &reader->out->results;
    const json_t *schema = json_object_get(root, "schema"), *list;
    const json_t *build = json_object_get(root, "build");
    if (!json_is_integer(schema) || json_integer_value(schema) != BENCH_SCHEMA) {
        return refuse(reader, "schema", schema, "1");
    }
    const struct {
        const char *prefix, *key;
        const json_t *object;
        const char **out;
    } texts[] = {
        {"", "adamra", root, &results->version},
        {"", "date", root, &results->date},
        {"build.", "compiler", build, &results->build_compiler},
        {"build.", "type", build, &results->build_type},
        {"build.", "commit", build, &results->build_commit},
    };
    status result = STATUS_OK;
    for (size_t i = 0; i < ARRAY_SIZE(texts) && result == STATUS_OK; i++) {
        snprintf(reader->prefix, sizeof(reader->prefix), "%s", texts[i].prefix);
        const json_t *value = json_object_get(texts[i].object, texts[i].key);
        result = read_text(reader, texts[i].key, value, texts[i].out);
    }
    if (result == STATUS_OK) {
        result = enter_list(reader, root, "command", true, sizeof(*results->command), &list,
                            &results->command);
    }
    for (size_t i = 0; result == STATUS_OK && i < json_array_size(list); i++) {
        result = read_text(reader, "command", json_array_get(list, i), &results->command[i]);
        results->command_count = i + 1;
    }
    return result;
}

/* ---- files ---- */

static status read_file(struct reader *reader)
{
    status (*const parts[])(struct reader *, const json_t *) = {read_run, read_devices, read_rows,
                                                                read_crossovers, read_kernels};
    struct file_view view;
    json_t *root = NULL;
    status result = file_view_open(reader->log, reader->path, NULL, &view);
    if (result != STATUS_OK) {
        return result;
    }
    result =
        strict_json_parse(reader->log, reader->path, "result file", view.bytes, view.size, &root);
    file_view_finish(&view);
    for (size_t i = 0; i < ARRAY_SIZE(parts) && result == STATUS_OK; i++) {
        result = parts[i](reader, root);
    }
    json_decref(root);
    return result;
}

struct bench_results *bench_read(const char *path, int *exit_status)
{
    struct logger log = {.write = bench_print_error};
    struct result_file *file = calloc(1, sizeof(*file));
    struct reader reader = {.log = &log, .path = path, .out = file};
    status result = file ? read_file(&reader) : no_memory(&reader);
    *exit_status = bench_exit_status(result);
    if (result == STATUS_OK) {
        return &file->results;
    }
    bench_results_destroy(file ? &file->results : NULL);
    return NULL;
}

void bench_results_destroy(struct bench_results *results)
{
    struct result_file *file = (struct result_file *)results;
    if (file) {
        arena_finish(&file->arena);
        free(file);
    }
}
