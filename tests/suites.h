/* Every suite, one row each; tests/meson.build builds them together and one by one. */
#ifndef SUITES_H
#define SUITES_H

#include <check.h>
#undef fail /* an old macro of Check; ours is in base.h */

/* clang-format off */
#define SUITES(ROW) \
    ROW(base) \
    ROW(safetensors) \
    ROW(st_write) \
    ROW(config) \
    ROW(gpu) \
    ROW(gpu_memory) \
    ROW(gpu_room) \
    ROW(gpu_info) \
    ROW(gpu_reflect) \
    ROW(gpu_record) \
    ROW(foreign) \
    ROW(gpu_pieces) \
    ROW(submit) \
    ROW(rate) \
    ROW(submit_api) \
    ROW(limits) \
    ROW(matrices) \
    ROW(limits_results) \
    ROW(store) \
    ROW(cache) \
    ROW(tune) \
    ROW(ops) \
    ROW(ops_reference) \
    ROW(choices) \
    ROW(span) \
    ROW(halves) \
    ROW(linear) \
    ROW(route) \
    ROW(state) \
    ROW(graph) \
    ROW(plan) \
    ROW(api) \
    ROW(attention) \
    ROW(attention_api) \
    ROW(attention_refusals) \
    ROW(stream) \
    ROW(stream_bounds) \
    ROW(embed) \
    ROW(embed_features) \
    ROW(embed_record) \
    ROW(embed_import) \
    ROW(embed_usage) \
    ROW(embed_model) \
    ROW(embed_device) \
    ROW(bigbird) \
    ROW(encoder) \
    ROW(model) \
    ROW(model_memory) \
    ROW(model_load) \
    ROW(cli) \
    ROW(cli_files) \
    ROW(cli_interrupt) \
    ROW(cli_numbers) \
    ROW(cli_results) \
    ROW(faults) \
    ROW(faults_cache) \
    ROW(soak) \
    ROW(threads) \
    ROW(bench) \
    ROW(bench_work) \
    ROW(bench_run) \
    ROW(bench_write) \
    ROW(bench_read) \
    ROW(bench_compare) \
    ROW(bench_html)
/* clang-format on */

#define DECLARE(name) Suite *name##_suite(void);
SUITES(DECLARE)

#endif
