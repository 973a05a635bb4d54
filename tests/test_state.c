/* state: a sequence taken in parts gives the same bits as in one call, on every candidate. */
#include "gpu_cases.h"
#include "ops/ops.h"
#include "ops/random.h"
#include <stdlib.h>
#include <string.h>

enum { BATCH = 2, KEYS = 611 };

/* Kernels have code of their own for some of these. */
static const uint32_t rates[] = {1, 2, 3, 4, 6, 8, 20};

/* Widths that are no multiples of a tile, and the usual ones. */
static const struct {
    uint32_t dk, dv4;
} widths[] = {{33, 7}, {64, 16}, {5, 3}};

static const uint32_t lengths[BATCH] = {KEYS, 430};

struct run {
    struct op_call call;
    const struct op_candidate *candidate;
    uint64_t bytes; /* of P */
};

static void fill(struct tensor *tensor, struct random *random)
{
    float *numbers = malloc(4 * tensor->elements);
    ck_assert_ptr_nonnull(numbers);
    for (uint64_t i = 0; i < tensor->elements; i++)
        numbers[i] = (float)random_normal(random);
    tensor->buffer = device_buffer(4 * tensor->elements);
    ck_assert_ok(gpu_buffer_write(tensor->buffer, 0, numbers, 4 * tensor->elements));
    free(numbers);
}

static void run_init(struct run *run, uint32_t dk, uint32_t dv4)
{
    struct random random = random_seed(test_seed());
    uint32_t dk4 = (dk + 3) / 4, block = dk4 * 4 * dv4 + dk4;
    *run = (struct run){.call = {.op = &op_state}, .bytes = 16 * (uint64_t)BATCH * block};
    run->call.params.state = (struct state_params){.batch = BATCH,
                                                   .groups = 1,
                                                   .dk = dk,
                                                   .dv4 = dv4,
                                                   .rate = 1,
                                                   .divisor = 1,
                                                   .stretches = 1,
                                                   .per_stretch = KEYS,
                                                   .k_batch = KEYS * dk4,
                                                   .k_row = dk4,
                                                   .v_batch = KEYS * dv4,
                                                   .v_row = dv4,
                                                   .p_group = block,
                                                   .keys = KEYS};
    struct tensor *tensors = run->call.tensors;
    tensors[STATE_K].elements = 4 * (uint64_t)BATCH * KEYS * dk4;
    tensors[STATE_V].elements = 4 * (uint64_t)BATCH * KEYS * dv4;
    tensors[STATE_P].elements = 4 * (uint64_t)BATCH * block;
    fill(&tensors[STATE_K], &random);
    fill(&tensors[STATE_V], &random);
    fill(&tensors[STATE_P], &random);
    tensors[STATE_LENGTHS] = (struct tensor){
        .type = ELEMENT_U32, .elements = BATCH, .buffer = device_buffer(sizeof(lengths))};
}

static void run_finish(struct run *run)
{
    for (uint32_t i = 0; i < op_state.tensor_count; i++)
        gpu_buffer_destroy(run->call.tensors[i].buffer);
}

/* Adds the keys [first, end) to P; the first part overwrites it. */
static void add_keys(const struct run *run, uint32_t first, uint32_t end)
{
    struct gpu_commands *commands;
    struct op_call call = run->call;
    struct state_params *p = &call.params.state;
    uint32_t left[BATCH];
    for (uint32_t b = 0; b < BATCH; b++)
        left[b] = lengths[b] > first ? lengths[b] - first : 0;
    ck_assert_ok(gpu_buffer_write(call.tensors[STATE_LENGTHS].buffer, 0, left, sizeof(left)));
    call.options[OPTION_CONTINUE] = first > 0;
    p->k_start = first * p->k_row;
    p->v_start = first * p->v_row;
    p->keys = end - first;
    ck_assert_ok(gpu_commands_create(test_device, &(struct gpu_commands_params){0}, &commands));
    ck_assert_ok(op_record(commands, &call, run->candidate));
    ck_assert_ok(gpu_commands_end(commands));
    ck_assert_ok(gpu_commands_run(commands, NULL));
    gpu_commands_destroy(commands);
}

static void *read_state(const struct run *run)
{
    void *state = malloc(run->bytes);
    ck_assert_ptr_nonnull(state);
    ck_assert_ok(gpu_buffer_read(run->call.tensors[STATE_P].buffer, 0, state, run->bytes));
    return state;
}

/* In parts of `segments`, the last of what is left. */
static void check_parts(const struct run *run, const void *whole, uint32_t segments)
{
    uint32_t step = segments * run->call.params.state.rate;
    for (uint32_t first = 0; first < KEYS; first += step)
        add_keys(run, first, first + step < KEYS ? first + step : KEYS);
    void *parts = read_state(run);
    ck_assert_msg(memcmp(whole, parts, run->bytes) == 0, "%s in parts of %u segments of rate %u",
                  run->candidate->name, segments, run->call.params.state.rate);
    free(parts);
}

/* Whether the candidate takes rows of this rate. */
static bool check_rate(struct run *run, uint32_t rate)
{
    run->call.params.state.rate = rate;
    if (!op_satisfies(test_device, &run->call, run->candidate))
        return false;
    add_keys(run, 0, KEYS);
    void *whole = read_state(run);
    check_parts(run, whole, 1 + KEYS / rate / 2);
    check_parts(run, whole, 13);
    free(whole);
    return true;
}

START_TEST(parts_add_up_to_the_same_bits)
{
    uint32_t checked = 0;
    for (uint32_t w = 0; w < ARRAY_SIZE(widths); w++) {
        struct run run;
        run_init(&run, widths[w].dk, widths[w].dv4);
        for (uint32_t i = 0; i < op_state.candidate_count; i++) {
            run.candidate = &op_state.candidates[i];
            for (uint32_t r = 0; r < ARRAY_SIZE(rates); r++)
                checked += check_rate(&run, rates[r]);
        }
        run_finish(&run);
    }
    /* The portable one, at every width and rate. */
    ck_assert_uint_ge(checked, ARRAY_SIZE(widths) * ARRAY_SIZE(rates));
}
END_TEST

Suite *state_suite(void)
{
    Suite *suite = suite_create("state");
    TCase *parts = tcase_create("parts");
    tcase_add_unchecked_fixture(parts, gpu_case_setup, gpu_case_teardown);
    tcase_add_test(parts, parts_add_up_to_the_same_bits);
    suite_add_tcase(suite, parts);
    return suite;
}
