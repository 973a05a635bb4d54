/* halves: how shaders make floats of them, and them of floats, by their own integers and by what
 * the driver has. */
#include "gpu_cases.h"
#include "ops/ops.h"
#include <float.h>
#include <math.h>
#include <string.h>

enum { COUNT = 1 << 16 }; /* halves */

static struct op_call repack_call(enum element_type from, enum element_type to, uint32_t count)
{
    struct op_call call = {.op = &op_repack};
    call.params.repack =
        (struct repack_params){.rows = 1, .columns = count, .src_row = count, .dst_row = count};
    call.tensors[REPACK_SRC] = (struct tensor){
        .type = from, .elements = count, .buffer = device_buffer(count * element_bytes(from))};
    call.tensors[REPACK_DST] = (struct tensor){
        .type = to, .elements = count, .buffer = device_buffer(count * element_bytes(to))};
    return call;
}

/* Runs the call by integers, or by the driver's functions where it has them. */
static void run_repack(struct op_call *call, bool driver, const void *in, void *out)
{
    const struct gpu_features features = test_device->features;
    const uint32_t before = gpu_pipeline_count(test_device);
    const struct tensor *from = &call->tensors[REPACK_SRC], *to = &call->tensors[REPACK_DST];
    ck_assert_ok(gpu_buffer_write(from->buffer, 0, in, from->elements * element_bytes(from->type)));
    test_device->features.unpack_half = driver && features.unpack_half;
    test_device->features.pack_half = driver && features.pack_half;
    run_op_call(call);
    test_device->features = features;
    ck_assert_uint_gt(gpu_pipeline_count(test_device), before); /* a kernel of its own */
    ck_assert_ok(gpu_buffer_read(to->buffer, 0, out, to->elements * element_bytes(to->type)));
    gpu_buffer_destroy(from->buffer);
    gpu_buffer_destroy(to->buffer);
}

START_TEST(every_half_is_unpacked)
{
    static uint16_t halves[COUNT];
    static float found[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        halves[i] = (uint16_t)i;
    struct op_call call = repack_call(ELEMENT_F16, ELEMENT_F32, COUNT);
    run_repack(&call, _i != 0, halves, found);
    for (uint32_t i = 0; i < COUNT; i++) {
        float expected = half_to_float(halves[i]);
        ck_assert_msg(isnan(expected) ? isnan(found[i])
                                      : memcmp(&found[i], &expected, sizeof(expected)) == 0,
                      "half %04x is %a, not %a", i, (double)found[i], (double)expected);
    }
}
END_TEST

enum { PLACES = 4 }; /* the half itself, the middle between it and the next, and beside that */

/* The first float that is no longer nearer to the half than to the next one away from 0. */
static float middle(uint16_t half)
{
    float next = (half & 0x7fff) == 0x7bff ? 65536 : fabsf(half_to_float((uint16_t)(half + 1)));
    return copysignf((fabsf(half_to_float(half)) + next) / 2, half_to_float(half));
}

/* Of no finite half its number alone; the largest float stands behind the largest half. */
static void fill_places(uint16_t half, float places[PLACES])
{
    const float number = half_to_float(half);
    const float end = copysignf((half & 0x7fff) == 0x7bff ? FLT_MAX : INFINITY, number);
    for (int i = 0; i < PLACES; i++)
        places[i] = number;
    if (!isfinite(number))
        return;
    places[1] = middle(half);
    places[2] = nextafterf(places[1], 0);
    places[3] = isfinite(end) ? end : nextafterf(places[1], end);
}

/* By integers to the nearest half, of two to the even one; drivers may round either way. */
START_TEST(every_half_is_packed)
{
    static float floats[COUNT * PLACES];
    static uint16_t found[COUNT * PLACES];
    for (uint32_t i = 0; i < COUNT; i++)
        fill_places((uint16_t)i, &floats[i * PLACES]);
    struct op_call call = repack_call(ELEMENT_F32, ELEMENT_F16, COUNT * PLACES);
    run_repack(&call, _i != 0, floats, found);
    for (uint32_t i = 0; i < COUNT * PLACES; i++) {
        const uint16_t half = (uint16_t)(i / PLACES), expected = half_from_float(floats[i]);
        bool either = _i != 0 && i % PLACES && (found[i] == half || found[i] == half + 1);
        bool same = isnan(floats[i]) ? isnan(half_to_float(found[i])) : found[i] == expected;
        ck_assert_msg(same || either, "%a is %04x, not %04x", (double)floats[i], found[i],
                      expected);
    }
}
END_TEST

Suite *halves_suite(void)
{
    Suite *suite = suite_create("halves");
    TCase *kernels = tcase_create("kernels");
    tcase_set_tags(kernels, "kernels");
    tcase_add_checked_fixture(kernels, gpu_case_setup, gpu_case_teardown);
    tcase_add_loop_test(kernels, every_half_is_unpacked, 0, 2);
    tcase_add_loop_test(kernels, every_half_is_packed, 0, 2);
    suite_add_tcase(suite, kernels);
    return suite;
}
