/* adamra bench: attention kinds on one or all devices; see bench.h for what it is made of. */
#include "bench_run.h"
#include "adamra_build.h"
#include "platform.h"
#include <errno.h>
#include <string.h>
#include <time.h>

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif

/* All result files of --compare. */
struct others {
    struct bench_results *items[LIST_MAX];
    uint32_t count;
};

/* The exit status of bench_read and bench_html as a status, whose reason has been said. */
static status said(int exit_status)
{
    static const status codes[] = {
        [0] = STATUS_OK, [1] = STATUS_IO, [2] = STATUS_INVALID_ARGUMENT, [3] = STATUS_BAD_INPUT};
    return exit_status >= 0 && exit_status < (int)ARRAY_SIZE(codes) ? codes[exit_status]
                                                                    : STATUS_IO;
}

static status read_others(const struct bench_options *options, struct others *others)
{
    int exit_status = 0;
    cli_reading(true);
    for (uint32_t i = 0; i < options->compare_count && exit_status == 0; i++) {
        others->items[i] = bench_read(options->compare[i], &exit_status);
        others->count += exit_status == 0;
    }
    cli_reading(false);
    return said(exit_status);
}

static void describe_build(const struct cli *cli, char date[32], struct bench_results *results)
{
    time_t now = time(NULL);
    struct tm utc;
    if (!gmtime_r(&now, &utc) || strftime(date, 32, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) {
        date[0] = 0;
    }
    results->version = adamra_version();
    results->date = date;
    results->build_compiler = COMPILER;
    results->build_type = ADAMRA_BUILD_TYPE;
    results->build_commit = ADAMRA_COMMIT;
    results->command = (const char **)cli->argv;
    results->command_count = (size_t)cli->argc;
}

static status print_results(struct cli *cli, const struct bench_options *options,
                            const struct bench_results *results)
{
    static bool (*const writers[])(FILE *, const struct bench_results *) = {
        [FORMAT_MD] = bench_write_md,
        [FORMAT_CSV] = bench_write_csv,
        [FORMAT_JSON] = bench_write_json,
        [FORMAT_JSONL] = bench_write_jsonl,
    };
    return writers[options->format](stdout, results)
               ? STATUS_OK
               : fail(&cli->log, STATUS_IO, "cannot write to standard output: %s", strerror(errno));
}

/* The comparison goes where the results are read by people. */
static FILE *comparison_stream(const struct bench_options *options)
{
    return options->format == FORMAT_MD ? stdout : stderr;
}

/* Whether the results themselves are printed. Those of a file are where a format is asked for, and
 * where nothing else would come of the command. */
static bool prints_results(const struct bench_options *options)
{
    return options->measures || options->format_given ||
           (options->compare_count == 1 && !options->html && !options->svg);
}

/* Results first, then every page or comparison over them. With --preset none the first file of
 * --compare stands for the results. */
static status show(struct cli *cli, const struct bench_options *options,
                   const struct bench_results *results, const struct others *others)
{
    const struct bench_results *sets[LIST_MAX + 1] = {results};
    uint32_t first = options->measures ? 0 : 1; /* of the files that are not `results` */
    size_t count = 1;
    for (uint32_t i = first; i < others->count; i++) {
        sets[count++] = others->items[i];
    }
    const bool prints = prints_results(options), compares = others->count > first;
    FILE *stream = comparison_stream(options);
    status result = prints ? print_results(cli, options, results) : STATUS_OK;
    if (result != STATUS_OK) {
        return result;
    }
    if (prints && compares && stream == stdout) {
        putchar('\n'); /* the comparison is no line of the table */
    }
    if (compares && !bench_compare(stream, results, others->items + first,
                                   options->compare + first, others->count - first)) {
        return fail(&cli->log, STATUS_IO, "cannot write the comparison: %s", strerror(errno));
    }
    result = options->html ? said(bench_html(options->html, sets, count)) : STATUS_OK;
    if (result == STATUS_OK && options->svg) {
        result = said(bench_svg(options->svg, sets, count));
    }
    return result;
}

/* Says now what would make a page fail after minutes of measuring, or cost a result file. */
static status check_pages(struct cli *cli, const struct bench_options *options)
{
    const char *const paths[] = {options->html, options->svg};
    status result = STATUS_OK;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        for (uint32_t j = 0; paths[i] && j < options->compare_count; j++) {
            if (platform_same_file(paths[i], options->compare[j])) {
                return fail(&cli->log, STATUS_INVALID_ARGUMENT,
                            "bench: --html and --svg: expected other files than those of "
                            "--compare, got %s",
                            paths[i]);
            }
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(paths) && result == STATUS_OK; i++) {
        result = paths[i] ? said(bench_page_check(paths[i])) : STATUS_OK;
    }
    return result;
}

/* After an early Ctrl-C there is nothing to show: a table without rows says nothing, and a page
 * that is there keeps what it has. Formats for programs stay whole. */
static status show_nothing(struct cli *cli, const struct bench_options *options,
                           const struct bench_results *results)
{
    return options->format == FORMAT_MD ? STATUS_OK : print_results(cli, options, results);
}

/* A script is not to take wrong numbers for figures. */
static status judge_rows(struct cli *cli, const struct bench_results *results)
{
    size_t wrong = 0;
    for (size_t i = 0; i < results->row_count; i++) {
        wrong += results->rows[i].status == ROW_WRONG;
    }
    return wrong == 0 ? STATUS_OK
                      : fail(&cli->log, STATUS_DRIVER,
                             "bench: %zu of %zu rows differ from the reference", wrong,
                             results->row_count);
}

static status measure_and_show(struct cli *cli, const struct bench_options *options,
                               const struct others *others)
{
    struct bench_run run = {0};
    char date[32];
    status result = STATUS_OK;
    if (options->measures) {
        result = bench_run(cli, options, &run);
        describe_build(cli, date, &run.results);
    }
    /* What is done before a failure is worth having. */
    if (result == STATUS_OK && options->measures && cli_interrupted() &&
        run.results.row_count == 0) {
        result = show_nothing(cli, options, &run.results);
    } else if (result == STATUS_OK || run.results.row_count > 0) {
        const struct bench_results *results = options->measures ? &run.results : others->items[0];
        status shown = show(cli, options, results, others);
        result = result ? result : shown;
    }
    result = result ? result : judge_rows(cli, &run.results);
    bench_run_finish(&run);
    return result;
}

status bench_command(struct cli *cli)
{
    struct bench_options options;
    struct others others = {0};
    status result = bench_options_parse(&cli->log, cli->argc - 1, cli->argv + 1, &options);
    cli->options.quiet = options.common.quiet;
    cli->options.verbose = options.common.verbose;
    if (result == STATUS_OK && options.common.help) {
        cli_print_usage(cli);
        bench_options_print(stdout);
        goto done;
    }
    if (result == STATUS_OK) {
        result = read_others(&options, &others);
    }
    if (result == STATUS_OK) {
        result = check_pages(cli, &options);
    }
    if (result == STATUS_OK) {
        result = measure_and_show(cli, &options, &others);
    }
done:
    for (uint32_t i = 0; i < others.count; i++) {
        bench_results_destroy(others.items[i]);
    }
    options_finish(&options.common);
    return result;
}
