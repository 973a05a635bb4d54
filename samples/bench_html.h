/* bench_html: the parts of a page, one file each; bench_html.c puts them together. All write what
 * they can and leave it to the end to see whether the stream is sound; false: no memory. */
#ifndef BENCH_HTML_H
#define BENCH_HTML_H

#include "bench_plot.h"

/* Writes a file at `path` in one step; 0 or an exit status. */
int html_write(const char *path, const struct bench_results *const *results, size_t count,
               bool (*write)(FILE *, const struct report *));
/* What was run on what: devices, programs, commands. */
bool html_machines(FILE *file, const struct report *report);
/* A table of a measure: a row a length, a column a line. */
bool html_measure_table(FILE *file, const struct plot *plot);
/* A table with all figures of a panel. */
bool html_panel_table(FILE *file, const struct report_panel *panel);
/* The kernels of --profile; nothing when there are none. */
bool html_kernels(FILE *file, const struct report *report);
/* A table of where the kinds of a panel cross, and how much faster adamra is. */
bool html_findings(FILE *file, const struct report *report, const struct report_panel *panel);
/* A list of the rows without figures, and why. */
void html_left_out(FILE *file, const struct report_panel *panel);

#endif
