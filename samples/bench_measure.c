#include "bench_run.h"
#include "base/system.h"
#include <math.h>
#include <stdlib.h>

#define WARM_UPS     3
#define ROTATE_BYTES (UINT64_C(256) << 20) /* of all sets: more than a cache holds */
#define MEMORY_SHARE 0.7                   /* of the heap: what may be alive at once */
#define WAKE_MS      300.0
#define WAKE_SHARE   0.1    /* of --max-seconds, at most */
#define COMPILE_MS   5000.0 /* of a first run, at most: drivers compile then */
#define OPTIMISM     4.0    /* longer lengths may run at a multiple of the rate seen so far */

/* ---- rows that are not measured ---- */

/* Errors that make a row instead of ending the program. */
static bool is_skip(status result)
{
    return result == STATUS_OUT_OF_DEVICE_MEMORY || result == STATUS_UNSUPPORTED;
}

PRINTF_LIKE(3, 4)
static void skip(struct bench_run *run, struct subject *subject, const char *format, ...)
{
    char text[256];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    char *kept = arena_strdup(&run->arena, text);
    subject->row.status = ROW_SKIPPED;
    subject->row.reason = kept ? kept : "";
}

static double gib(double bytes)
{
    return bytes / (1 << 30);
}

/* Whether one set of buffers fits the device at all. */
static bool fits(struct bench_run *run, struct subject *subject)
{
    uint64_t bytes = work_input_bytes(subject->work) + work_output_bytes(subject->work);
    uint64_t free_bytes = run->device->info.heap_free;
    if (bytes <= free_bytes) {
        return true;
    }
    skip(run, subject, "inputs and outputs take %.2f GiB; the device has %.2f GiB free",
         gib((double)bytes), gib((double)free_bytes));
    return false;
}

/* Runs that are needed at least, warm-ups included. */
static double least_runs(const struct bench_run *run)
{
    return WARM_UPS + (double)run->options->repetitions;
}

/* Whether runs of `ms` each, or more, keep to --max-seconds. */
static bool in_time(struct bench_run *run, struct subject *subject, double ms)
{
    double seconds = least_runs(run) * ms * 1e-3, most = run->options->max_seconds;
    if (seconds <= most) {
        return true;
    }
    skip(run, subject, "%.0f runs of %.3g s would take %.3g s, more than --max-seconds %g",
         least_runs(run), ms * 1e-3, seconds, most);
    return false;
}

/* Before it has ever run: by the best rate that is conceivable. */
static double guess_ms(const struct bench_run *run, const struct subject *subject)
{
    double rate = fmax(run->rates.f32_gflops, run->rates.f16_gflops);
    double reached = bench_reached_gflops(run, &subject->row);
    if (reached > 0) {
        rate = fmin(rate, OPTIMISM * reached);
    }
    return subject->work->operations / rate * 1e-6;
}

/* ---- from a specification to warm pipelines ---- */

static status judge(struct bench_run *run, struct subject *subject, struct work *work, uint32_t n)
{
    struct work_error error;
    bool wrong = false;
    status result = work_check(work, &wrong, &error);
    if (result != STATUS_OK || !wrong) {
        return result;
    }
    if (error.rows == 0) {
        skip(run, subject, "no row at n %u could be compared with the reference", n);
    } else {
        skip(run, subject, "differs from the reference at n %u: relative error %.2g over %u rows",
             n, sqrt(error.difference / error.norm), error.rows);
    }
    subject->row.status = ROW_WRONG;
    return STATUS_OK;
}

/* Where a check takes too long at the row's length: the same at a shorter one. */
static status check_shorter(struct bench_run *run, struct subject *subject, uint32_t n)
{
    struct work_spec spec = subject->spec;
    struct work *work;
    double device_ms, host_ms;
    spec.n = n;
    status result = work_create(run->device, &run->numbers, &spec, &work);
    if (result == STATUS_OK) {
        result = work_prepare(work, 1);
    }
    if (result == STATUS_OK) {
        result = work_run(work, 0, &device_ms, &host_ms);
    }
    if (result == STATUS_OK) {
        result = judge(run, subject, work, n);
    }
    work_destroy(work);
    return result;
}

static uint32_t choose_sets(const struct bench_run *run, const struct work *work, uint32_t sharers)
{
    uint64_t own = work_input_bytes(work) + work_output_bytes(work) - work->weight_bytes;
    uint64_t set = size_max(1, own + plan_scratch_bytes(work->sets[0].plan));
    double budget = MEMORY_SHARE * (double)run->device->info.heap_free / sharers;
    uint64_t wanted = size_min(WORK_MAX_SETS, size_div_up(ROTATE_BYTES, set));
    return (uint32_t)size_max(1, size_min(wanted, (uint64_t)(budget / (double)set)));
}

/* The first run, checked; then the others of the warm-up. */
static status warm_up(struct bench_run *run, struct subject *subject, uint32_t sharers)
{
    struct work *work = subject->work;
    bool shorter = work->pass->check_length(&subject->spec) < subject->spec.n;
    double device_ms, host_ms, best_ms;
    status result = work_run(work, 0, &best_ms, &host_ms);
    subject->row.first_ms = work->sets[0].plan_ms + host_ms;
    if (result == STATUS_OK && !shorter) {
        result = judge(run, subject, work, subject->spec.n);
    }
    if (result != STATUS_OK || subject->row.status != ROW_OK) {
        return result;
    }
    subject->sets = choose_sets(run, work, sharers);
    result = work_prepare(work, subject->sets);
    /* Memory that was never written costs a run its first touch: all sets are run. */
    uint32_t warm_ups = (uint32_t)size_max(WARM_UPS, subject->sets);
    for (uint32_t i = 1; i < warm_ups && result == STATUS_OK; i++) {
        /* The first run says little, unless it is too long even without what it compiled. */
        double least_ms = i == 1 ? best_ms - COMPILE_MS : least_runs(run) * best_ms;
        if (least_ms * 1e-3 > run->options->max_seconds) {
            break;
        }
        result = work_run(work, i % subject->sets, &device_ms, &host_ms);
        best_ms = fmin(best_ms, device_ms);
        subject->warm_ms += host_ms;
    }
    subject->warm_ms += best_ms; /* of the first run, what it did not compile */
    subject->ready = result == STATUS_OK && in_time(run, subject, best_ms);
    return result;
}

static status start(struct bench_run *run, struct subject *subject, uint32_t sharers)
{
    status result = work_create(run->device, &run->numbers, &subject->spec, &subject->work);
    if (result != STATUS_OK) {
        return result;
    }
    if (!fits(run, subject) || !in_time(run, subject, guess_ms(run, subject))) {
        return STATUS_OK;
    }
    uint32_t length = subject->work->pass->check_length(&subject->spec);
    if (length < subject->spec.n) {
        result = check_shorter(run, subject, length);
        if (result != STATUS_OK || subject->row.status != ROW_OK) {
            return result;
        }
    }
    result = work_prepare(subject->work, 1);
    return result == STATUS_OK ? warm_up(run, subject, sharers) : result;
}

/* start, whose failures may be no more than a row that says so. */
static status try_start(struct bench_run *run, struct subject *subject, uint32_t sharers)
{
    status result = start(run, subject, sharers);
    if (is_skip(result)) {
        skip(run, subject, "%s", run->log.error);
        result = STATUS_OK;
    }
    if (!subject->ready) {
        work_destroy(subject->work);
        subject->work = NULL;
    }
    return result;
}

/* ---- timing ---- */

/* Whether a subject that is ready has been timed long enough. Its longest run does not count
 * towards the least time: a driver may have compiled in it once more, and few others would be left
 * to tell how long a run takes. */
static bool is_timed(const struct bench_run *run, const struct subject *subject)
{
    const struct bench_options *options = run->options;
    double seconds = subject->spent_ms * 1e-3, longest = subject->longest_ms * 1e-3;
    bool out_of_time = seconds + subject->warm_ms * 1e-3 >= options->max_seconds;
    return (subject->count > 0 && out_of_time) ||
           (subject->count >= options->repetitions && seconds - longest >= options->min_seconds);
}

static bool reserve(struct subject *subject)
{
    if (subject->count < subject->space) {
        return true;
    }
    size_t space = subject->space ? 2 * subject->space : 64;
    double *device_ms = realloc(subject->device_ms, space * sizeof(*device_ms));
    subject->device_ms = device_ms ? device_ms : subject->device_ms;
    double *host_ms = realloc(subject->host_ms, space * sizeof(*host_ms));
    subject->host_ms = host_ms ? host_ms : subject->host_ms;
    subject->space = device_ms && host_ms ? space : subject->space;
    return device_ms && host_ms;
}

static status sample(struct bench_run *run, struct subject *subject)
{
    char title[128];
    if (!reserve(subject)) {
        return fail(&run->log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for %zu times",
                    subject->count);
    }
    size_t i = subject->count;
    progress_show(&run->progress, bench_title(&subject->row, title, sizeof(title)));
    status result = work_run(subject->work, (uint32_t)(i % subject->sets), &subject->device_ms[i],
                             &subject->host_ms[i]);
    if (result == STATUS_OK) {
        subject->spent_ms += subject->host_ms[i];
        subject->longest_ms = fmax(subject->longest_ms, subject->host_ms[i]);
        subject->count++;
    }
    return result;
}

/* A GPU that waited for inputs has slowed down, and speeds up after a while of work only. Of no use
 * to a CPU. */
static status wake(struct bench_run *run, struct subject *subjects, uint32_t count)
{
    double begin = system_clock_ms(), device_ms, host_ms;
    double most = fmin(WAKE_MS, WAKE_SHARE * 1e3 * run->options->max_seconds);
    status result = STATUS_OK;
    bool more = run->device->info.type != GPU_CPU;
    while (more && result == STATUS_OK && !cli_interrupted()) {
        more = false;
        for (uint32_t i = 0; i < count && result == STATUS_OK; i++) {
            if (subjects[i].ready && system_clock_ms() - begin < most) {
                result = work_run(subjects[i].work, 0, &device_ms, &host_ms);
                subjects[i].warm_ms += host_ms;
                more = true;
            }
        }
    }
    return result;
}

/* Sample i of every kind before sample i + 1 of any: drift hits all alike. */
static status time_batch(struct bench_run *run, struct subject *subjects, uint32_t count)
{
    status result = wake(run, subjects, count);
    bool more = true;
    while (more && result == STATUS_OK && !cli_interrupted()) {
        more = false;
        for (uint32_t i = 0; i < count && result == STATUS_OK; i++) {
            if (subjects[i].ready && !is_timed(run, &subjects[i])) {
                result = sample(run, &subjects[i]);
                more = true;
            }
        }
    }
    return result;
}

static void drop(struct subject *subjects, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        work_destroy(subjects[i].work);
        free(subjects[i].device_ms);
        free(subjects[i].host_ms);
        subjects[i].work = NULL;
        subjects[i].device_ms = subjects[i].host_ms = NULL;
    }
}

static bool is_done(const struct bench_run *run, const struct subject *subject)
{
    return subject->row.status != ROW_OK || (subject->ready && is_timed(run, subject));
}

/* What a row has besides its times: measured when no other memory is taken. Where memory is short
 * all the same, or after Ctrl-C, the row does without. */
static status complete(struct bench_run *run, const struct subject *subject)
{
    struct bench_row *row = &run->results.rows[subject->index];
    status result = STATUS_OK;
    if (row->status == ROW_OK && !cli_interrupted()) {
        result = bench_first_warm(run, &subject->spec, &row->first_warm_ms);
    }
    if (result != STATUS_OK && !is_skip(result)) {
        return result;
    }
    bench_show_row(run, subject);
    return STATUS_OK;
}

/* Times what is alive, makes rows of what is done, and frees all. */
static status finish_batch(struct bench_run *run, struct subject *subjects, uint32_t count)
{
    status result = time_batch(run, subjects, count);
    for (uint32_t i = 0; i < count && result == STATUS_OK; i++) {
        if (is_done(run, &subjects[i])) {
            result = bench_add_row(run, &subjects[i]);
        }
    }
    drop(subjects, count);
    for (uint32_t i = 0; i < count && result == STATUS_OK && !run->probing; i++) {
        if (is_done(run, &subjects[i])) {
            result = complete(run, &subjects[i]);
        }
    }
    return result;
}

/* Whether another subject of that many bytes may be alive beside the others. */
static bool fits_beside(const struct bench_run *run, const struct subject *subject)
{
    struct work *work;
    if (work_create(run->device, &run->numbers, &subject->spec, &work) != STATUS_OK) {
        return true; /* its row will say why */
    }
    double bytes = (double)(work_input_bytes(work) + work_output_bytes(work));
    work_destroy(work);
    return (double)gpu_memory_used(run->device) + bytes <=
           MEMORY_SHARE * (double)run->device->info.heap_free;
}

status bench_measure(struct bench_run *run, struct subject *subjects, uint32_t count)
{
    uint32_t first = 0;
    status result = STATUS_OK;
    for (uint32_t i = 0; i < count && result == STATUS_OK && !cli_interrupted(); i++) {
        char title[128];
        if (i > first && !fits_beside(run, &subjects[i])) {
            result = finish_batch(run, &subjects[first], i - first);
            first = i;
        }
        progress_show(&run->progress, bench_title(&subjects[i].row, title, sizeof(title)));
        if (result == STATUS_OK) {
            result = try_start(run, &subjects[i], count);
        }
    }
    if (result != STATUS_OK) {
        drop(subjects, count);
        return result;
    }
    return finish_batch(run, &subjects[first], count - first);
}
