/* bench_md: results for people: what was run on what, a table with the columns that vary, and
 * where the kinds cross. */
#include "bench_fields.h"
#include "bench_table.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The figures of a row that a table shows, each where at least one row has it. */
static const struct {
    const char *field, *heading;
    struct short_text (*show)(double value);
} figures[] = {
    {"ms_median", "ms", text_number},
    {"ms_min", "min", text_number},
    {"ms_p95", "p95", text_number},
    {"tokens_per_s", "tokens/s", text_si},
    {"gflops", "GFLOP/s", text_number},
    {"gbytes_per_s", "GB/s", text_number},
    {"limit_share", "of limit", text_percent},
    {"peak_device_bytes", "scratch", text_bytes},
};

static double number_of(const struct bench_field *field, const struct bench_row *row)
{
    return field->kind == FIELD_REAL ? field_real(field, row) : (double)field_count(field, row);
}

/* ---- the table of rows ---- */

struct columns {
    const struct bench_row *const *rows;
    size_t count;
    bool shown[ARRAY_SIZE(figures)];
    const struct bench_field *options[32];
    size_t option_count;
    bool notes;
};

static void choose_columns(struct columns *columns, bool several_devices)
{
    uint32_t options = option_columns(columns->rows, columns->count) | several_devices;
    for (size_t i = 0; i < bench_row_fields.count; i++) {
        if (options >> i & 1) {
            columns->options[columns->option_count++] = &bench_row_fields.items[i];
        }
    }
    for (size_t row = 0; row < columns->count; row++) {
        bool ok = columns->rows[row]->status == ROW_OK;
        columns->notes |= !ok;
        for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
            columns->shown[i] |= field_present(field_find(&bench_row_fields, figures[i].field),
                                               columns->rows[row], ok);
        }
    }
}

static void add_headings(struct table *table, const struct columns *columns)
{
    for (size_t i = 0; i < columns->option_count; i++) {
        enum field_kind kind = columns->options[i]->kind;
        table_column(table, columns->options[i]->name, kind == FIELD_COUNT || kind == FIELD_INDEX);
    }
}

static void add_options(struct table *table, const struct columns *columns,
                        const struct bench_row *row)
{
    for (size_t i = 0; i < columns->option_count; i++) {
        const struct bench_field *field = columns->options[i];
        bool used = field->kind == FIELD_INDEX || field_used(field, row);
        struct short_text space;
        table_cell(table, used ? field_show(field, row, true, &space) : "");
    }
}

static void add_row(struct table *table, const struct columns *columns, const struct bench_row *row)
{
    bool ok = row->status == ROW_OK;
    char note[512];
    add_options(table, columns, row);
    for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
        const struct bench_field *field = field_find(&bench_row_fields, figures[i].field);
        bool present = field_present(field, row, ok);
        if (columns->shown[i]) {
            table_cell(table, present ? figures[i].show(number_of(field, row)).text : "-");
        }
    }
    if (columns->notes) {
        snprintf(note, sizeof(note), "%s: %s", bench_status_names[row->status], row->reason);
        table_cell(table, ok ? "" : note);
    }
}

static bool write_rows(FILE *file, const struct columns *columns)
{
    struct table table = {0};
    add_headings(&table, columns);
    for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
        if (columns->shown[i]) {
            table_column(&table, figures[i].heading, true);
        }
    }
    if (columns->notes) {
        table_column(&table, "note", false);
    }
    for (size_t i = 0; i < columns->count; i++) {
        add_row(&table, columns, columns->rows[i]);
    }
    bool written = table_write_md(file, &table);
    table_finish(&table);
    return written;
}

/* ---- what was run ---- */

static void write_device(FILE *file, const struct bench_device *device)
{
    fprintf(file, "- device %u: %s (%s, %s %s, Vulkan %s)", device->index, device->name,
            device->type, device->driver, device->driver_version, device->api_version);
    const char *separator = ": ";
    const struct {
        const char *name, *unit;
        double value;
    } rates[] = {{"copy", "GB/s", device->copy_gbytes_per_s},
                 {"f32", "GFLOP/s", device->f32_gflops},
                 {"f16", "GFLOP/s", device->f16_gflops}};
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
        if (rates[i].value > 0) {
            fprintf(file, "%s%s %s %s", separator, rates[i].name, text_number(rates[i].value).text,
                    rates[i].unit);
            separator = ", ";
        }
    }
    if (device->tuned > 0) {
        fprintf(file, "%stuned kernels %s", separator, text_count(device->tuned).text);
    }
    fputc('\n', file);
}

static void write_head(FILE *file, const struct bench_results *results,
                       const struct columns *columns)
{
    char options[512];
    fprintf(file, "- adamra %s (%s, %s, %s), %s\n- `", results->version, results->build_commit,
            results->build_type, results->build_compiler, results->date);
    for (size_t i = 0; i < results->command_count; i++) {
        fprintf(file, "%s%s", i ? " " : "", results->command[i]);
    }
    fputs("`\n", file);
    for (size_t i = 0; i < results->device_count; i++) {
        write_device(file, &results->devices[i]);
    }
    if (columns->count > 0) {
        /* of a kind that has them all, rates included */
        const struct bench_row *row = columns->rows[0];
        for (size_t i = 0; i < columns->count && !*row->rates; i++) {
            row = columns->rows[i];
        }
        uint32_t same = options_mask(columns->rows, columns->count, false);
        fprintf(file, "- %s\n", options_text(row, same, options, sizeof(options)));
    }
    fputc('\n', file);
}

/* ---- where the kinds cross ---- */

static void write_crossovers(FILE *file, const struct bench_results *results,
                             const struct columns *columns)
{
    uint32_t varying = options_mask(columns->rows, columns->count, true);
    char options[512];
    fputs(results->crossover_count ? "\n" : "", file);
    for (size_t i = 0; i < results->crossover_count; i++) {
        const struct bench_crossover *crossover = &results->crossovers[i];
        const struct bench_row *row = &results->rows[crossover->row];
        options_text(row, varying, options, sizeof(options));
        fprintf(file, "- ");
        if (results->device_count > 1) {
            fprintf(file, "device %u: ", crossover->device);
        }
        fprintf(file, "%s ", row->attention);
        if (crossover->n > 0) {
            fprintf(file, "is faster than %s from n = %s on", crossover->against,
                    text_count((uint64_t)(crossover->n + 0.5)).text);
        } else {
            fprintf(file, "does not become faster than %s at the lengths measured",
                    crossover->against);
        }
        fprintf(file, "%s%s%s", *options ? " (" : "", options, *options ? ")" : "");
        if (crossover->unlisted > 0) {
            fprintf(file, ", by a run at n = %s besides", text_count(crossover->unlisted).text);
        }
        fputc('\n', file);
    }
}

/* ---- profile ---- */

static bool write_kernels(FILE *file, const struct bench_results *results,
                          const struct columns *columns)
{
    struct table table = {0};
    static const char *const measured[] = {"ms", "share", "gbytes_per_s", "gflops", "limit_share"};
    static const char *const headings[] = {"ms", "share", "GB/s", "GFLOP/s", "of limit"};
    add_headings(&table, columns);
    table_column(&table, "kernel", false);
    table_column(&table, "candidate", false);
    for (size_t i = 0; i < ARRAY_SIZE(measured); i++) {
        table_column(&table, headings[i], true);
    }
    for (size_t i = 0; i < results->kernel_count; i++) {
        const struct bench_kernel *kernel = &results->kernels[i];
        add_options(&table, columns, &results->rows[kernel->row]);
        table_cell(&table, kernel->name);
        table_cell(&table, kernel->candidate);
        for (size_t j = 0; j < ARRAY_SIZE(measured); j++) {
            const struct bench_field *field = field_find(&bench_kernel_fields, measured[j]);
            bool share = strstr(measured[j], "share") != NULL;
            double value = field_real(field, kernel);
            table_cell(&table, !field_present(field, kernel, true) ? "-"
                               : share                             ? text_percent(value).text
                                                                   : text_number(value).text);
        }
    }
    fputc('\n', file);
    bool written = table_write_md(file, &table);
    table_finish(&table);
    return written;
}

bool bench_write_md(FILE *file, const struct bench_results *results)
{
    const struct bench_row **rows = calloc(results->row_count + 1, sizeof(*rows));
    if (!rows) {
        errno = ENOMEM;
        return false;
    }
    for (size_t i = 0; i < results->row_count; i++) {
        rows[i] = &results->rows[i];
    }
    struct columns columns = {.rows = rows, .count = results->row_count};
    choose_columns(&columns, results->device_count > 1);
    write_head(file, results, &columns);
    bool written = write_rows(file, &columns);
    write_crossovers(file, results, &columns);
    written = written && (!results->kernel_count || write_kernels(file, results, &columns));
    free(rows);
    return written && fflush(file) == 0 && !ferror(file);
}
