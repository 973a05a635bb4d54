/* gpu_reflect: what modules say of themselves, and modules that lie. */
#include "gpu/needs.h"
#include "gpu/spirv.h"
#include "gpu_cases.h"
#include "ops/random.h"
#include <stdlib.h>
#include <string.h>

/* ---- the embedded modules ---- */

START_TEST(every_module_is_understood)
{
    struct gpu_reflection reflection;
    size_t count;
    const uint32_t *words = gpu_shader_words((enum gpu_shader)_i, &count);
    const char *name = gpu_shader_name((enum gpu_shader)_i);
    bool writes = false;
    ck_assert_ok(gpu_reflect(test_logger(), words, count, &reflection));
    ck_assert_msg(reflection.push_bytes >= sizeof(struct item_range), "%s", name);
    ck_assert_msg(reflection.push_bytes <= 128, "%s", name);
    ck_assert_msg(reflection.binding_count >= 1, "%s", name);
    for (uint32_t i = 0; i < GPU_MAX_BINDINGS; i++) {
        ck_assert_msg(!reflection.kinds[i] == !reflection.access[i], "%s, binding %u", name, i);
        ck_assert_msg(!reflection.kinds[i] || i < reflection.binding_count, "%s", name);
        writes = writes || (reflection.access[i] & GPU_WRITE);
    }
    ck_assert_msg(writes, "%s writes nothing", name);
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_msg(reflection.local_size[i] > 0 && reflection.local_size[i] <= 128, "%s", name);
}
END_TEST

START_TEST(linear_is_reflected_exactly)
{
    struct gpu_reflection tile, texel;
    size_t count;
    const uint32_t *words = gpu_shader_words(SHADER_linear_tile, &count);
    ck_assert_ok(gpu_reflect(test_logger(), words, count, &tile));
    words = gpu_shader_words(SHADER_linear_lane_texel, &count);
    ck_assert_ok(gpu_reflect(test_logger(), words, count, &texel));
    ck_assert_uint_eq(tile.binding_count, 6);
    ck_assert_uint_eq(tile.push_bytes, sizeof(struct linear_params));
    for (uint32_t i = 0; i < 6; i++) {
        ck_assert_uint_eq(tile.kinds[i], GPU_BINDING_STORAGE);
        ck_assert_uint_eq(tile.access[i], i == LINEAR_C ? GPU_WRITE : GPU_READ);
    }
    ck_assert_uint_eq(tile.local_size[0], 128);
    ck_assert_uint_eq(tile.local_size_id[0], UINT32_MAX);
    ck_assert_uint_eq(texel.kinds[LINEAR_A], GPU_BINDING_TEXEL);
    ck_assert_uint_eq(texel.access[LINEAR_A], GPU_READ);
    ck_assert_uint_eq(texel.kinds[LINEAR_C], GPU_BINDING_STORAGE);
    ck_assert_uint_eq(texel.local_size_id[0], ID_GROUP);
    ck_assert_uint_eq(texel.local_size_id[1], UINT32_MAX);
}
END_TEST

/* A frozen module says the same of itself, with values of its own in place of constants. */
START_TEST(frozen_modules_are_plain)
{
    const uint32_t values[GPU_MAX_CONSTANTS] = {
        [ID_GROUP] = 32, [ID_TILE] = 8, [ID_TILE + 1] = 8, [ID_TILE + 2] = 16, [ID_TILE + 3] = 2};
    size_t count, frozen_count;
    const uint32_t *words = gpu_shader_words((enum gpu_shader)_i, &count);
    uint32_t *frozen, bytes, frozen_bytes;
    struct gpu_reflection before, after;
    ck_assert_ok(spirv_freeze(test_logger(), words, count, values, ARRAY_SIZE(values), &frozen,
                              &frozen_count));
    ck_assert_uint_le(frozen_count, count);
    for (size_t at = SPIRV_HEADER; at < frozen_count; at += frozen[at] >> 16)
        ck_assert_msg((frozen[at] & 0xffff) < SPIRV_SPEC_CONSTANT_TRUE ||
                          (frozen[at] & 0xffff) > SPIRV_SPEC_CONSTANT_OP,
                      "%s, word %zu", gpu_shader_name((enum gpu_shader)_i), at);
    ck_assert_ok(gpu_reflect(test_logger(), words, count, &before));
    ck_assert_ok(gpu_reflect(test_logger(), frozen, frozen_count, &after));
    ck_assert_mem_eq(before.kinds, after.kinds, sizeof(before.kinds));
    ck_assert_mem_eq(before.access, after.access, sizeof(before.access));
    ck_assert_uint_eq(before.push_bytes, after.push_bytes);
    ck_assert_uint_eq(after.local_size_id[0], UINT32_MAX);
    ck_assert_uint_eq(after.local_size[0],
                      before.local_size_id[0] == ID_GROUP ? 32 : before.local_size[0]);
    ck_assert_ok(
        gpu_reflect_shared(test_logger(), words, count, values, ARRAY_SIZE(values), &bytes));
    ck_assert_ok(gpu_reflect_shared(test_logger(), frozen, frozen_count, NULL, 0, &frozen_bytes));
    ck_assert_uint_eq(bytes, frozen_bytes);
    free(frozen);
}
END_TEST

/* ---- a module by hand ---- */

/* An instruction's first word. */
#define OP(length, op) ((uint32_t)(length) << 16 | (op))

/* Ids: 1 main, 2 float, 3 array of floats, 4 block, 5 pointer, 6 variable, 7 uint, 8 constant 3,
 * 9 float[3], 10 inner struct, 11 push block, 12 pointer, 13 push variable, 14 vector of three
 * uints, 15 and 16 specialised sizes, 17 group size. */
/* clang-format off */
static const uint32_t handmade[] = {
    0x07230203, 0x00010300, 0, 18, 0,
    OP(5, SPIRV_ENTRY_POINT), SPIRV_GL_COMPUTE, 1, 0x6e69616d, 0,
    OP(6, SPIRV_EXECUTION_MODE), 1, SPIRV_LOCAL_SIZE, 1, 1, 1,
    OP(3, SPIRV_DECORATE), 4, 2,
    OP(4, SPIRV_DECORATE), 6, SPIRV_DESCRIPTOR_SET, 0,
    OP(4, SPIRV_DECORATE), 6, SPIRV_BINDING, 3,
    OP(4, SPIRV_MEMBER_DECORATE), 4, 0, SPIRV_NON_WRITABLE,
    OP(4, SPIRV_MEMBER_DECORATE), 4, 1, SPIRV_NON_WRITABLE,
    OP(4, SPIRV_DECORATE), 9, SPIRV_ARRAY_STRIDE, 16,
    OP(5, SPIRV_MEMBER_DECORATE), 10, 0, SPIRV_OFFSET, 0,
    OP(5, SPIRV_MEMBER_DECORATE), 10, 1, SPIRV_OFFSET, 48,
    OP(5, SPIRV_MEMBER_DECORATE), 11, 0, SPIRV_OFFSET, 0,
    OP(5, SPIRV_MEMBER_DECORATE), 11, 1, SPIRV_OFFSET, 64,
    OP(4, SPIRV_DECORATE), 15, SPIRV_SPEC_ID, 0,
    OP(4, SPIRV_DECORATE), 16, SPIRV_SPEC_ID, 5,
    OP(4, SPIRV_DECORATE), 17, SPIRV_BUILT_IN, SPIRV_BUILT_IN_WORKGROUP_SIZE,
    OP(3, SPIRV_TYPE_FLOAT), 2, 32,
    OP(3, 29), 3, 2, /* OpTypeRuntimeArray */
    OP(4, SPIRV_TYPE_STRUCT), 4, 2, 3,
    OP(4, SPIRV_TYPE_POINTER), 5, SPIRV_STORAGE_BUFFER, 4,
    OP(4, SPIRV_VARIABLE), 5, 6, SPIRV_STORAGE_BUFFER,
    OP(4, SPIRV_TYPE_INT), 7, 32, 0,
    OP(4, SPIRV_CONSTANT), 7, 8, 3,
    OP(4, SPIRV_TYPE_ARRAY), 9, 2, 8,
    OP(4, SPIRV_TYPE_STRUCT), 10, 9, 2,
    OP(4, SPIRV_TYPE_STRUCT), 11, 10, 7,
    OP(4, SPIRV_TYPE_POINTER), 12, SPIRV_PUSH_CONSTANT, 11,
    OP(4, SPIRV_VARIABLE), 12, 13, SPIRV_PUSH_CONSTANT,
    OP(4, SPIRV_TYPE_VECTOR), 14, 7, 3,
    OP(4, SPIRV_SPEC_CONSTANT), 7, 15, 32,
    OP(4, SPIRV_SPEC_CONSTANT), 7, 16, 2,
    OP(6, SPIRV_SPEC_CONSTANT_COMPOSITE), 14, 17, 15, 16, 8,
};
/* clang-format on */

START_TEST(handmade_module_is_understood)
{
    struct gpu_reflection reflection;
    ck_assert_ok(gpu_reflect(test_logger(), handmade, ARRAY_SIZE(handmade), &reflection));
    ck_assert_uint_eq(reflection.binding_count, 4);
    ck_assert_uint_eq(reflection.kinds[3], GPU_BINDING_STORAGE);
    ck_assert_uint_eq(reflection.access[3], GPU_READ);
    ck_assert_uint_eq(reflection.push_bytes, 68); /* {float[3] every 16 bytes, float}, uint */
    ck_assert_uint_eq(reflection.local_size[0], 32);
    ck_assert_uint_eq(reflection.local_size[1], 2);
    ck_assert_uint_eq(reflection.local_size[2], 3);
    ck_assert_uint_eq(reflection.local_size_id[0], 0);
    ck_assert_uint_eq(reflection.local_size_id[1], 5);
    ck_assert_uint_eq(reflection.local_size_id[2], UINT32_MAX);
}
END_TEST

/* ---- modules that break the rules: a word sequence of the handmade one, changed ---- */

static const struct {
    uint32_t find[4], count, at, value; /* the word `at` of the found sequence becomes `value` */
    const char *error;                  /* NULL: understood */
} changes[] = {
    {{0x07230203}, 1, 0, 0x03022307, "no header"},
    {{0x00010300, 0, 18}, 3, 2, 0, "bound"},
    {{0x00010300, 0, 18}, 3, 2, 17, "malformed"},
    {{0x00010300, 0, 18}, 3, 2, 0xffffffff, "bound"},
    {{OP(5, SPIRV_ENTRY_POINT)}, 1, 1, 4, "not compute"},
    {{OP(5, SPIRV_ENTRY_POINT)}, 1, 0, OP(5, 1), "0 entry points"},
    {{OP(6, SPIRV_EXECUTION_MODE)}, 1, 3, 0, NULL},
    {{6, SPIRV_DESCRIPTOR_SET, 0}, 3, 2, 1, "set 1"},
    {{6, SPIRV_BINDING, 3}, 3, 2, 8, "binding 8"},
    {{6, SPIRV_BINDING, 3}, 3, 2, 0xffffffff, "binding"},
    {{4, 0, SPIRV_NON_WRITABLE}, 3, 2, SPIRV_NON_READABLE, NULL},
    {{9, SPIRV_ARRAY_STRIDE, 16}, 3, 2, 0x7fffffff, "push constant"},
    {{10, 1, SPIRV_OFFSET, 48}, 4, 3, 0xffffffff, "push constant"},
    {{10, 1, SPIRV_OFFSET, 48}, 4, 2, SPIRV_NON_WRITABLE, "push constant"},
    {{OP(4, SPIRV_TYPE_POINTER), 5}, 2, 3, 2, "binding 3"},
    {{OP(4, SPIRV_TYPE_POINTER), 5}, 2, 3, 12, "without a type"},
    {{OP(4, SPIRV_VARIABLE), 5, 6}, 3, 1, 0xffffffff, "without a type"},
    {{OP(4, SPIRV_VARIABLE), 5, 6}, 3, 2, 0xffffffff, "malformed"},
    {{OP(4, SPIRV_VARIABLE), 5, 6}, 3, 2, 13, "malformed"},
    {{OP(4, SPIRV_TYPE_STRUCT), 10, 9}, 3, 2, 10, "push constant"},
    {{OP(4, SPIRV_TYPE_STRUCT), 10, 9}, 3, 2, 11, "push constant"},
    {{OP(4, SPIRV_SPEC_CONSTANT), 7, 15, 32}, 4, 3, 0, "group size"},
    {{OP(6, SPIRV_SPEC_CONSTANT_COMPOSITE), 14, 17, 15}, 4, 3, 17, "group size"},
};

START_TEST(changed_module_is_judged)
{
    uint32_t words[ARRAY_SIZE(handmade)];
    struct gpu_reflection reflection;
    size_t at = 0, bytes = changes[_i].count * sizeof(uint32_t);
    memcpy(words, handmade, sizeof(words));
    while (memcmp(words + at, changes[_i].find, bytes))
        ck_assert_uint_lt(++at + changes[_i].count, ARRAY_SIZE(words) + 1);
    words[at + changes[_i].at] = changes[_i].value;
    status result = gpu_reflect(test_logger(), words, ARRAY_SIZE(words), &reflection);
    if (changes[_i].error)
        ck_assert_fails(result, STATUS_UNSUPPORTED, changes[_i].error);
    else
        ck_assert_ok(result);
}
END_TEST

START_TEST(access_is_of_all_members)
{
    uint32_t words[ARRAY_SIZE(handmade)];
    struct gpu_reflection reflection;
    static const uint32_t block = 2;
    static const struct {
        uint32_t decorations[2], access; /* of the block's two members */
    } rows[] = {{{SPIRV_NON_WRITABLE, SPIRV_NON_WRITABLE}, GPU_READ},
                {{SPIRV_NON_READABLE, SPIRV_NON_READABLE}, GPU_WRITE},
                {{SPIRV_NON_READABLE, SPIRV_NON_WRITABLE}, GPU_READ | GPU_WRITE},
                {{SPIRV_NON_WRITABLE, block}, GPU_READ | GPU_WRITE},
                {{block, block}, GPU_READ | GPU_WRITE}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        memcpy(words, handmade, sizeof(words));
        for (size_t at = 0; at < ARRAY_SIZE(words); at++)
            if (words[at] == OP(4, SPIRV_MEMBER_DECORATE))
                words[at + 3] = rows[i].decorations[words[at + 2]];
        ck_assert_ok(gpu_reflect(test_logger(), words, ARRAY_SIZE(words), &reflection));
        ck_assert_uint_eq(reflection.access[3], rows[i].access);
    }
}
END_TEST

/* ---- damaged modules: whatever the answer, no read past the words ---- */

/* Reflects a copy of exactly `count` words, so that a sanitizer sees a read past them. */
static status reflect_copy(const uint32_t *words, size_t count)
{
    struct gpu_reflection reflection;
    uint32_t *copy = malloc(count ? count * sizeof(*copy) : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, words, count * sizeof(*copy));
    status result = gpu_reflect(test_logger(), copy, count, &reflection);
    uint32_t *frozen;
    size_t frozen_count;
    if (!spirv_freeze(test_logger(), copy, count, NULL, 0, &frozen, &frozen_count))
        ck_assert_uint_le(frozen_count, count);
    free(frozen);
    free(copy);
    return result;
}

START_TEST(truncated_modules_are_safe)
{
    size_t count;
    const uint32_t *words = gpu_shader_words((enum gpu_shader)_i, &count);
    ck_assert_ok(reflect_copy(words, count));
    for (size_t length = 0; length < count; length += 1 + length / 64)
        reflect_copy(words, length);
    for (size_t length = 0; length <= SPIRV_HEADER; length++)
        ck_assert_int_eq(reflect_copy(words, length), STATUS_UNSUPPORTED);
}
END_TEST

START_TEST(garbled_modules_are_safe)
{
    struct random random = random_seed(test_seed() + (uint64_t)_i);
    uint32_t words[ARRAY_SIZE(handmade)];
    for (uint32_t round = 0; round < 2000; round++) {
        memcpy(words, handmade, sizeof(words));
        for (uint32_t change = random_between(&random, 1, 3); change; change--) {
            uint32_t at = random_between(&random, 3, ARRAY_SIZE(words) - 1);
            uint32_t bit = UINT32_C(1) << random_between(&random, 0, 31);
            /* Not a bound that takes tens of megabytes, again and again. */
            if (at != 3)
                words[at] = change % 2 ? words[at] ^ bit : random_between(&random, 0, 20);
        }
        reflect_copy(words, ARRAY_SIZE(words));
    }
}
END_TEST

Suite *gpu_reflect_suite(void)
{
    Suite *suite = suite_create("gpu_reflect");
    TCase *tests = tcase_create("reflect");
    tcase_add_loop_test(tests, every_module_is_understood, 0, SHADER_COUNT);
    tcase_add_test(tests, linear_is_reflected_exactly);
    tcase_add_loop_test(tests, frozen_modules_are_plain, 0, SHADER_COUNT);
    tcase_add_test(tests, handmade_module_is_understood);
    tcase_add_loop_test(tests, changed_module_is_judged, 0, ARRAY_SIZE(changes));
    tcase_add_test(tests, access_is_of_all_members);
    tcase_add_loop_test(tests, truncated_modules_are_safe, 0, SHADER_COUNT);
    tcase_add_test(tests, garbled_modules_are_safe);
    suite_add_tcase(suite, tests);
    return suite;
}
