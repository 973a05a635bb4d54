/* plan: scratch tensors share memory only when their lifetimes allow it; constants never do. */
#include "attention_cases.h"
#include "context.h"
#include "model/plan.h"
#include "suites.h"
#include <stdlib.h>
#include <string.h>

#define STEPS 40
#define ROWS  16

/* Rows of 4 numbers are copied from tensor to tensor: by turns from the last one and from an older
 * one, which must have outlived those between. Scratch tensors have spare room of random size. */
struct copy_chain {
    struct graph graph;
    tensor_id input, output;
    uint64_t scratch_bytes; /* of all scratch tensors together */
};

/* Neighbours keep their rows at different places: a copy within shared memory would garble them. */
static uint32_t start_of(tensor_id id)
{
    return id < 2 ? 0 : id % 2 * 4;
}

static void add_copy(struct graph *graph, tensor_id from, tensor_id to)
{
    struct graph_call *call = graph_add_call(graph, &op_repack);
    call->params.repack = (struct repack_params){
        .rows = ROWS,
        .columns = 4,
        .src_start = start_of(from),
        .src_row = 4,
        .dst_start = start_of(to),
        .dst_row = 4,
    };
    call->tensors[REPACK_SRC] = from;
    call->tensors[REPACK_DST] = to;
}

static struct copy_chain copy_chain_create(void)
{
    struct copy_chain chain = {0};
    struct random random = random_seed(test_seed());
    graph_init(&chain.graph);
    chain.input = graph_add_tensor(&chain.graph, "input", ELEMENT_F32, 4 * ROWS, GRAPH_BOUND);
    chain.output = graph_add_tensor(&chain.graph, "output", ELEMENT_F32, 4 * ROWS, GRAPH_BOUND);
    tensor_id last = chain.input, kept = chain.input;
    for (uint32_t step = 0; step < STEPS; step++) {
        uint64_t elements = 4 * (ROWS + 1 + random_between(&random, 0, 400));
        tensor_id next =
            graph_add_tensor(&chain.graph, "scratch", ELEMENT_F32, elements, GRAPH_SCRATCH);
        chain.scratch_bytes += elements * 4;
        add_copy(&chain.graph, step % 5 == 4 ? kept : last, next);
        if (step % 5 == 4)
            kept = next;
        last = next;
    }
    add_copy(&chain.graph, last, chain.output);
    ck_assert_int_eq(graph_status(&chain.graph), STATUS_OK);
    return chain;
}

static void fill(float *numbers)
{
    for (int i = 0; i < 4 * ROWS; i++)
        numbers[i] = (float)(i + 1);
}

START_TEST(reference_keeps_what_is_still_read)
{
    float input[4 * ROWS], output[4 * ROWS] = {0};
    struct copy_chain chain = copy_chain_create();
    struct plan_binding bindings[STEPS + 2] = {{0}};
    fill(input);
    bindings[chain.input].host = input;
    bindings[chain.output].host = output;
    ck_assert_int_eq(plan_run_reference(test_logger(), &chain.graph, bindings), STATUS_OK);
    ck_assert_mem_eq(input, output, sizeof(input));
    graph_finish(&chain.graph);
}
END_TEST

/* A chain between two buffers of a device: the input, filled, and the output. */
struct device_chain {
    struct copy_chain chain;
    struct gpu_buffer *buffers[2];
    struct plan *plan;
    float input[4 * ROWS];
};

static void device_chain_create(struct gpu_device *device, struct device_chain *made)
{
    struct plan_binding bindings[STEPS + 2] = {{0}};
    made->chain = copy_chain_create();
    fill(made->input);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(
            gpu_buffer_create(device, sizeof(made->input), GPU_MEMORY_DEVICE, &made->buffers[i]),
            STATUS_OK);
    ck_assert_int_eq(gpu_buffer_write(made->buffers[0], 0, made->input, sizeof(made->input)),
                     STATUS_OK);
    bindings[made->chain.input].buffer = made->buffers[0];
    bindings[made->chain.output].buffer = made->buffers[1];
    ck_assert_int_eq(plan_create(device, &made->chain.graph, bindings, NULL, &made->plan),
                     STATUS_OK);
}

static void check_run(struct device_chain *made)
{
    float output[4 * ROWS] = {0};
    ck_assert_int_eq(gpu_buffer_write(made->buffers[1], 0, output, sizeof(output)), STATUS_OK);
    ck_assert_int_eq(plan_run(made->plan, NULL), STATUS_OK);
    ck_assert_int_eq(gpu_buffer_read(made->buffers[1], 0, output, sizeof(output)), STATUS_OK);
    ck_assert_mem_eq(made->input, output, sizeof(output));
}

static void device_chain_finish(struct device_chain *made)
{
    plan_destroy(made->plan);
    for (int i = 0; i < 2; i++)
        gpu_buffer_destroy(made->buffers[i]);
    graph_finish(&made->chain.graph);
}

START_TEST(device_reuses_memory)
{
    struct device_chain made;
    device_chain_create(attention_context()->device, &made);
    ck_assert_uint_lt(plan_scratch_bytes(made.plan), made.chain.scratch_bytes / 4);
    for (int run = 0; run < 2; run++)
        check_run(&made);
    device_chain_finish(&made);
    plan_destroy(NULL);
}
END_TEST

/* A chain's first copy reads a constant in place of its input. Constants outlive all that scratch
 * does to the arena, run after run. */
START_TEST(constants_stay)
{
    float numbers[4 * ROWS], output[4 * ROWS];
    struct gpu_device *device = attention_context()->device;
    struct copy_chain chain = copy_chain_create();
    struct plan_binding bindings[STEPS + 3] = {{0}};
    struct gpu_buffer *buffer;
    struct plan *plan;
    fill(numbers);
    tensor_id id = graph_add_constant(&chain.graph, "constant", ELEMENT_F32, 4 * ROWS, numbers);
    for (uint32_t i = 0; i < chain.graph.call_count; i++)
        if (chain.graph.calls[i].tensors[REPACK_SRC] == chain.input)
            chain.graph.calls[i].tensors[REPACK_SRC] = id;
    bindings[chain.output].host = output;
    ck_assert_int_eq(plan_run_reference(test_logger(), &chain.graph, bindings), STATUS_OK);
    ck_assert_mem_eq(numbers, output, sizeof(numbers));

    ck_assert_int_eq(gpu_buffer_create(device, sizeof(output), GPU_MEMORY_DEVICE, &buffer),
                     STATUS_OK);
    bindings[chain.output].buffer = buffer;
    ck_assert_int_eq(plan_create(device, &chain.graph, bindings, NULL, &plan), STATUS_OK);
    for (int run = 0; run < 2; run++) {
        memset(output, 0, sizeof(output));
        ck_assert_int_eq(gpu_buffer_write(buffer, 0, output, sizeof(output)), STATUS_OK);
        ck_assert_int_eq(plan_run(plan, NULL), STATUS_OK);
        ck_assert_int_eq(gpu_buffer_read(buffer, 0, output, sizeof(output)), STATUS_OK);
        ck_assert_mem_eq(numbers, output, sizeof(numbers));
    }
    plan_destroy(plan);
    gpu_buffer_destroy(buffer);
    graph_finish(&chain.graph);
}
END_TEST

/* Commands that were recorded for a device that nothing is known of are recorded again when its
 * rate is: one part, with the same result. */
START_TEST(outgrown_commands_are_recorded_again)
{
    struct gpu_device *device = attention_context()->device;
    const double rate = device->operations_per_ms, bound = device->max_submit_ms;
    struct device_chain made;
    device->operations_per_ms = 0;
    device->max_submit_ms = 1e-3;
    device_chain_create(device, &made);
    ck_assert_uint_gt(gpu_commands_parts(plan_commands(made.plan)), 1);
    device->operations_per_ms = 1e12;
    for (int run = 0; run < 2; run++) {
        check_run(&made);
        ck_assert_uint_eq(gpu_commands_parts(plan_commands(made.plan)), 1);
    }
    device_chain_finish(&made);
    device->operations_per_ms = rate;
    device->max_submit_ms = bound;
}
END_TEST

START_TEST(equal_constants_are_one)
{
    const uint32_t words[] = {1, 2, 3}, others[] = {1, 2, 4};
    struct graph graph;
    graph_init(&graph);
    tensor_id id = graph_add_constant(&graph, "words", ELEMENT_U32, 3, words);
    ck_assert_uint_eq(graph_add_constant(&graph, "words", ELEMENT_U32, 3, words), id);
    ck_assert_uint_ne(graph_add_constant(&graph, "words", ELEMENT_U32, 3, others), id);
    ck_assert_uint_ne(graph_add_constant(&graph, "words", ELEMENT_U32, 2, words), id);
    ck_assert_uint_ne(graph_add_constant(&graph, "words", ELEMENT_F32, 3, words), id);
    ck_assert_mem_eq(graph.tensors[id].data, words, sizeof(words));
    ck_assert_int_eq(graph_status(&graph), STATUS_OK);
    graph_finish(&graph);
}
END_TEST

START_TEST(too_large_is_refused)
{
    struct graph graph;
    graph_init(&graph);
    graph_add_tensor(&graph, "giant", ELEMENT_F32, (uint64_t)1 << 40, GRAPH_SCRATCH);
    ck_assert_int_eq(plan_run_reference(test_logger(), &graph, &(struct plan_binding){0}),
                     STATUS_OUT_OF_DEVICE_MEMORY);
    ck_assert_msg(strstr(test_logger()->error, "giant: 1099511627776 numbers") != NULL, "%s",
                  test_logger()->error);
    graph_finish(&graph);

    uint64_t bytes;
    graph_init(&graph); /* as quads it could be addressed, as words it cannot */
    tensor_id id =
        graph_add_tensor(&graph, "raw", ELEMENT_F32, (uint64_t)UINT32_MAX + 1, GRAPH_SCRATCH);
    ck_assert_int_eq(plan_measure(test_logger(), &graph, &bytes), STATUS_OK);
    graph_add_call(&graph, &op_route)->tensors[ROUTE_PROB] = id;
    ck_assert_int_eq(plan_measure(test_logger(), &graph, &bytes), STATUS_OUT_OF_DEVICE_MEMORY);
    ck_assert_msg(strstr(test_logger()->error, "raw: 4294967296 numbers, expected at most") != NULL,
                  "%s", test_logger()->error);
    graph_finish(&graph);
}
END_TEST

Suite *plan_suite(void)
{
    Suite *suite = suite_create("plan");
    TCase *placement = tcase_create("placement");
    tcase_add_test(placement, reference_keeps_what_is_still_read);
    tcase_add_test(placement, device_reuses_memory);
    tcase_add_test(placement, constants_stay);
    tcase_add_test(placement, outgrown_commands_are_recorded_again);
    tcase_add_test(placement, equal_constants_are_one);
    tcase_add_test(placement, too_large_is_refused);
    suite_add_tcase(suite, placement);
    return suite;
}
