#include "gpu_cases.h"
#include "ops/ops.h"
#include <stdlib.h>
#include <string.h>

struct gpu_device *test_device;

void gpu_case_setup(void)
{
    const struct gpu_device_params params = {.validate = true, .limits = getenv("ADAMRA_LIMITS")};
    ck_assert_ok(gpu_device_create(test_logger(), &params, &test_device));
}

void gpu_case_teardown(void)
{
    uint32_t errors = test_device->validation_errors;
    uint64_t used = gpu_memory_used(test_device);
    gpu_device_destroy(test_device);
    test_device = NULL;
    ck_assert_msg(errors == 0, "%u validation errors", errors);
    ck_assert_msg(used == 0, "%llu bytes are still in use", (unsigned long long)used);
}

struct gpu_buffer *device_buffer(uint64_t size)
{
    struct gpu_buffer *buffer;
    ck_assert_ok(gpu_buffer_create(test_device, size, GPU_MEMORY_DEVICE, &buffer));
    return buffer;
}

static void doubling_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                          uint64_t end_item, uint64_t *begin, uint64_t *end)
{
    if (index == LINEAR_A || index == LINEAR_C) {
        *begin = first * DOUBLE_ITEM_SIZE;
        *end = size_min(end_item * DOUBLE_ITEM_SIZE, dispatch->bindings[index].size);
    } else {
        *begin = 0;
        *end = index == LINEAR_W ? dispatch->bindings[index].size : 0;
    }
}

void run_op_call(const struct op_call *call)
{
    struct gpu_commands *commands;
    ck_assert_ok(gpu_commands_create(test_device, &(struct gpu_commands_params){0}, &commands));
    ck_assert_ok(op_record(commands, call, NULL));
    ck_assert_ok(gpu_commands_end(commands));
    ck_assert_ok(gpu_commands_run(commands, NULL));
    gpu_commands_destroy(commands);
}

void doubling_init(struct doubling *doubling)
{
    static const float weights[16] = {[0] = 2, [5] = 2, [10] = 2, [15] = 2};
    const uint32_t constants[] = {128};
    memset(doubling, 0, sizeof(*doubling));
    doubling->weights = device_buffer(sizeof(weights));
    ck_assert_ok(gpu_buffer_write(doubling->weights, 0, weights, sizeof(weights)));
    doubling->push = (struct linear_params){.k4 = 1, .n4 = 1, .a_row = 1, .w_row = 1, .c_row = 1};
    struct gpu_dispatch *dispatch = &doubling->dispatch;
    ck_assert_ok(gpu_pipeline_get(test_device, SHADER_linear_tile, constants, ARRAY_SIZE(constants),
                                  &dispatch->pipeline));
    dispatch->label = "double";
    dispatch->binding_count = 6;
    dispatch->push = &doubling->push;
    dispatch->push_size = sizeof(doubling->push);
    dispatch->span = doubling_span;
    for (uint32_t i = 0; i < dispatch->binding_count; i++)
        dispatch->bindings[i] =
            (struct gpu_binding){doubling->weights, 0, sizeof(weights), GPU_RGBA32F};
}

void doubling_set(struct doubling *doubling, struct gpu_buffer *a, uint64_t a_offset,
                  struct gpu_buffer *c, uint64_t c_offset, uint64_t size)
{
    doubling->push.rows = (uint32_t)(size / 16);
    doubling->dispatch.items = size_div_up(size, DOUBLE_ITEM_SIZE);
    doubling->dispatch.bindings[LINEAR_A] = (struct gpu_binding){a, a_offset, size, GPU_RGBA32F};
    doubling->dispatch.bindings[LINEAR_C] = (struct gpu_binding){c, c_offset, size, GPU_RGBA32F};
}
