/* bench_measures: the figures that plots and bars show. */
#include "bench_plot.h"

static double value_time(const struct bench_row *row)
{
    return row->ms_median;
}

static double value_memory(const struct bench_row *row)
{
    return (double)row->input_bytes + (double)row->output_bytes + (double)row->peak_device_bytes;
}

static double value_share(const struct bench_row *row)
{
    return row->limit_share;
}

static double value_tokens(const struct bench_row *row)
{
    return row->tokens_per_s;
}

static double value_gflops(const struct bench_row *row)
{
    return row->gflops;
}

static const char *exact_time(const struct bench_row *row, char *text, size_t size)
{
    snprintf(text, size, "%s ms median, %s min, %s p95", text_exact(row->ms_median).text,
             text_exact(row->ms_min).text, text_exact(row->ms_p95).text);
    return text;
}

static const char *exact_memory(const struct bench_row *row, char *text, size_t size)
{
    snprintf(text, size, "%s bytes of inputs, %s of outputs, %s beyond",
             text_count(row->input_bytes).text, text_count(row->output_bytes).text,
             text_count(row->peak_device_bytes).text);
    return text;
}

static const char *exact_share(const struct bench_row *row, char *text, size_t size)
{
    snprintf(text, size, "%s of the limit, %s GB/s, %s GFLOP/s", text_exact(row->limit_share).text,
             text_exact(row->gbytes_per_s).text, text_exact(row->gflops).text);
    return text;
}

static const char *exact_tokens(const struct bench_row *row, char *text, size_t size)
{
    snprintf(text, size, "%s tokens/s", text_exact(row->tokens_per_s).text);
    return text;
}

static const char *exact_gflops(const struct bench_row *row, char *text, size_t size)
{
    snprintf(text, size, "%s GFLOP/s", text_exact(row->gflops).text);
    return text;
}

const struct plot_measure measure_time = {"Time of one run",
                                          "milliseconds, median",
                                          AXIS_NUMBER,
                                          value_time,
                                          text_number,
                                          exact_time,
                                          true};
const struct plot_measure measure_memory = {"Device memory",
                                            "bytes: inputs, outputs and what lies beyond",
                                            AXIS_BYTES,
                                            value_memory,
                                            text_bytes,
                                            exact_memory,
                                            false};
const struct plot_measure measure_share = {"Share of the device\xe2\x80\x99s limit",
                                           "percent of what bandwidth or arithmetic allow",
                                           AXIS_SHARE,
                                           value_share,
                                           text_percent,
                                           exact_share,
                                           false};
const struct plot_measure measure_tokens = {
    "Throughput", "tokens per second", AXIS_AMOUNT, value_tokens, text_si, exact_tokens, false};
const struct plot_measure measure_gflops = {"Products",  "GFLOP/s",    AXIS_AMOUNT, value_gflops,
                                            text_number, exact_gflops, false};
