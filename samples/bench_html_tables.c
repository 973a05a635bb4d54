/* The tables of a page. */
#include "bench_html.h"
#include "bench_table.h"
#include <stdlib.h>
#include <string.h>

static bool write_table(FILE *file, struct table *table, const char *caption)
{
    bool written = table_write_html(file, table, caption);
    table_finish(table);
    return written;
}

/* ---- machines ---- */

#define NONE "\xe2\x80\x93"

static void add_rate(struct table *table, double value)
{
    table_cell(table, value > 0 ? text_number(value).text : NONE);
}

static bool write_machine_table(FILE *file, const struct report *report)
{
    static const struct {
        const char *heading;
        bool numeric;
    } columns[] = {{"Device", false},     {"Type", false},        {"Driver", false},
                   {"Vulkan", false},     {"Copy GB/s", true},    {"f32 GFLOP/s", true},
                   {"f16 GFLOP/s", true}, {"Tuned kernels", true}};
    struct table table = {0};
    bool letters = report->machine_count > 1;
    char text[256];
    if (letters) {
        table_column(&table, "", false);
    }
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
        table_column(&table, columns[i].heading, columns[i].numeric);
    }
    for (size_t i = 0; i < report->machine_count; i++) {
        const struct bench_device *device = report->machines[i].device;
        if (letters) {
            table_cell(&table, report->machines[i].letter);
        }
        table_cell(&table, device->name);
        table_cell(&table, device->type);
        snprintf(text, sizeof(text), "%s %s", device->driver, device->driver_version);
        table_cell(&table, text);
        table_cell(&table, device->api_version);
        add_rate(&table, device->copy_gbytes_per_s);
        add_rate(&table, device->f32_gflops);
        add_rate(&table, device->f16_gflops);
        table_cell(&table, device->tuned ? text_count(device->tuned).text : NONE);
    }
    return write_table(file, &table, NULL);
}

/* What the machines of a result set share is said once. */
static void write_runs(FILE *file, const struct report *report)
{
    const struct bench_results *last = NULL;
    for (size_t i = 0; i < report->machine_count; i++) {
        const struct bench_results *results = report->machines[i].results;
        if (results == last) {
            continue;
        }
        const char *const facts[] = {results->version, results->build_commit, results->build_type,
                                     results->build_compiler, results->date};
        fputs("<p><code>", file);
        for (size_t word = 0; word < results->command_count; word++) {
            fputs(word ? " " : "", file);
            html_text(file, results->command[word]);
        }
        fputs("</code><br/><small class=\"quiet\">adamra", file);
        for (size_t fact = 0; fact < ARRAY_SIZE(facts); fact++) {
            fputs(fact ? ", " : " ", file);
            html_text(file, facts[fact]);
        }
        fputs("</small></p>\n", file);
        last = results;
    }
}

bool html_machines(FILE *file, const struct report *report)
{
    bool written = write_machine_table(file, report);
    write_runs(file, report);
    return written;
}

/* ---- figures ---- */

/* A column for each of the panel's lines from `first` to before `end`. */
static bool write_measures(FILE *file, const struct plot *plot, const uint64_t *lengths,
                           size_t count, size_t first, size_t end)
{
    const struct report_panel *panel = plot->panel;
    struct table table = {0};
    table_column(&table, "n", true);
    for (size_t i = first; i < end; i++) {
        table_column(&table, panel->lines[i].label, true);
    }
    for (size_t i = 0; i < count; i++) {
        table_cell(&table, text_count(lengths[i]).text);
        for (size_t j = first; j < end; j++) {
            const struct bench_row *row = report_row_at(&panel->lines[j], lengths[i]);
            bool ok = row && row->status == ROW_OK;
            table_cell(&table, ok    ? plot->measure->show(plot->measure->value(row)).text
                               : row ? bench_status_names[row->status]
                                     : "");
        }
    }
    return write_table(file, &table, plot->measure->axis);
}

bool html_measure_table(FILE *file, const struct plot *plot)
{
    const struct report_panel *panel = plot->panel;
    const size_t lines = TABLE_MAX_COLUMNS - 1, all = panel->line_count;
    uint64_t *lengths = calloc(panel->count + 1, sizeof(*lengths));
    bool written = lengths != NULL;
    size_t count = lengths ? report_lengths(panel, lengths, panel->count) : 0;
    for (size_t first = 0; first < all && written; first += lines) {
        written = write_measures(file, plot, lengths, count, first, size_min(first + lines, all));
    }
    free(lengths);
    return written;
}

/* Columns of the table of everything, after what says which row it is. */
static const struct {
    const char *field, *heading;
    struct short_text (*show)(double value);
} figures[] = {
    {"ms_median", "ms", text_number},
    {"ms_min", "min", text_number},
    {"ms_p95", "p95", text_number},
    {"ms_max", "max", text_number},
    {"samples_ms", "runs", NULL},
    {"host_ms_median", "host ms", text_number},
    {"first_ms", "first ms", text_number},
    {"first_warm_ms", "first, warm", text_number},
    {"tokens_per_s", "tokens/s", text_si},
    {"ns_per_token", "ns/token", text_number},
    {"gflops", "GFLOP/s", text_number},
    {"gbytes_per_s", "GB/s", text_number},
    {"limit_share", "of limit", text_percent},
    {"input_bytes", "inputs", text_bytes},
    {"output_bytes", "outputs", text_bytes},
    {"peak_device_bytes", "beyond", text_bytes},
};

static void add_figures(struct table *table, const struct bench_row *row)
{
    for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
        const struct bench_field *field = field_find(&bench_row_fields, figures[i].field);
        struct short_text space;
        const char *text = field_show(field, row, row->status == ROW_OK, &space);
        if (*text && field->kind == FIELD_REAL) {
            space = figures[i].show(field_real(field, row));
        } else if (*text && field->kind == FIELD_COUNT) {
            space = figures[i].show((double)field_count(field, row));
        }
        table_cell(table, *text ? space.text : "\xe2\x80\x93");
    }
}

bool html_panel_table(FILE *file, const struct report_panel *panel)
{
    struct table table = {0};
    bool lengths = panel->rows[0]->pass != PASS_OP;
    table_column(&table, "", false);
    if (lengths) {
        table_column(&table, "n", true);
    }
    for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
        table_column(&table, figures[i].heading, true);
    }
    for (size_t i = 0; i < panel->line_count; i++) {
        const struct report_line *line = &panel->lines[i];
        for (size_t j = 0; j < line->count; j++) {
            table_cell(&table, line->label);
            if (lengths) {
                table_cell(&table, text_count(line->rows[j]->n).text);
            }
            add_figures(&table, line->rows[j]);
        }
    }
    return write_table(file, &table, NULL);
}

/* ---- kernels ---- */

static void add_kernel(struct table *table, const struct bench_kernel *kernel)
{
    static const struct {
        const char *field;
        struct short_text (*show)(double value);
    } columns[] = {{"ms", text_number},
                   {"share", text_percent},
                   {"gbytes_per_s", text_number},
                   {"gflops", text_number},
                   {"limit_share", text_percent}};
    table_cell(table, kernel->name);
    table_cell(table, kernel->candidate);
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
        const struct bench_field *field = field_find(&bench_kernel_fields, columns[i].field);
        bool present = field_present(field, kernel, true);
        table_cell(table,
                   present ? columns[i].show(field_real(field, kernel)).text : "\xe2\x80\x93");
    }
}

/* The table of the row that kernel `first` belongs to; *end is behind its kernels. */
static bool write_profile(FILE *file, const struct report_machine *machine, size_t first,
                          size_t *end)
{
    static const char *const headings[] = {"Kernel", "Candidate", "ms",      "Share",
                                           "GB/s",   "GFLOP/s",   "Of limit"};
    const struct bench_results *results = machine->results;
    const struct bench_row *row = &results->rows[results->kernels[first].row];
    struct table table = {0};
    char caption[512], options[384];
    for (size_t i = 0; i < ARRAY_SIZE(headings); i++) {
        table_column(&table, headings[i], i >= 2);
    }
    for (*end = first;
         *end < results->kernel_count && results->kernels[*end].row == results->kernels[first].row;
         ++*end) {
        add_kernel(&table, &results->kernels[*end]);
    }
    options_text(row, ~options_bit("attention"), options, sizeof(options));
    snprintf(caption, sizeof(caption), "%.64s%s%s: %s", row->attention ? row->attention : "",
             *machine->letter ? " " : "", machine->letter, options);
    return write_table(file, &table, caption);
}

bool html_kernels(FILE *file, const struct report *report)
{
    bool any = false, written = true;
    for (size_t i = 0; i < report->machine_count; i++) {
        const struct report_machine *machine = &report->machines[i];
        const struct bench_results *results = machine->results;
        for (size_t j = 0, end; j < results->kernel_count; j = end) {
            end = j + 1;
            if (results->rows[results->kernels[j].row].device == machine->device->index) {
                fputs(any ? "" : "<section>\n<h2>Where the time goes</h2>\n", file);
                written = write_profile(file, machine, j, &end) && written;
                any = true;
            }
        }
    }
    fputs(any ? "</section>\n" : "", file);
    return written;
}
