/* bench_bars: a panel's lines as bars at one length. */
#include "bench_plot.h"
#include "bench_table.h"
#include <math.h>

#define CHARACTER 8.2 /* width of a bold one, roughly, at the style's size */
#define VALUE     68  /* room for the number behind the longest bar */
#define FOOT      50  /* room for the axis */

struct bars {
    const struct plot *plot;
    uint64_t n;
    struct axis axis;
    double x0, x1, bottom;
};

static double bar_value(const struct bars *bars, const struct report_line *line)
{
    const struct bench_row *row = report_row_at(line, bars->n);
    return row && row->status == ROW_OK ? bars->plot->measure->value(row) : 0;
}

static void init_bars(struct bars *bars)
{
    const struct report_panel *panel = bars->plot->panel;
    double high = 0;
    for (size_t i = 0; i < panel->line_count; i++) {
        double width = CHARACTER * (double)text_columns(panel->lines[i].label) + 10;
        bars->x0 = fmax(bars->x0, fmin(width, bars->plot->width * 0.5));
        high = fmax(high, bar_value(bars, &panel->lines[i]));
    }
    bars->x1 = bars->plot->width - VALUE;
    bars->bottom = (double)panel->line_count * bars->plot->height + 6;
    axis_init(&bars->axis, AXIS_AMOUNT, 0, high, 5);
}

static void write_scale(FILE *file, const struct bars *bars)
{
    fputs("<g class=\"grid\">\n", file);
    for (size_t i = 0; i < bars->axis.tick_count; i++) {
        double x = bars->x0 + axis_place(&bars->axis, bars->axis.ticks[i]) * (bars->x1 - bars->x0);
        fprintf(file,
                "<path d=\"M%.1f 6V%.1f\"/><text x=\"%.1f\" y=\"%.1f\" "
                "text-anchor=\"middle\">%s</text>\n",
                x, bars->bottom, x, bars->bottom + 18, bars->axis.labels[i].text);
    }
    fprintf(file, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
            (bars->x0 + bars->x1) / 2, bars->bottom + 40);
    html_text(file, bars->plot->measure->axis);
    fputs("</text>\n</g>\n", file);
}

static void write_bar(FILE *file, const struct bars *bars, size_t i)
{
    const struct report_line *line = &bars->plot->panel->lines[i];
    const struct bench_row *row = report_row_at(line, bars->n);
    double value = bar_value(bars, line);
    double height = bars->plot->height, y = 6 + height * (double)i;
    double width = axis_place(&bars->axis, value) * (bars->x1 - bars->x0);
    char exact[256];
    fprintf(file, "<g class=\"line c%u\"><text class=\"label\" x=\"0\" y=\"%.1f\">", line->color,
            y + height / 2 + 4.5);
    html_text(file, line->label);
    fputs("</text>", file);
    if (value > 0) {
        fprintf(file, "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">",
                bars->x0, y + 4, fmax(width, 1), height - 8);
        fputs("<title>", file);
        html_text(file, line->label);
        fprintf(file, ": %s</title></rect>", bars->plot->measure->exact(row, exact, sizeof(exact)));
    }
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\">%s</text></g>\n", bars->x0 + width + 6,
            y + height / 2 + 4.5,
            value > 0 ? bars->plot->measure->show(value).text
            : row     ? bench_status_names[row->status]
                      : "not measured");
}

void plot_bars(FILE *file, const struct plot *plot, uint64_t n)
{
    struct bars bars = {.plot = plot, .n = n};
    init_bars(&bars);
    fprintf(file, "<svg class=\"plot\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"",
            plot->width, bars.bottom + FOOT);
    html_text(file, plot->measure->title);
    fputs("\">\n", file);
    write_scale(file, &bars);
    for (size_t i = 0; i < plot->panel->line_count; i++) {
        write_bar(file, &bars, i);
    }
    fputs("</svg>\n", file);
}
