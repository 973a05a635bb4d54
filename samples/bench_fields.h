/* bench_fields: the fields of rows, devices and kernels in one table each. Every format is written
 * from these tables and read by them, so that all have the same fields under the same names. */
#ifndef BENCH_FIELDS_H
#define BENCH_FIELDS_H

#include "base/base.h"
#include "bench.h"
#include "bench_text.h"

enum field_kind {
    FIELD_TEXT,  /* const char * */
    FIELD_INDEX, /* uint32_t */
    FIELD_COUNT, /* uint64_t */
    FIELD_REAL,  /* double */
    FIELD_ROW,   /* size_t: index of a row */
    FIELD_PASS,
    FIELD_STATUS,
    FIELD_SAMPLES, /* samples_ms and sample_count */
};

/* When a field has no value: null in json, empty in csv. */
enum field_presence {
    FIELD_ALWAYS,
    FIELD_MAYBE,    /* lacks a value when it is NULL or 0 */
    FIELD_OK,       /* lacks one unless the row's status is ok */
    FIELD_MAYBE_OK, /* either of the two */
};

struct bench_field {
    const char *name;
    enum field_kind kind;
    enum field_presence presence;
    size_t offset;
    bool option; /* of rows: says what was run, not what came out */
};

struct field_list {
    const struct bench_field *items;
    size_t count;
};

extern const struct field_list bench_row_fields, bench_device_fields, bench_kernel_fields;

/* NULL when there is none of that name. */
const struct bench_field *field_find(const struct field_list *list, const char *name);
/* Whether a row, device or kernel has a value; `ok` is whether its status is ok. */
bool field_present(const struct bench_field *field, const void *record, bool ok);
/* Values that are present, by kind. */
const char *field_text(const struct bench_field *field, const void *record);
double field_real(const struct bench_field *field, const void *record);
uint64_t field_count(const struct bench_field *field, const void *record);
/* The value for people: either a text of the record's, or one put into *space. "" without value. */
const char *field_show(const struct bench_field *field, const void *record, bool ok,
                       struct short_text *space);
/* Whether two rows agree in a field; NULL is as "". */
bool field_equal(const struct bench_field *field, const struct bench_row *a,
                 const struct bench_row *b);
/* Whether a row has a value that is not 0 or "": an option that its pass and kind know. */
bool field_used(const struct bench_field *field, const struct bench_row *row);
/* Whether an option was varied over the rows; that kinds differ in what they know is no matter. */
bool field_varies(const struct bench_field *field, const struct bench_row *const *rows,
                  size_t count);
/* Puts "d 64; batch 1" into text: the options of `row` that `wanted` has a bit for, in the order
 * of bench_row_fields. Returns text. */
const char *options_text(const struct bench_row *row, uint32_t wanted, char *text, size_t size);
/* The bit of an option in masks. */
uint32_t options_bit(const char *name);
/* A bit for each option that varies over rows (or does not); attention, op and n left out. */
uint32_t options_mask(const struct bench_row *const *rows, size_t count, bool varying);
/* A bit for each option that a table needs: those that vary, and attention, op and n. */
uint32_t option_columns(const struct bench_row *const *rows, size_t count);

/* The device with that index; NULL when there is none. */
const struct bench_device *bench_find_device(const struct bench_results *results, uint32_t index);
/* Prints "adamra: TEXT" on standard error: the write function of the report's loggers. */
void bench_print_error(void *user, enum log_level level, const char *text);
/* 3 for bad input, else 1; 0 for STATUS_OK. */
int bench_exit_status(status code);

#endif
