/* bench_plot: inline SVG of a panel: lines against the length, and bars. Colours and type come from
 * the page's style sheet by class; every plotted point has the class "point" and a title with its
 * exact values. */
#ifndef BENCH_PLOT_H
#define BENCH_PLOT_H

#include "bench_axis.h"
#include "bench_report.h"

/* A figure of rows that is drawn: where it comes from, and its axis. */
struct plot_measure {
    const char *title; /* "Time of one run" */
    const char *axis;  /* "milliseconds, median" */
    enum axis_kind kind;
    double (*value)(const struct bench_row *row);
    struct short_text (*show)(double value); /* in tables and at bars */
    /* exact values for a point's title; returns text */
    const char *(*exact)(const struct bench_row *row, char *text, size_t size);
    bool spread; /* with a stroke from the fastest run to the 95th percentile */
};

extern const struct plot_measure measure_time, measure_memory, measure_share, measure_tokens,
    measure_gflops;

struct plot {
    const struct report *report;
    const struct report_panel *panel;
    const struct plot_measure *measure;
    double width, height; /* of the view box; type is 13 high */
    double top;           /* left free above, for a title */
    bool alone;           /* an SVG file of its own: the caller has opened it */
};

/* The lines of the panel against the length. */
void plot_lines(FILE *file, const struct plot *plot);
/* A bar a line at length n; height is of one bar. */
void plot_bars(FILE *file, const struct plot *plot, uint64_t n);
/* Whether plot_lines shows a row: it was measured, at a length, and has that figure. */
bool plot_has_point(const struct plot_measure *measure, const struct bench_row *row);
/* Whether it shows one of the panel. */
bool plot_has_points(const struct plot_measure *measure, const struct report_panel *panel);

/* Style sheets: what SVG needs, with the colours of light and dark; what a page needs besides. */
extern const char plot_style[], page_style[];

#endif
