/* choices: which candidate was measured to be the fastest, by class of calls, and how that is kept.
 */
#include "gpu/cache.h"
#include "gpu_cases.h"
#include "ops/choices.h"
#include "ops/shapes.h"
#include <stdlib.h>
#include <string.h>

/* ---- classes ---- */

static const enum element_type types[] = {ELEMENT_F32, ELEMENT_F16};

static uint32_t shape_class(uint32_t shape, uint32_t type, uint32_t rows)
{
    const struct op_call call = op_shape_call(&op_shapes[shape], types[type], rows);
    return op_class_of(&call);
}

START_TEST(shapes_have_classes_of_their_own)
{
    bool taken[OP_CLASSES] = {false};
    for (uint32_t type = 0; type < ARRAY_SIZE(types); type++)
        for (uint32_t i = 0; i < op_shape_count; i++) {
            const struct op_shape *shape = &op_shapes[i];
            uint32_t class = shape_class(i, type, SHAPE_ROWS);
            ck_assert_uint_lt(class, OP_CLASSES);
            ck_assert_uint_eq(class, shape_class(i, type, shape->rows));
            ck_assert_uint_eq(shape->rows % SHAPE_ROWS, 0);
            /* states are f32 whatever is stored */
            bool same = type > 0 && class == shape_class(i, 0, SHAPE_ROWS);
            ck_assert_int_eq(same, type > 0 && shape->op == &op_reduce);
            ck_assert_msg(same || !taken[class], "%s, %s: its class has a shape already",
                          shape->op->name, shape->text);
            taken[class] = true;
        }
}
END_TEST

/* Any call of any op: within its bounds, and the same whatever its lengths, heads and pieces. */
START_TEST(classes_know_no_lengths)
{
    struct random random = random_seed(test_seed());
    for (uint32_t i = 0; i < 200; i++) {
        struct op_call call = {.op = op_list[_i]};
        call.op->example(&random, types[i % 2], &call);
        uint32_t class = op_class_of(&call);
        ck_assert_int_eq(class == OP_CLASSES, call.op == &op_repack || call.op == &op_merge);
        ck_assert_uint_le(class, OP_CLASSES);
        if (call.op == &op_state) {
            call.options[OPTION_CONTINUE] ^= 1;
            call.options[OPTION_HEADS] ^= 1;
            call.params.state.rate += 3;
            call.params.state.keys += 100;
            ck_assert_uint_eq(op_class_of(&call), class);
        }
    }
}
END_TEST

/* ---- what runs, on a device that is made up: no driver has a say ---- */

static struct gpu_device made_up_device(void)
{
    return (struct gpu_device){
        .info.type = GPU_CPU,
        .limits = {.storage_range = 1 << 27,
                   .texel_elements = 1 << 27,
                   .group_size = {1024},
                   .group_invocations = 1024,
                   .shared_bytes = 16384,
                   .push_bytes = 128,
                   .storage_buffers = 8,
                   .loop_iterations = UINT32_MAX},
        .features = {.subgroup_size = 8, .subgroup_shuffle = true, .texel_f32 = true},
    };
}

static const struct op_candidate *candidate(const struct op *op, const char *name)
{
    for (uint32_t i = 0; i < op->candidate_count; i++)
        if (strcmp(op->candidates[i].name, name) == 0)
            return &op->candidates[i];
    ck_abort_msg("%s has no candidate %s", op->name, name);
}

/* A product of k4 by n4 quads. */
static struct op_call product(uint32_t k4, uint32_t n4)
{
    struct op_call call = {.op = &op_linear};
    call.params.linear = (struct linear_params){
        .rows = 50, .k4 = k4, .n4 = n4, .a_row = k4, .w_row = n4, .c_row = n4};
    return call;
}

START_TEST(the_measured_candidate_runs)
{
    struct gpu_device device = made_up_device();
    struct op_choices choices = {{CHOICE_NONE}};
    const struct op_call wide = product(128, 144), odd = product(129, 144), small = product(24, 24);
    ck_assert_str_eq(op_choose(&device, &wide)->name, "lane8_texel");
    op_choices_set(&choices, &wide, candidate(&op_linear, "lane8_texel_rows4"));
    ck_assert(op_choices_use(&device, &choices));
    ck_assert_str_eq(op_choose(&device, &wide)->name, "lane8_texel_rows4");
    ck_assert_str_eq(op_usual(&device, &wide)->name, "lane8_texel");
    /* of the same class, but refused by the candidate; of another class */
    ck_assert_str_eq(op_choose(&device, &odd)->name, "lane8_texel_odd");
    ck_assert_str_eq(op_choose(&device, &small)->name, "lane8_texel");
    /* the device has no longer what it needs */
    device.features.subgroup_shuffle = false;
    ck_assert_str_eq(op_choose(&device, &wide)->name, "tile");
    device.features.subgroup_shuffle = true;
    ck_assert_uint_eq(op_choices_count(&choices), 1);

    op_choices_set(&choices, &wide, NULL);
    ck_assert(op_choices_use(&device, &choices));
    ck_assert_str_eq(op_choose(&device, &wide)->name, "lane8_texel");
    ck_assert_uint_eq(op_choices_count(&choices), 0);
    ck_assert(op_choices_use(&device, NULL));
    ck_assert_ptr_null(device.choices);
}
END_TEST

START_TEST(some_candidates_run_only_when_measured)
{
    const struct gpu_device device = made_up_device();
    struct random random = random_seed(test_seed());
    for (uint32_t i = 0; i < 200; i++) {
        struct op_call call = {.op = op_list[_i]};
        call.op->example(&random, ELEMENT_F32, &call);
        ck_assert_int_ne(op_choose(&device, &call)->target, CLASS_TUNED);
    }
}
END_TEST

/* ---- what is kept ---- */

/* The caller's functions: one value. */
static struct {
    char key[128];
    uint8_t bytes[2 * OP_CLASSES];
    size_t size;
    bool full;
} shelf;

static int load(void *user, const char *key, void *data, size_t *size)
{
    (void)user;
    size_t room = *size;
    *size = strcmp(key, shelf.key) == 0 ? shelf.size : 0;
    if (*size == 0 || (data && *size > room))
        return 0;
    if (data)
        memcpy(data, shelf.bytes, *size);
    return 1;
}

static int save(void *user, const char *key, const void *data, size_t size)
{
    (void)user;
    ck_assert(size <= sizeof(shelf.bytes) && strlen(key) < sizeof(shelf.key));
    if (shelf.full)
        return 0;
    strcpy(shelf.key, key);
    memcpy(shelf.bytes, data, size);
    shelf.size = size;
    return 1;
}

static const struct gpu_store store = {.load = load, .save = save};

static void setup(void)
{
    gpu_case_setup();
    memset(&shelf, 0, sizeof(shelf));
}

static struct op_choices some_choices(void)
{
    struct op_choices choices = {{CHOICE_NONE}};
    const struct op_call wide = product(128, 144), small = product(24, 24);
    op_choices_set(&choices, &wide, &op_linear.candidates[1]);
    op_choices_set(&choices, &small, NULL);
    return choices;
}

START_TEST(what_is_kept_is_found)
{
    const struct op_choices first = some_choices();
    struct op_choices second = {{CHOICE_NONE}}, found;
    const struct op_call small = product(24, 24), wide = product(128, 144);
    ck_assert(!op_choices_load(test_device, &store, &found));
    ck_assert(op_choices_keep(test_device, &store, &first));
    ck_assert_int_eq(strncmp(shelf.key, "choices-", 8), 0);
    ck_assert(op_choices_load(test_device, &store, &found));
    ck_assert_mem_eq(&found, &first, sizeof(found));
    /* what is not known of leaves what is there; what is replaces it */
    op_choices_set(&second, &small, &op_linear.candidates[2]);
    ck_assert(op_choices_keep(test_device, &store, &second));
    ck_assert(op_choices_load(test_device, &store, &found));
    op_choices_set(&second, &wide, &op_linear.candidates[1]);
    ck_assert_mem_eq(&found, &second, sizeof(found));
    shelf.full = true;
    ck_assert(!op_choices_keep(test_device, &store, &first));
    ck_assert(!op_choices_keep(test_device, &(struct gpu_store){.load = NULL}, &first));
}
END_TEST

/* Loading gives nothing, and says so. */
static void expect_miss(const char *what, size_t at)
{
    static const struct op_choices none;
    struct op_choices found;
    ck_assert_msg(!op_choices_load(test_device, &store, &found), "%s, %zu", what, at);
    ck_assert_mem_eq(&found, &none, sizeof(found));
}

START_TEST(damaged_choices_are_a_miss)
{
    const struct op_choices choices = some_choices();
    ck_assert(op_choices_keep(test_device, &store, &choices));
    const size_t size = shelf.size;
    for (size_t i = 0; i < size; i++) {
        shelf.bytes[i] ^= (uint8_t)(1 << i % 8);
        expect_miss("a bit is another one in byte", i);
        shelf.bytes[i] ^= (uint8_t)(1 << i % 8);
    }
    for (shelf.size = 0; shelf.size < size; shelf.size += 1 + shelf.size / 8)
        expect_miss("cut after byte", shelf.size);
    shelf.size = size + 1;
    expect_miss("longer than", size);
}
END_TEST

START_TEST(choices_of_others_are_a_miss)
{
    const struct op_choices choices = some_choices();
    char *version = test_device->info.driver_version;
    size_t size = 0;
    ck_assert(op_choices_keep(test_device, &store, &choices));
    version[0] ^= 1;
    expect_miss("another version of the driver", 0);
    version[0] ^= 1;
    test_device->info.uuid[3] ^= 1;
    expect_miss("another device under the same name", 0);
    test_device->info.uuid[3] ^= 1;
    uint8_t *payload = gpu_cache_load(test_device, &store, "choices", &size);
    ck_assert_ptr_nonnull(payload);
    /* sealed by us, of another set of candidates */
    payload[0] ^= 1;
    ck_assert(gpu_cache_save(test_device, &store, "choices", payload, size));
    expect_miss("other candidates", 0);
    payload[0] ^= 1;
    /* a candidate that there is not, and one of an op that there is not */
    payload[size - OP_CLASSES] = CHOICE_USUAL - 1;
    ck_assert(gpu_cache_save(test_device, &store, "choices", payload, size));
    expect_miss("no such candidate", 0);
    payload[size - OP_CLASSES] = CHOICE_NONE;
    payload[size - 1] = 1;
    ck_assert(gpu_cache_save(test_device, &store, "choices", payload, size));
    expect_miss("no such op", 0);
    ck_assert(gpu_cache_save(test_device, &store, "choices", payload, size - 1));
    expect_miss("another number of classes", 0);
    free(payload);
}
END_TEST

Suite *choices_suite(void)
{
    Suite *suite = suite_create("choices");
    TCase *classes = tcase_create("classes");
    tcase_add_test(classes, shapes_have_classes_of_their_own);
    tcase_add_loop_test(classes, classes_know_no_lengths, 0, (int)op_count);
    tcase_add_test(classes, the_measured_candidate_runs);
    tcase_add_loop_test(classes, some_candidates_run_only_when_measured, 0, (int)op_count);
    suite_add_tcase(suite, classes);
    TCase *kept = tcase_create("kept");
    tcase_add_checked_fixture(kept, setup, gpu_case_teardown);
    tcase_add_test(kept, what_is_kept_is_found);
    tcase_add_test(kept, damaged_choices_are_a_miss);
    tcase_add_test(kept, choices_of_others_are_a_miss);
    suite_add_tcase(suite, kept);
    return suite;
}
