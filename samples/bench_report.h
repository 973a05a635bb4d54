/* bench_report: rows of one or several result sets arranged as a page shows them.
 *
 * A panel holds the rows that differ in device, kind, rates, keys and values, product and length
 * only; a line of it those that differ in length only. A machine is a device of one result set. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench_fields.h"

#define REPORT_COLORS 7 /* the first ones belong to the kinds of this engine */
#define REPORT_DASHES 4

struct report_machine {
    const struct bench_results *results;
    const struct bench_device *device;
    char letter[8]; /* A, B, ...; "" when there is one machine */
};

struct report_line {
    const struct bench_row **rows; /* by ascending length, all states */
    size_t count;
    size_t machine;
    uint32_t color; /* of the kind, below REPORT_COLORS */
    uint32_t dash;  /* tells lines of the same colour apart, below REPORT_DASHES */
    const char *label;
};

struct report_panel {
    const struct bench_row **rows;
    size_t *machines; /* of each row */
    size_t count;
    struct report_line *lines; /* by kind */
    size_t line_count;
};

struct report {
    struct arena arena;
    struct report_machine *machines;
    size_t machine_count;
    struct report_panel *panels;
    size_t panel_count;
    const char *kinds[32]; /* those beyond the engine's, by first appearance */
    size_t kind_count;
    uint32_t varying; /* a bit for each option in which panels differ */
};

/* The result sets must outlive the report. On failure, too, report_finish frees what it holds. */
status report_init(struct logger *log, const struct bench_results *const *results, size_t count,
                   struct report *report);
void report_finish(struct report *report);

/* Whether two lines differ in no more than the machine. */
bool report_same_line(const struct report_line *a, const struct report_line *b);
/* Whether it is one of the panel's rows. */
bool report_has_row(const struct report_panel *panel, const struct bench_row *row);
/* The row of a line at a length; NULL when there is none. */
const struct bench_row *report_row_at(const struct report_line *line, uint64_t n);
/* The panel's lengths, ascending and each once, at most `count` (panel->count is enough). */
size_t report_lengths(const struct report_panel *panel, uint64_t *lengths, size_t count);
/* The longest length among those that most lines were measured at; 0 for products. */
uint64_t report_common_length(const struct report_panel *panel);
/* What a panel's rows share, by a bit for each option: "d 64; batch 1". Returns text. */
const char *report_options(const struct report_panel *panel, uint32_t wanted, char *text,
                           size_t size);

#endif
