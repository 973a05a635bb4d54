#include "bench_plot.h"
#include "bench_labels.h"
#include "bench_table.h"
#include <math.h>
#include <string.h>

#define MAX_SEGMENTS 512 /* that labels keep clear of */
#define MAX_LABELS   64
#define LABEL_HEIGHT 15.0
#define MARKER       4.0 /* half of its width */

/* Where things are in the view box, and what is at the edges. */
struct frame {
    const struct plot *plot;
    struct axis x, y;
    struct box area; /* of the lines */
    struct box segments[MAX_SEGMENTS];
    size_t segment_count;
    struct box labels[MAX_LABELS];
    size_t label_count;
};

/* Roughly what numbers of an axis and the bolder names take at the style's size. */
static double text_width(const char *text)
{
    return 7.2 * (double)text_columns(text);
}

static double name_width(const char *text)
{
    return 8.2 * (double)text_columns(text);
}

static double place_x(const struct frame *frame, double n)
{
    return frame->area.x0 + axis_place(&frame->x, n) * (frame->area.x1 - frame->area.x0);
}

static double place_y(const struct frame *frame, double value)
{
    return frame->area.y1 - axis_place(&frame->y, value) * (frame->area.y1 - frame->area.y0);
}

bool plot_has_point(const struct plot_measure *measure, const struct bench_row *row)
{
    bool spread = !measure->spread || (row->ms_min > 0 && row->ms_p95 > 0);
    return row->status == ROW_OK && row->n > 0 && spread && measure->value(row) > 0;
}

bool plot_has_points(const struct plot_measure *measure, const struct report_panel *panel)
{
    bool found = false;
    for (size_t i = 0; i < panel->count; i++) {
        found |= plot_has_point(measure, panel->rows[i]);
    }
    return found;
}

/* ---- axes ---- */

static void init_axes(struct frame *frame)
{
    const struct plot *plot = frame->plot;
    double first = HUGE_VAL, last = 0, low = HUGE_VAL, high = 0;
    for (size_t i = 0; i < plot->panel->count; i++) {
        const struct bench_row *row = plot->panel->rows[i];
        if (plot_has_point(plot->measure, row)) {
            double value = plot->measure->value(row);
            first = fmin(first, (double)row->n);
            last = fmax(last, (double)row->n);
            low = fmin(low, plot->measure->spread ? row->ms_min : value);
            high = fmax(high, plot->measure->spread ? row->ms_p95 : value);
        }
    }
    size_t fitting = (size_t)((plot->width - 150) / 50);
    axis_init(&frame->x, AXIS_LENGTH, first, last, fitting);
    if (plot->measure->kind == AXIS_SHARE) {
        high = fmax(1, high);
    }
    axis_init(&frame->y, plot->measure->kind, low, high, 9);
}

static void init_area(struct frame *frame)
{
    const struct plot *plot = frame->plot;
    double left = 0, right = 0;
    for (size_t i = 0; i < frame->y.tick_count; i++) {
        left = fmax(left, text_width(frame->y.labels[i].text));
    }
    for (size_t i = 0; i < plot->panel->line_count; i++) {
        right = fmax(right, name_width(plot->panel->lines[i].label));
    }
    right = fmin(right, plot->width * 0.4);
    frame->area =
        (struct box){left + 12, plot->top + 30, plot->width - right - 16, plot->height - 50};
}

static void write_axes(FILE *file, const struct frame *frame)
{
    const struct box *area = &frame->area;
    const double middle = (area->x0 + area->x1) / 2;
    fputs("<g class=\"grid\">\n", file);
    for (size_t i = 0; i < frame->y.tick_count; i++) {
        double y = place_y(frame, frame->y.ticks[i]);
        fprintf(file,
                "<path d=\"M%.1f %.1fH%.1f\"/><text x=\"%.1f\" y=\"%.1f\" "
                "text-anchor=\"end\">",
                area->x0, y, area->x1, area->x0 - 8, y + 4.5);
        html_text(file, frame->y.labels[i].text);
        fputs("</text>\n", file);
    }
    for (size_t i = 0; i < frame->x.tick_count; i++) {
        double x = place_x(frame, frame->x.ticks[i]);
        fprintf(file,
                "<path d=\"M%.1f %.1fv5\"/><text x=\"%.1f\" y=\"%.1f\" "
                "text-anchor=\"middle\">",
                x, area->y1, x, area->y1 + 19);
        html_text(file, frame->x.labels[i].text);
        fputs("</text>\n", file);
    }
    fprintf(file, "<path class=\"base\" d=\"M%.1f %.1fH%.1f\"/>\n", area->x0, area->y1, area->x1);
    fprintf(file,
            "<text class=\"name\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">"
            "length n, tokens</text>\n",
            middle, area->y1 + 40);
    fprintf(file, "<text class=\"name\" x=\"0\" y=\"%.1f\">", frame->plot->top + 13);
    html_text(file, frame->plot->measure->axis);
    fputs("</text>\n</g>\n", file);
}

/* ---- lines ---- */

/* One shape a kind besides its colour. */
static void write_marker(FILE *file, uint32_t shape, double x, double y)
{
    const double r = MARKER, t = MARKER * 1.25;
    switch (shape % 5) {
    case 0: /* disc */
        fprintf(file, "M%.1f %.1fa%.1f %.1f 0 1 0 %.1f 0a%.1f %.1f 0 1 0 %.1f 0z", x - r, y, r, r,
                2 * r, r, r, -2 * r);
        break;
    case 1: /* square */
        fprintf(file, "M%.1f %.1fh%.1fv%.1fh%.1fz", x - r, y - r, 2 * r, 2 * r, -2 * r);
        break;
    case 2: /* triangle */
        fprintf(file, "M%.1f %.1fl%.1f %.1fh%.1fz", x, y - t, t, 2 * t - 1, -2 * t);
        break;
    case 3: /* diamond */
        fprintf(file, "M%.1f %.1fl%.1f %.1fl%.1f %.1fl%.1f %.1fz", x, y - t, t, t, -t, t, -t, -t);
        break;
    default: /* triangle that stands on its tip */
        fprintf(file, "M%.1f %.1fl%.1f %.1fh%.1fz", x, y + t, t, 1 - 2 * t, -2 * t);
    }
}

static void write_point(FILE *file, const struct frame *frame, const struct report_line *line,
                        const struct bench_row *row)
{
    const struct plot *plot = frame->plot;
    const struct plot_measure *measure = plot->measure;
    double x = place_x(frame, (double)row->n), y = place_y(frame, measure->value(row));
    char exact[256];
    if (measure->spread) {
        fprintf(file, "<path class=\"spread\" d=\"M%.1f %.1fV%.1f\"/>", x,
                place_y(frame, row->ms_min), place_y(frame, row->ms_p95));
    }
    fputs("<path class=\"point\" d=\"", file);
    write_marker(file, line->color, x, y);
    fputs("\"><title>", file);
    html_text(file, line->label);
    fprintf(file, ", n %s: ", text_count(row->n).text);
    html_text(file, measure->exact(row, exact, sizeof(exact)));
    fputs("</title></path>\n", file);
}

static void add_segment(struct frame *frame, double x0, double y0, double x1, double y1)
{
    if (frame->segment_count < MAX_SEGMENTS) {
        frame->segments[frame->segment_count++] = (struct box){x0, y0, x1, y1};
    }
}

/* Also notes where the line runs. */
static void write_line(FILE *file, struct frame *frame, const struct report_line *line)
{
    const char *separator = "<path class=\"curve\" d=\"M";
    double last_x = 0, last_y = 0;
    size_t points = 0;
    fprintf(file, "<g class=\"line c%u v%u\">", line->color, line->dash);
    for (size_t i = 0; i < line->count; i++) {
        if (!plot_has_point(frame->plot->measure, line->rows[i])) {
            continue;
        }
        double x = place_x(frame, (double)line->rows[i]->n);
        double y = place_y(frame, frame->plot->measure->value(line->rows[i]));
        fprintf(file, "%s%.1f %.1f", separator, x, y);
        if (points++ > 0) {
            add_segment(frame, last_x, last_y, x, y);
        }
        add_segment(frame, x - MARKER, y, x + MARKER, y);
        separator = "L";
        last_x = x;
        last_y = y;
    }
    fputs(points ? "\"/>\n" : "", file);
    for (size_t i = 0; i < line->count; i++) {
        if (plot_has_point(frame->plot->measure, line->rows[i])) {
            write_point(file, frame, line, line->rows[i]);
        }
    }
    fputs("</g>\n", file);
}

/* ---- names at the ends of lines ---- */

/* The end of a line; false when it has no point. */
static bool find_end(const struct frame *frame, const struct report_line *line, double *x,
                     double *y)
{
    const struct plot_measure *measure = frame->plot->measure;
    bool found = false;
    for (size_t i = line->count; i-- > 0 && !found;) {
        found = plot_has_point(measure, line->rows[i]);
        *x = found ? place_x(frame, (double)line->rows[i]->n) : 0;
        *y = found ? place_y(frame, measure->value(line->rows[i])) : 0;
    }
    return found;
}

/* The name of line i with the letters of the machines whose line ends at the same place; false
 * where an earlier line has said it. */
static bool join_names(const struct frame *frame, size_t i, double x, double y, char *name,
                       size_t size)
{
    const struct report_line *lines = frame->plot->panel->lines;
    size_t used = (size_t)snprintf(name, size, "%s", lines[i].label);
    for (size_t j = 0; j < frame->plot->panel->line_count; j++) {
        double other_x, other_y;
        if (j == i || !report_same_line(&lines[i], &lines[j]) ||
            !find_end(frame, &lines[j], &other_x, &other_y) || fabs(other_x - x) > 1 ||
            fabs(other_y - y) > 1) {
            continue;
        }
        if (j < i) {
            return false;
        }
        const char *letter = frame->plot->report->machines[lines[j].machine].letter;
        used += used < size ? (size_t)snprintf(name + used, size - used, ", %s", letter) : 0;
    }
    return true;
}

/* A name that had to move is joined to its line by a thin one. */
static void write_name(FILE *file, struct frame *frame, size_t i)
{
    const struct plot *plot = frame->plot;
    double x, y;
    char name[256];
    if (frame->label_count == MAX_LABELS || !find_end(frame, &plot->panel->lines[i], &x, &y) ||
        !join_names(frame, i, x, y, name, sizeof(name))) {
        return;
    }
    const struct label_space space = {.bounds = {frame->area.x0, frame->area.y0 - LABEL_HEIGHT,
                                                 plot->width + LABEL_HEIGHT, frame->area.y1},
                                      .segments = frame->segments,
                                      .segment_count = frame->segment_count,
                                      .taken = frame->labels,
                                      .taken_count = frame->label_count};
    const struct box box =
        label_place(&space, x, y, fmin(name_width(name), plot->width - x), LABEL_HEIGHT);
    frame->labels[frame->label_count++] = box;
    double middle = (box.y0 + box.y1) / 2;
    fprintf(file, "<g class=\"c%u\">", plot->panel->lines[i].color);
    if (fabs(middle - y) > LABEL_HEIGHT * 0.6) {
        fprintf(file, "<path class=\"lead\" d=\"M%.1f %.1fL%.1f %.1f\"/>", x + MARKER, y,
                box.x0 - 1, middle);
    }
    fprintf(file, "<text class=\"label\" x=\"%.1f\" y=\"%.1f\">", box.x0, middle + 4.5);
    html_text(file, name);
    fputs("</text></g>\n", file);
}

/* ---- where adamra becomes faster ---- */

/* A stroke with the length, where pages of one machine show times. */
static void write_crossovers(FILE *file, const struct frame *frame)
{
    const struct report *report = frame->plot->report;
    const struct bench_results *results = report->machines[0].results;
    double y = frame->area.y0 + 10;
    bool wanted = report->machine_count == 1 && frame->plot->measure == &measure_time;
    for (size_t i = 0; wanted && i < results->crossover_count; i++) {
        const struct bench_crossover *crossover = &results->crossovers[i];
        const struct bench_row *row = &results->rows[crossover->row];
        double place = axis_place(&frame->x, crossover->n);
        if (crossover->n <= 0 || place < 0 || place > 1 ||
            !report_has_row(frame->plot->panel, row)) {
            continue;
        }
        double x = place_x(frame, crossover->n);
        const struct short_text n = text_count((uint64_t)(crossover->n + 0.5));
        fputs("<g class=\"crossing\"><title>", file);
        html_text(file, row->attention);
        fputs(" is faster than ", file);
        html_text(file, crossover->against);
        fprintf(file, " from %s tokens on</title><path d=\"M%.1f %.1fV%.1f\"/>", n.text, x, y - 10,
                frame->area.y1);
        fprintf(file, "<text x=\"%.1f\" y=\"%.1f\">%s</text></g>\n", x + 6, y, n.text);
        y += LABEL_HEIGHT;
    }
}

void plot_lines(FILE *file, const struct plot *plot)
{
    struct frame frame = {.plot = plot};
    init_axes(&frame);
    init_area(&frame);
    if (!plot->alone) {
        fprintf(file, "<svg class=\"plot\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"",
                plot->width, plot->height);
        html_text(file, plot->measure->title);
        fputs(" against length\">\n", file);
    }
    write_axes(file, &frame);
    write_crossovers(file, &frame);
    for (size_t i = 0; i < plot->panel->line_count; i++) {
        write_line(file, &frame, &plot->panel->lines[i]);
    }
    for (size_t i = 0; i < plot->panel->line_count; i++) {
        write_name(file, &frame, i);
    }
    fputs(plot->alone ? "" : "</svg>\n", file);
}
