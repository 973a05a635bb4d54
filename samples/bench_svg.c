/* bench_svg: the plot of times as a file of its own, with the background that its colours need. */
#include "bench_html.h"
#include "bench_table.h"

#define MARGIN 24.0
#define WIDTH  640.0
#define HEIGHT 410.0 /* without the machines' lines */
#define LINE   18.0

static double write_line(FILE *file, const char *class, double y, const char *letter,
                         const char *text)
{
    fprintf(file, "<text class=\"%s\" x=\"0\" y=\"%.0f\">", class, y);
    html_text(file, letter);
    fputs(*letter ? "  " : "", file);
    html_text(file, text);
    fputs("</text>\n", file);
    return y + LINE;
}

static void open_svg(FILE *file, double height)
{
    const double width = WIDTH + 2 * MARGIN;
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" "
            "viewBox=\"%.0f %.0f %.0f %.0f\" width=\"%.0f\" height=\"%.0f\">\n<style>\n%s"
            ".plot .title{font-size:16px;font-weight:600}.plot .sub{fill:var(--quiet)}</style>\n"
            "<rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\" rx=\"8\" "
            "fill=\"var(--paper)\"/>\n",
            -MARGIN, -MARGIN, width, height, width, height, plot_style, -MARGIN, -MARGIN, width,
            height);
}

/* The first panel with lengths; NULL when there is none. */
static const struct report_panel *choose_panel(const struct report *report)
{
    for (size_t i = 0; i < report->panel_count; i++) {
        if (plot_has_points(&measure_time, &report->panels[i])) {
            return &report->panels[i];
        }
    }
    return NULL;
}

static bool write_svg(FILE *file, const struct report *report)
{
    const struct report_panel *panel = choose_panel(report);
    const struct plot plot = {.report = report,
                              .panel = panel,
                              .measure = &measure_time,
                              .width = WIDTH,
                              .height = HEIGHT + LINE * (double)report->machine_count,
                              .top = LINE * (double)report->machine_count + 2.5 * LINE,
                              .alone = true};
    double y = LINE / 2;
    char options[512];
    open_svg(file, plot.height + 2 * MARGIN - 6);
    y = write_line(file, "title", y, "", measure_time.title) + 2;
    for (size_t i = 0; i < report->machine_count; i++) {
        const struct report_machine *machine = &report->machines[i];
        y = write_line(file, "machine", y, machine->letter, machine->device->name);
    }
    if (panel) {
        report_options(panel, UINT32_MAX, options, sizeof(options));
        write_line(file, "sub", y, "", options);
        plot_lines(file, &plot);
    }
    fputs("</svg>\n", file);
    return true;
}

int bench_svg(const char *path, const struct bench_results *const *results, size_t count)
{
    return html_write(path, results, count, write_svg);
}
