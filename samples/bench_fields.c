#include "bench_fields.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const bench_pass_names[] = {"core", "layer", "encoder", "op"};
const char *const bench_status_names[] = {"ok", "skipped", "wrong"};

/* ---- tables ---- */

#define OPTION(name, kind, presence)                                                               \
    {                                                                                              \
#name, kind, presence, offsetof(struct bench_row, name), true                              \
    }
#define RESULT(name, kind, presence)                                                               \
    {                                                                                              \
#name, kind, presence, offsetof(struct bench_row, name), false                             \
    }

static const struct bench_field row_fields[] = {
    RESULT(device, FIELD_INDEX, FIELD_ALWAYS),
    OPTION(attention, FIELD_TEXT, FIELD_MAYBE),
    OPTION(pass, FIELD_PASS, FIELD_ALWAYS),
    OPTION(dtype, FIELD_TEXT, FIELD_ALWAYS),
    OPTION(rates, FIELD_TEXT, FIELD_ALWAYS),
    OPTION(kv, FIELD_TEXT, FIELD_ALWAYS),
    OPTION(op, FIELD_TEXT, FIELD_MAYBE),
    OPTION(n, FIELD_COUNT, FIELD_ALWAYS),
    OPTION(d, FIELD_COUNT, FIELD_ALWAYS),
    OPTION(batch, FIELD_COUNT, FIELD_ALWAYS),
    OPTION(groups, FIELD_COUNT, FIELD_ALWAYS),
    OPTION(d_model, FIELD_COUNT, FIELD_ALWAYS),
    RESULT(status, FIELD_STATUS, FIELD_ALWAYS),
    RESULT(reason, FIELD_TEXT, FIELD_ALWAYS),
    RESULT(ms_min, FIELD_REAL, FIELD_OK),
    RESULT(ms_median, FIELD_REAL, FIELD_OK),
    RESULT(ms_p95, FIELD_REAL, FIELD_OK),
    RESULT(ms_max, FIELD_REAL, FIELD_OK),
    RESULT(samples_ms, FIELD_SAMPLES, FIELD_OK),
    RESULT(host_ms_median, FIELD_REAL, FIELD_MAYBE_OK),
    RESULT(first_ms, FIELD_REAL, FIELD_MAYBE_OK),
    RESULT(first_warm_ms, FIELD_REAL, FIELD_MAYBE_OK),
    RESULT(tokens_per_s, FIELD_REAL, FIELD_MAYBE_OK),
    RESULT(ns_per_token, FIELD_REAL, FIELD_MAYBE_OK),
    RESULT(operations, FIELD_REAL, FIELD_MAYBE_OK),
    RESULT(bytes, FIELD_REAL, FIELD_MAYBE_OK),
    RESULT(gflops, FIELD_REAL, FIELD_MAYBE_OK),
    RESULT(gbytes_per_s, FIELD_REAL, FIELD_MAYBE_OK),
    RESULT(limit_share, FIELD_REAL, FIELD_MAYBE_OK),
    RESULT(input_bytes, FIELD_COUNT, FIELD_OK),
    RESULT(output_bytes, FIELD_COUNT, FIELD_OK),
    RESULT(peak_device_bytes, FIELD_COUNT, FIELD_OK),
};

#define DEVICE(name, kind, presence)                                                               \
    {                                                                                              \
#name, kind, presence, offsetof(struct bench_device, name), false                          \
    }

static const struct bench_field device_fields[] = {
    DEVICE(index, FIELD_INDEX, FIELD_ALWAYS),
    DEVICE(name, FIELD_TEXT, FIELD_ALWAYS),
    DEVICE(type, FIELD_TEXT, FIELD_ALWAYS),
    DEVICE(uuid, FIELD_TEXT, FIELD_ALWAYS),
    DEVICE(driver, FIELD_TEXT, FIELD_ALWAYS),
    DEVICE(driver_version, FIELD_TEXT, FIELD_ALWAYS),
    DEVICE(api_version, FIELD_TEXT, FIELD_ALWAYS),
    DEVICE(copy_gbytes_per_s, FIELD_REAL, FIELD_MAYBE),
    DEVICE(f32_gflops, FIELD_REAL, FIELD_MAYBE),
    DEVICE(f16_gflops, FIELD_REAL, FIELD_MAYBE),
    DEVICE(tuned, FIELD_COUNT, FIELD_MAYBE),
};

#define KERNEL(name, kind, presence)                                                               \
    {                                                                                              \
#name, kind, presence, offsetof(struct bench_kernel, name), false                          \
    }

static const struct bench_field kernel_fields[] = {
    {"result", FIELD_ROW, FIELD_ALWAYS, offsetof(struct bench_kernel, row), false},
    KERNEL(name, FIELD_TEXT, FIELD_ALWAYS),
    KERNEL(candidate, FIELD_TEXT, FIELD_ALWAYS),
    KERNEL(ms, FIELD_REAL, FIELD_MAYBE),
    KERNEL(share, FIELD_REAL, FIELD_MAYBE),
    KERNEL(gbytes_per_s, FIELD_REAL, FIELD_MAYBE),
    KERNEL(gflops, FIELD_REAL, FIELD_MAYBE),
    KERNEL(limit_share, FIELD_REAL, FIELD_MAYBE),
};

_Static_assert(ARRAY_SIZE(row_fields) <= 32, "options_mask has a bit for each field");

const struct field_list bench_row_fields = {row_fields, ARRAY_SIZE(row_fields)};
const struct field_list bench_device_fields = {device_fields, ARRAY_SIZE(device_fields)};
const struct field_list bench_kernel_fields = {kernel_fields, ARRAY_SIZE(kernel_fields)};

/* ---- values ---- */

static const void *value_at(const struct bench_field *field, const void *record)
{
    return (const char *)record + field->offset;
}

const struct bench_field *field_find(const struct field_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!strcmp(list->items[i].name, name)) {
            return &list->items[i];
        }
    }
    return NULL;
}

const char *field_text(const struct bench_field *field, const void *record)
{
    const void *at = value_at(field, record);
    switch (field->kind) {
    case FIELD_PASS:
        return bench_pass_names[*(const enum bench_pass *)at];
    case FIELD_STATUS:
        return bench_status_names[*(const enum bench_status *)at];
    case FIELD_TEXT:
        return *(const char *const *)at;
    default:
        return NULL;
    }
}

double field_real(const struct bench_field *field, const void *record)
{
    return *(const double *)value_at(field, record);
}

uint64_t field_count(const struct bench_field *field, const void *record)
{
    const void *at = value_at(field, record);
    if (field->kind == FIELD_INDEX) {
        return *(const uint32_t *)at;
    }
    return field->kind == FIELD_ROW ? *(const size_t *)at : *(const uint64_t *)at;
}

bool field_present(const struct bench_field *field, const void *record, bool ok)
{
    if (!ok && (field->presence == FIELD_OK || field->presence == FIELD_MAYBE_OK)) {
        return false;
    }
    if (field->kind == FIELD_TEXT) {
        return field_text(field, record) != NULL;
    }
    if (field->kind != FIELD_REAL) {
        return true;
    }
    double value = field_real(field, record);
    return isfinite(value) && (value != 0 || field->presence == FIELD_OK);
}

const char *field_show(const struct bench_field *field, const void *record, bool ok,
                       struct short_text *space)
{
    if (!field_present(field, record, ok)) {
        return "";
    }
    const char *text = field_text(field, record);
    if (text) {
        return text;
    }
    if (field->kind == FIELD_SAMPLES) {
        *space = text_count(((const struct bench_row *)record)->sample_count);
    } else if (field->kind == FIELD_REAL) {
        *space = text_number(field_real(field, record));
    } else {
        *space = text_count(field_count(field, record));
    }
    return space->text;
}

bool field_equal(const struct bench_field *field, const struct bench_row *a,
                 const struct bench_row *b)
{
    if (field->kind == FIELD_COUNT || field->kind == FIELD_INDEX) {
        return field_count(field, a) == field_count(field, b);
    }
    const char *left = field_text(field, a), *right = field_text(field, b);
    return !strcmp(left ? left : "", right ? right : "");
}

bool field_used(const struct bench_field *field, const struct bench_row *row)
{
    const char *text = field->kind == FIELD_COUNT ? NULL : field_text(field, row);
    return field->kind == FIELD_COUNT ? field_count(field, row) != 0 : text && *text;
}

/* Whether a difference means that the option was varied: a kind may have no such option, and one
 * of its own choice of keys and values. */
static bool is_comparable(const struct bench_field *field, const struct bench_row *a,
                          const struct bench_row *b)
{
    bool by_kind = field->offset == offsetof(struct bench_row, kv);
    return field_used(field, a) && field_used(field, b) &&
           (!by_kind || field_equal(field_find(&bench_row_fields, "attention"), a, b));
}

bool field_varies(const struct bench_field *field, const struct bench_row *const *rows,
                  size_t count)
{
    for (size_t i = 1; i < count; i++) {
        size_t first = 0;
        while (first < i && !is_comparable(field, rows[i], rows[first])) {
            first++;
        }
        if (first < i && !field_equal(field, rows[i], rows[first])) {
            return true;
        }
    }
    return false;
}

/* ---- options ---- */

static bool is_main_option(const struct bench_field *field)
{
    static const char *const names[] = {"attention", "op", "n"};
    bool found = false;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        found |= !strcmp(field->name, names[i]);
    }
    return found;
}

uint32_t option_columns(const struct bench_row *const *rows, size_t count)
{
    uint32_t mask = options_mask(rows, count, true);
    for (size_t i = 0; i < ARRAY_SIZE(row_fields); i++) {
        for (size_t row = 0; row < count && is_main_option(&row_fields[i]); row++) {
            mask |= (uint32_t)field_used(&row_fields[i], rows[row]) << i;
        }
    }
    return mask;
}

uint32_t options_bit(const char *name)
{
    return UINT32_C(1) << (field_find(&bench_row_fields, name) - row_fields);
}

uint32_t options_mask(const struct bench_row *const *rows, size_t count, bool varying)
{
    uint32_t mask = 0;
    for (size_t i = 0; i < ARRAY_SIZE(row_fields); i++) {
        if (row_fields[i].option && !is_main_option(&row_fields[i]) &&
            field_varies(&row_fields[i], rows, count) == varying) {
            mask |= UINT32_C(1) << i;
        }
    }
    return mask;
}

const char *options_text(const struct bench_row *row, uint32_t wanted, char *text, size_t size)
{
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < ARRAY_SIZE(row_fields); i++) {
        const struct bench_field *field = &row_fields[i];
        struct short_text space;
        const char *value = field_show(field, row, true, &space);
        bool shown = field->option && (wanted >> i & 1) && field_used(field, row);
        if (!shown || used >= size) {
            continue;
        }
        bool named = field->kind != FIELD_PASS && strcmp(field->name, "dtype") != 0;
        used += (size_t)snprintf(text + used, size - used, "%s%s%s%s", used ? "; " : "",
                                 named ? field->name : "", named ? " " : "", value);
    }
    return text;
}

/* ---- shared by the report's files ---- */

const struct bench_device *bench_find_device(const struct bench_results *results, uint32_t index)
{
    for (size_t i = 0; i < results->device_count; i++) {
        if (results->devices[i].index == index) {
            return &results->devices[i];
        }
    }
    return NULL;
}

void bench_print_error(void *user, enum log_level level, const char *text)
{
    (void)user;
    (void)level;
    fprintf(stderr, "adamra: %s\n", text);
}

int bench_exit_status(status code)
{
    return code == STATUS_OK ? 0 : code == STATUS_BAD_INPUT ? 3 : 1;
}
