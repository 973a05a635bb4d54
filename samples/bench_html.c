/* bench_html: one self-contained page: no script, nothing from the network. */
#include "bench_html.h"
#include "base/file.h"
#include "bench_table.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Two plots side by side on a desk, one on a phone, with type of a readable size on both. */
#define PLOT_WIDTH  460.0
#define PLOT_HEIGHT 340.0
#define BAR_HEIGHT  28.0
#define NAME_HEIGHT 15.0

/* ---- panels ---- */

static bool write_figure(FILE *file, struct plot *plot, const struct plot_measure *measure)
{
    plot->measure = measure;
    fputs("<figure><h3>", file);
    html_text(file, measure->title);
    fputs("</h3>\n", file);
    plot_lines(file, plot);
    fputs("<details><summary>Figures</summary>\n", file);
    bool written = html_measure_table(file, plot);
    fputs("</details></figure>\n", file);
    return written;
}

static bool write_bars(FILE *file, const struct report *report, const struct report_panel *panel)
{
    uint64_t n = report_common_length(panel);
    const struct plot plot = {.report = report,
                              .panel = panel,
                              .measure = n ? &measure_tokens : &measure_gflops,
                              .width = PLOT_WIDTH,
                              .height = BAR_HEIGHT};
    fputs("<figure><h3>", file);
    html_text(file, plot.measure->title);
    if (n > 0) {
        fprintf(file, " at %s tokens", text_count(n).text);
    }
    fputs("</h3>\n", file);
    plot_bars(file, &plot, n);
    fputs("<details><summary>Figures</summary>\n", file);
    bool written = html_measure_table(file, &plot);
    fputs("</details></figure>\n", file);
    return written;
}

/* "Core pass, f32; d 64", of the options in which panels differ, and below it the others. */
static void write_heading(FILE *file, const struct report *report, const struct report_panel *panel)
{
    static const char *const passes[] = {"Core pass", "Layer pass", "Encoder pass", "Products"};
    const uint32_t pass = options_bit("pass");
    char options[512];
    fprintf(file, "<h2>%s", passes[panel->rows[0]->pass]);
    report_options(panel, report->varying & ~pass, options, sizeof(options));
    fputs(*options ? ", " : "", file);
    html_text(file, options);
    fputs("</h2>\n<p class=\"quiet\">", file);
    html_text(file, report_options(panel, ~report->varying & ~pass, options, sizeof(options)));
    fputs("</p>\n", file);
}

static bool write_panel(FILE *file, const struct report *report, const struct report_panel *panel)
{
    static const struct plot_measure *const measures[] = {&measure_time, &measure_memory,
                                                          &measure_share};
    /* room for the names at the ends of many lines */
    size_t more = panel->line_count > 6 ? panel->line_count - 6 : 0;
    struct plot plot = {.report = report,
                        .panel = panel,
                        .width = PLOT_WIDTH,
                        .height = PLOT_HEIGHT + NAME_HEIGHT * (double)more};
    fputs("<section>\n", file);
    write_heading(file, report, panel);
    bool written = html_findings(file, report, panel);
    fputs("<div class=\"plots\">\n", file);
    for (size_t i = 0; i < ARRAY_SIZE(measures); i++) {
        if (plot_has_points(measures[i], panel)) {
            written = write_figure(file, &plot, measures[i]) && written;
        }
    }
    written = write_bars(file, report, panel) && written;
    fputs("</div>\n", file);
    html_left_out(file, panel);
    fputs("<details><summary>All figures</summary>\n", file);
    written = html_panel_table(file, panel) && written;
    fputs("</details>\n</section>\n", file);
    return written;
}

/* ---- pages ---- */

/* Whether no earlier machine has that name. */
static bool is_new_name(const struct report *report, size_t i)
{
    const char *name = report->machines[i].device->name;
    for (size_t j = 0; j < i; j++) {
        if (!strcmp(report->machines[j].device->name, name)) {
            return false;
        }
    }
    return true;
}

static void write_title(FILE *file, const struct report *report)
{
    const char *separator = ": ";
    size_t names = 0;
    for (size_t i = 0; i < report->machine_count; i++) {
        names += is_new_name(report, i);
    }
    fputs("adamra bench", file);
    for (size_t i = 0; i < report->machine_count && names <= 3; i++) {
        if (is_new_name(report, i)) {
            fputs(separator, file);
            html_text(file, report->machines[i].device->name);
            separator = ", ";
        }
    }
    if (names > 3) {
        fprintf(file, ": %zu devices", names);
    }
}

static void write_notes(FILE *file)
{
    fputs(
        "<section>\n<h2>How to read this</h2>\n<ul class=\"quiet\">\n"
        "<li>Time is the device\xe2\x80\x99s own, of one run: the median, with a stroke from the "
        "fastest run to the 95th percentile. Points say their exact values when pointed at.</li>\n"
        "<li>The limit is the larger of bytes that must move over the copy bandwidth, and "
        "operations over the multiply-add rate, both measured on the device by the same program; "
        "the share is that time over the time taken.</li>\n"
        "<li>Memory beyond inputs and outputs is what a run needs for its intermediate "
        "results.</li>\n</ul>\n</section>\n",
        file);
}

static bool write_page(FILE *file, const struct report *report)
{
    bool written = true;
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>",
          file);
    write_title(file, report);
    fprintf(file, "</title>\n<style>\n%s%s</style>\n</head>\n<body>\n<main>\n<h1>", plot_style,
            page_style);
    write_title(file, report);
    fputs("</h1>\n<p class=\"quiet\">Adaptive multi-resolution attention beside its alternatives, "
          "in the same engine.</p>\n",
          file);
    written = html_machines(file, report);
    for (size_t i = 0; i < report->panel_count; i++) {
        written = write_panel(file, report, &report->panels[i]) && written;
    }
    written = html_kernels(file, report) && written;
    write_notes(file);
    fputs("</main>\n</body>\n</html>\n", file);
    return written;
}

/* ---- files ---- */

static status write_text(struct logger *log, const char *path, const struct report *report,
                         bool (*write)(FILE *, const struct report *))
{
    struct file_writer writer;
    status result = file_writer_open(log, path, &writer);
    if (result != STATUS_OK) {
        return result;
    }
    int descriptor = dup(writer.descriptor); /* the stream closes its own */
    FILE *stream = descriptor >= 0 ? fdopen(descriptor, "wb") : NULL;
    bool written = stream && write(stream, report) && !ferror(stream);
    written = stream && fclose(stream) == 0 && written;
    if (written) {
        return file_writer_commit(&writer);
    }
    result = fail(log, STATUS_IO, "%s: cannot write: %s", path, strerror(errno));
    if (descriptor >= 0 && !stream) {
        close(descriptor);
    }
    file_writer_discard(&writer);
    return result;
}

int bench_page_check(const char *path)
{
    struct logger log = {.write = bench_print_error};
    struct file_writer writer;
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) {
        return 0; /* whoever reads a pipe would see its end */
    }
    status result = file_writer_open(&log, path, &writer);
    if (result == STATUS_OK) {
        file_writer_discard(&writer);
    }
    return bench_exit_status(result);
}

int html_write(const char *path, const struct bench_results *const *results, size_t count,
               bool (*write)(FILE *, const struct report *))
{
    struct logger log = {.write = bench_print_error};
    struct report report;
    status result = report_init(&log, results, count, &report);
    if (result == STATUS_OK) {
        result = write_text(&log, path, &report, write);
    }
    report_finish(&report);
    return bench_exit_status(result);
}

int bench_html(const char *path, const struct bench_results *const *results, size_t count)
{
    return html_write(path, results, count, write_page);
}
