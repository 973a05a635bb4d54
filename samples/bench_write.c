/* bench_write: results as json, jsonl and csv, from the tables of fields. */
#include "bench_fields.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* 15 digits are what a double holds for certain; more would print 0.1 as 0.10000000000000001. */
#define JSON_FLAGS (JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))

/* ---- values: NULL without memory, which jansson's functions pass on ---- */

static json_t *text_json(const char *text)
{
    json_t *value = json_string(text);
    char *repaired = value ? NULL : utf8_repair(text); /* JSON is UTF-8 */
    value = repaired ? json_string(repaired) : value;
    free(repaired);
    return value;
}

static json_t *real_json(double value)
{
    return value == value && value - value == 0 ? json_real(value) : json_null();
}

static json_t *samples_json(const struct bench_row *row)
{
    json_t *list = json_array();
    for (size_t i = 0; i < row->sample_count; i++) {
        json_array_append_new(list, real_json(row->samples_ms[i]));
    }
    return list;
}

static json_t *field_json(const struct bench_field *field, const void *record, bool ok)
{
    if (!field_present(field, record, ok)) {
        return json_null();
    }
    const char *text = field_text(field, record);
    if (text) {
        return text_json(text);
    }
    if (field->kind == FIELD_SAMPLES) {
        return samples_json(record);
    }
    if (field->kind == FIELD_REAL) {
        return json_real(field_real(field, record));
    }
    return json_integer((json_int_t)field_count(field, record));
}

/* Adds the fields of a record to an object; false without memory. */
static bool add_fields(json_t *object, const struct field_list *list, const void *record, bool ok)
{
    bool added = true;
    for (size_t i = 0; i < list->count && added; i++) {
        const struct bench_field *field = &list->items[i];
        added = json_object_set_new(object, field->name, field_json(field, record, ok)) == 0;
    }
    return added;
}

static json_t *record_json(const struct field_list *list, const void *record, bool ok)
{
    json_t *object = json_object();
    if (object && !add_fields(object, list, record, ok)) {
        json_decref(object);
        object = NULL;
    }
    return object;
}

static json_t *build_json(const struct bench_results *results)
{
    return json_pack("{s:o, s:o, s:o}", "compiler", text_json(results->build_compiler), "type",
                     text_json(results->build_type), "commit", text_json(results->build_commit));
}

/* ---- json ---- */

/* Writes one value and drops it; false and errno on failure. */
static bool put_json(FILE *file, json_t *value)
{
    if (!value) {
        errno = ENOMEM;
        return false;
    }
    bool written = json_dumpf(value, file, JSON_FLAGS) == 0 && !ferror(file);
    json_decref(value);
    return written;
}

static bool put_member(FILE *file, const char *key, json_t *value)
{
    fprintf(file, "\"%s\": ", key);
    bool written = put_json(file, value);
    fputs(",\n", file);
    return written;
}

static json_t *device_json(const struct bench_results *results, size_t i)
{
    return record_json(&bench_device_fields, &results->devices[i], true);
}

static json_t *row_json(const struct bench_results *results, size_t i)
{
    const struct bench_row *row = &results->rows[i];
    return record_json(&bench_row_fields, row, row->status == ROW_OK);
}

static json_t *kernel_json(const struct bench_results *results, size_t i)
{
    return record_json(&bench_kernel_fields, &results->kernels[i], true);
}

/* The options are those of the crossover's row. */
static json_t *crossover_json(const struct bench_results *results, size_t i)
{
    const struct bench_crossover *crossover = &results->crossovers[i];
    const struct bench_row *row = &results->rows[crossover->row];
    json_t *object = json_object();
    json_object_set_new(object, "device", json_integer(crossover->device));
    json_object_set_new(object, "against", text_json(crossover->against));
    json_object_set_new(object, "n", crossover->n > 0 ? real_json(crossover->n) : json_null());
    for (size_t field = 0; field < bench_row_fields.count; field++) {
        const struct bench_field *option = &bench_row_fields.items[field];
        if (option->option && strcmp(option->name, "n") != 0) {
            json_object_set_new(object, option->name, field_json(option, row, true));
        }
    }
    return object;
}

static json_t *command_json(const struct bench_results *results, size_t i)
{
    return text_json(results->command[i]);
}

/* A list, an element a line, so that files can be read and compared line by line. */
static bool put_list(FILE *file, const char *key, const struct bench_results *results, size_t count,
                     json_t *(*element)(const struct bench_results *, size_t), const char *end)
{
    bool written = true;
    fprintf(file, "\"%s\": [", key);
    for (size_t i = 0; i < count && written; i++) {
        fputs(i ? ",\n" : "\n", file);
        written = put_json(file, element(results, i));
    }
    fprintf(file, "]%s\n", end);
    return written && !ferror(file);
}

bool bench_write_json(FILE *file, const struct bench_results *results)
{
    fputs("{\n", file);
    return put_member(file, "schema", json_integer(BENCH_SCHEMA)) &&
           put_member(file, "adamra", text_json(results->version)) &&
           put_member(file, "build", build_json(results)) &&
           put_member(file, "date", text_json(results->date)) &&
           put_list(file, "command", results, results->command_count, command_json, ",") &&
           put_list(file, "crossovers", results, results->crossover_count, crossover_json, ",") &&
           (!results->kernel_count ||
            put_list(file, "profile", results, results->kernel_count, kernel_json, ",")) &&
           put_list(file, "devices", results, results->device_count, device_json, ",") &&
           put_list(file, "results", results, results->row_count, row_json, "") &&
           fputs("}\n", file) >= 0 && fflush(file) == 0;
}

/* ---- jsonl: what json says once is said in each line ---- */

static json_t *line_json(const struct bench_results *results, const struct bench_row *row)
{
    const struct bench_device *device = bench_find_device(results, row->device);
    json_t *object = json_pack("{s:i, s:o, s:o, s:o}", "schema", BENCH_SCHEMA, "adamra",
                               text_json(results->version), "date", text_json(results->date),
                               "build", build_json(results));
    bool added = object && add_fields(object, &bench_row_fields, row, row->status == ROW_OK);
    for (size_t i = 0; added && device && i < bench_device_fields.count; i++) {
        const struct bench_field *field = &bench_device_fields.items[i];
        added = field->kind == FIELD_INDEX || /* the row's field "device" */
                json_object_set_new(object, field->name, field_json(field, device, true)) == 0;
    }
    if (!added) {
        json_decref(object);
        object = NULL;
    }
    return object;
}

bool bench_write_jsonl(FILE *file, const struct bench_results *results)
{
    bool written = true;
    for (size_t i = 0; i < results->row_count && written; i++) {
        written = put_json(file, line_json(results, &results->rows[i]));
        fputc('\n', file);
    }
    return written && fflush(file) == 0 && !ferror(file);
}

/* ---- csv (RFC 4180): all fields quoted, lines end with CR LF ---- */

static void put_quoted(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text; text++) {
        fputs(*text == '"' ? "\"" : "", file);
        fputc(*text, file);
    }
    fputc('"', file);
}

static void put_csv_field(FILE *file, const struct bench_field *field, const void *record, bool ok)
{
    const char *text = field_present(field, record, ok) ? field_text(field, record) : "";
    if (text) {
        put_quoted(file, text);
    } else if (field->kind == FIELD_SAMPLES) {
        const struct bench_row *row = record;
        fputc('"', file);
        for (size_t i = 0; i < row->sample_count; i++) {
            fprintf(file, "%s%.15g", i ? " " : "", row->samples_ms[i]);
        }
        fputc('"', file);
    } else if (field->kind == FIELD_REAL) {
        fprintf(file, "\"%.15g\"", field_real(field, record));
    } else {
        fprintf(file, "\"%llu\"", (unsigned long long)field_count(field, record));
    }
}

static void put_csv_row(FILE *file, const struct bench_results *results,
                        const struct bench_row *row)
{
    static const struct bench_device nothing = {0};
    const struct bench_device *device = bench_find_device(results, row->device);
    const char *const run[] = {results->version, results->date, results->build_compiler,
                               results->build_type, results->build_commit};
    fprintf(file, "\"%d\"", BENCH_SCHEMA);
    for (size_t i = 0; i < ARRAY_SIZE(run); i++) {
        fputc(',', file);
        put_quoted(file, run[i]);
    }
    for (size_t i = 0; i < bench_row_fields.count; i++) {
        fputc(',', file);
        put_csv_field(file, &bench_row_fields.items[i], row, row->status == ROW_OK);
    }
    for (size_t i = 1; i < bench_device_fields.count; i++) {
        fputc(',', file);
        put_csv_field(file, &bench_device_fields.items[i], device ? device : &nothing, true);
    }
    fputs("\r\n", file);
}

bool bench_write_csv(FILE *file, const struct bench_results *results)
{
    fputs("\"schema\",\"adamra\",\"date\",\"build_compiler\",\"build_type\",\"build_commit\"",
          file);
    for (size_t i = 0; i < bench_row_fields.count; i++) {
        fprintf(file, ",\"%s\"", bench_row_fields.items[i].name);
    }
    for (size_t i = 1; i < bench_device_fields.count; i++) { /* the index is the row's "device" */
        fprintf(file, ",\"%s\"", bench_device_fields.items[i].name);
    }
    fputs("\r\n", file);
    for (size_t i = 0; i < results->row_count; i++) {
        put_csv_row(file, results, &results->rows[i]);
    }
    return fflush(file) == 0 && !ferror(file);
}
