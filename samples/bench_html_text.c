/* What a page says in words: where kinds cross, what was left out. */
#include "bench_html.h"
#include "bench_table.h"
#include <stdlib.h>
#include <string.h>

/* ---- where the kinds cross ---- */

static const struct report_line *find_line(const struct report_panel *panel, size_t machine,
                                           const char *attention, const struct bench_row *like)
{
    const struct bench_field *rates = field_find(&bench_row_fields, "rates");
    for (size_t i = 0; i < panel->line_count; i++) {
        const struct report_line *line = &panel->lines[i];
        const struct bench_row *row = line->rows[0];
        if (line->machine == machine && row->attention && !strcmp(row->attention, attention) &&
            (!like || field_equal(rates, row, like))) {
            return line;
        }
    }
    return NULL;
}

/* "4.1 x at 16,384 tokens", at the longest length at which both have figures; "" without one. */
static const char *compare_lines(const struct report_line *line, const struct report_line *other,
                                 char *text, size_t size)
{
    *text = 0;
    for (size_t i = line->count; i-- > 0 && !*text;) {
        const struct bench_row *row = line->rows[i], *partner = report_row_at(other, row->n);
        if (plot_has_point(&measure_time, row) && partner &&
            plot_has_point(&measure_time, partner)) {
            snprintf(text, size, "%s \xc3\x97 at %s tokens",
                     text_number(partner->ms_median / row->ms_median).text,
                     text_count(row->n).text);
        }
    }
    return text;
}

static void add_crossover(struct table *table, const struct report *report,
                          const struct report_panel *panel, size_t machine,
                          const struct bench_crossover *crossover)
{
    const struct bench_row *row = &report->machines[machine].results->rows[crossover->row];
    const struct report_line *line = find_line(panel, machine, row->attention, row);
    const struct report_line *other = find_line(panel, machine, crossover->against, NULL);
    char text[128];
    table_cell(table, line ? line->label : row->attention);
    table_cell(table, crossover->against);
    snprintf(text, sizeof(text), "%s tokens on", text_count((uint64_t)(crossover->n + 0.5)).text);
    table_cell(table, crossover->n > 0 ? text : "not reached");
    table_cell(table, line && other ? compare_lines(line, other, text, sizeof(text)) : "");
}

bool html_findings(FILE *file, const struct report *report, const struct report_panel *panel)
{
    static const char *const headings[] = {"", "Against", "Faster from", "Speed"};
    struct table table = {0};
    for (size_t i = 0; i < ARRAY_SIZE(headings); i++) {
        table_column(&table, headings[i], false);
    }
    for (size_t i = 0; i < report->machine_count; i++) {
        const struct report_machine *machine = &report->machines[i];
        for (size_t j = 0; j < machine->results->crossover_count; j++) {
            const struct bench_crossover *crossover = &machine->results->crossovers[j];
            if (crossover->device == machine->device->index &&
                report_has_row(panel, &machine->results->rows[crossover->row])) {
                add_crossover(&table, report, panel, i, crossover);
            }
        }
    }
    bool written = table.count == 0 || table_write_html(file, &table, NULL);
    table_finish(&table);
    return written;
}

/* ---- what was left out ---- */

void html_left_out(FILE *file, const struct report_panel *panel)
{
    bool any = false;
    for (size_t i = 0; i < panel->line_count; i++) {
        const struct report_line *line = &panel->lines[i];
        for (size_t j = 0; j < line->count; j++) {
            const struct bench_row *row = line->rows[j];
            if (row->status == ROW_OK) {
                continue;
            }
            fputs(any ? "" : "<ul class=\"quiet\">\n", file);
            fputs("<li>", file);
            html_text(file, line->label);
            if (row->n > 0) {
                fprintf(file, " at %s tokens", text_count(row->n).text);
            }
            fprintf(file, " is %s: ", bench_status_names[row->status]);
            html_text(file, row->reason);
            fputs("</li>\n", file);
            any = true;
        }
    }
    fputs(any ? "</ul>\n" : "", file);
}
