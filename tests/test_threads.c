/* threads: contexts on all devices at once, several on each, one a thread. Each gives the bits that
 * it gives alone, also while others are opened and closed beside it. */
#include "attention_cases.h"
#include "suites.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEVICES 4
#define PER_DEVICE  2
#define ROUNDS      2 /* contexts that a thread opens, one after the other */
#define CASES       4
#define KNOCKS      2000

static const char *const kinds[CASES] = {"adamra", "linear", "softmax", "bigbird"};

/* What all threads read, and nobody writes while they run. */
static struct attention_case cases[CASES];
static float *alone[MAX_DEVICES][CASES]; /* results of one context by itself */

struct worker {
    pthread_t thread;
    uint32_t device;
    struct attention_result results[CASES];
    char failure[1400]; /* "": none. Check's macros are for the main thread only. */
};

static void note(struct worker *worker, const char *what, const char *why)
{
    if (!worker->failure[0])
        snprintf(worker->failure, sizeof(worker->failure), "device %u, %.200s: %.1023s",
                 worker->device, what, why);
}

static void run_case(adamra_context *context, uint32_t index, struct worker *worker)
{
    const struct attention_case *c = &cases[index];
    const float *expected = alone[worker->device][index];
    struct attention_result *result = &worker->results[index];
    size_t bytes = attention_case_outputs(c) * sizeof(float);
    adamra_attention *attention = NULL;
    adamra_attention_io io = attention_case_io(c, result);
    memset(result->y, 0xff, bytes);
    if (adamra_attention_create(context, &c->params, &attention) ||
        adamra_attention_run(attention, &io, NULL))
        note(worker, c->name, adamra_error(context));
    else if (expected && memcmp(expected, result->y, bytes) != 0)
        note(worker, c->name, "not the bits that it gives alone");
    adamra_attention_destroy(attention);
}

static void run_context(struct worker *worker)
{
    adamra_context *context = NULL;
    char device[16];
    uint32_t count = 0;
    snprintf(device, sizeof(device), "%u", worker->device);
    adamra_status code =
        adamra_context_create(&(adamra_context_params){.device = device}, &context);
    if (code) {
        note(worker, "open", adamra_status_text(code));
        return;
    }
    for (uint32_t i = 0; i < CASES; i++)
        run_case(context, i, worker);
    if (adamra_devices(NULL, &count, NULL, NULL) || count == 0)
        note(worker, "list", "no devices");
    adamra_context_destroy(context);
}

static void *work(void *data)
{
    for (uint32_t i = 0; i < ROUNDS; i++)
        run_context(data);
    return NULL;
}

static void draw_cases(void)
{
    struct random random = random_seed(test_seed());
    for (uint32_t i = 0; i < CASES; i++) {
        attention_case_random(&cases[i], &random, kinds[i]);
        cases[i].params.type = i % 2 ? ADAMRA_F16 : ADAMRA_F32;
    }
}

static void worker_init(struct worker *worker, uint32_t device)
{
    *worker = (struct worker){.device = device};
    for (uint32_t i = 0; i < CASES; i++)
        attention_result_init(&worker->results[i], &cases[i]);
}

static void worker_finish(struct worker *worker)
{
    ck_assert_msg(!worker->failure[0], "%s", worker->failure);
    for (uint32_t i = 0; i < CASES; i++)
        attention_result_finish(&worker->results[i]);
}

/* One context of each device by itself: checked, and kept. */
static void run_alone(uint32_t device)
{
    struct worker worker;
    worker_init(&worker, device);
    run_context(&worker);
    for (uint32_t i = 0; i < CASES && !worker.failure[0]; i++) {
        size_t bytes = attention_case_outputs(&cases[i]) * sizeof(float);
        attention_case_check(&cases[i], cases[i].params.type, &worker.results[i]);
        alone[device][i] = malloc(bytes);
        ck_assert_ptr_nonnull(alone[device][i]);
        memcpy(alone[device][i], worker.results[i].y, bytes);
    }
    worker_finish(&worker);
}

START_TEST(contexts_are_independent)
{
    static struct worker workers[MAX_DEVICES * PER_DEVICE];
    uint32_t devices = 0;
    ck_assert_int_eq(adamra_devices(NULL, &devices, NULL, NULL), ADAMRA_OK);
    devices = devices < MAX_DEVICES ? devices : MAX_DEVICES;
    ck_assert_uint_ge(devices, 1);
    draw_cases();
    for (uint32_t i = 0; i < devices; i++)
        run_alone(i);
    for (uint32_t i = 0; i < devices * PER_DEVICE; i++)
        worker_init(&workers[i], i % devices);
    for (uint32_t i = 0; i < devices * PER_DEVICE; i++)
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    for (uint32_t i = 0; i < devices * PER_DEVICE; i++)
        ck_assert_int_eq(pthread_join(workers[i].thread, NULL), 0);
    for (uint32_t i = 0; i < devices * PER_DEVICE; i++)
        worker_finish(&workers[i]);
    for (uint32_t i = 0; i < CASES; i++) {
        attention_case_finish(&cases[i]);
        for (uint32_t device = 0; device < devices; device++)
            free(alone[device][i]);
    }
}
END_TEST

static pthread_barrier_t gate; /* so that they run at the same time */

/* What needs no driver, whose locks would keep threads in order: here a race shows. */
static void *knock(void *data)
{
    adamra_context *context = data;
    adamra_attention_params wrong = cases[0].params;
    wrong.heads = ADAMRA_MAX_HEADS + 1;
    uintptr_t failures = 0;
    pthread_barrier_wait(&gate);
    for (uint32_t i = 0; i < KNOCKS; i++) {
        adamra_attention *attention = NULL;
        failures += adamra_attention_create(context, &cases[i % CASES].params, &attention) != 0;
        failures += adamra_attention_run(attention, NULL, NULL) != ADAMRA_INVALID_ARGUMENT;
        adamra_attention_destroy(attention);
        failures += adamra_attention_create(context, &wrong, &attention) == 0;
        failures += strstr(adamra_error(context), "heads") == NULL;
    }
    return (void *)failures;
}

START_TEST(front_doors_are_independent)
{
    adamra_context *contexts[3];
    pthread_t threads[ARRAY_SIZE(contexts)];
    draw_cases();
    ck_assert_int_eq(pthread_barrier_init(&gate, NULL, ARRAY_SIZE(contexts)), 0);
    for (size_t i = 0; i < ARRAY_SIZE(contexts); i++)
        ck_assert_int_eq(adamra_context_create(NULL, &contexts[i]), ADAMRA_OK);
    for (size_t i = 0; i < ARRAY_SIZE(contexts); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, knock, contexts[i]), 0);
    for (size_t i = 0; i < ARRAY_SIZE(contexts); i++) {
        void *failures;
        ck_assert_int_eq(pthread_join(threads[i], &failures), 0);
        ck_assert_ptr_null(failures);
    }
    for (size_t i = 0; i < ARRAY_SIZE(contexts); i++)
        adamra_context_destroy(contexts[i]);
    pthread_barrier_destroy(&gate);
    for (uint32_t i = 0; i < CASES; i++)
        attention_case_finish(&cases[i]);
}
END_TEST

/* adamra_cancel is the one function that any thread may call, and does no harm: a run ends early or
 * it does not, and the context goes on. What it does to a run is submit_api's. */
struct canceller {
    adamra_context *context;
    atomic_bool *stop;
};

static void *cancel_often(void *data)
{
    const struct canceller *canceller = data;
    while (!atomic_load(canceller->stop)) {
        adamra_cancel(canceller->context);
        sched_yield();
    }
    return NULL;
}

START_TEST(any_thread_may_cancel)
{
    adamra_context *context = NULL;
    adamra_attention *attention = NULL;
    struct attention_result result;
    static atomic_bool stop;
    pthread_t thread;
    draw_cases();
    attention_result_init(&result, &cases[0]);
    adamra_attention_io io = attention_case_io(&cases[0], &result);
    ck_assert_int_eq(adamra_context_create(NULL, &context), ADAMRA_OK);
    ck_assert_int_eq(adamra_attention_create(context, &cases[0].params, &attention), ADAMRA_OK);
    struct canceller canceller = {context, &stop};
    ck_assert_int_eq(pthread_create(&thread, NULL, cancel_often, &canceller), 0);
    uint32_t others = 0;
    for (uint32_t i = 0; i < 50; i++) {
        adamra_status code = adamra_attention_run(attention, &io, NULL);
        others += code != ADAMRA_OK && code != ADAMRA_CANCELLED;
    }
    atomic_store(&stop, true);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(others, 0);
    adamra_status code = adamra_attention_run(attention, &io, NULL);
    if (code == ADAMRA_CANCELLED) /* by the last call, after the last of the runs */
        code = adamra_attention_run(attention, &io, NULL);
    ck_assert_int_eq(code, ADAMRA_OK);
    attention_case_check(&cases[0], ADAMRA_F32, &result);
    adamra_attention_destroy(attention);
    adamra_context_destroy(context);
    attention_result_finish(&result);
    for (uint32_t i = 0; i < CASES; i++)
        attention_case_finish(&cases[i]);
}
END_TEST

Suite *threads_suite(void)
{
    Suite *suite = suite_create("threads");
    TCase *test = tcase_create("threads");
    tcase_add_test(test, contexts_are_independent);
    tcase_add_test(test, front_doors_are_independent);
    tcase_add_test(test, any_thread_may_cancel);
    suite_add_tcase(suite, test);
    return suite;
}
