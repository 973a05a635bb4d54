#include "model_cases.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- cases ---- */

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    ck_assert_ptr_nonnull(memory);
    return memory;
}

static const struct st_tensor *find(const struct st_file *file, const char *name)
{
    const struct st_tensor *tensor = st_find(file, name);
    ck_assert_msg(tensor != NULL, "%s: no tensor %s", file->path, name);
    return tensor;
}

static int64_t *read_ints(const struct st_file *file, const struct st_tensor *tensor)
{
    int64_t *values = allocate(tensor->elements, sizeof(*values));
    ck_assert_int_eq(st_read_ints(test_logger(), file, tensor, 0, tensor->elements, values), 0);
    return values;
}

const char *model_file(const char *folder, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return test_path(path);
}

struct model_cases model_cases_load(const char *path)
{
    struct model_cases cases = {0};
    struct st_file file;
    ck_assert_msg(st_open(test_logger(), path, &file) == STATUS_OK, "%s", test_logger()->error);
    const struct st_tensor *tokens = find(&file, "tokens"), *logits = find(&file, "logits");
    cases.batch = (uint32_t)tokens->shape[0];
    cases.n = (uint32_t)tokens->shape[1];
    cases.num_labels = (uint32_t)logits->shape[1];
    int64_t *values = read_ints(&file, tokens);
    int64_t *lengths = read_ints(&file, find(&file, "lengths"));
    cases.tokens = allocate(tokens->elements, sizeof(*cases.tokens));
    cases.lengths = allocate(cases.batch, sizeof(*cases.lengths));
    cases.logits = allocate(logits->elements, sizeof(*cases.logits));
    for (uint64_t i = 0; i < tokens->elements; i++)
        cases.tokens[i] = (int32_t)values[i];
    for (uint32_t i = 0; i < cases.batch; i++)
        cases.lengths[i] = (uint32_t)lengths[i];
    ck_assert_int_eq(
        st_read_floats(test_logger(), &file, logits, 0, logits->elements, cases.logits), 0);
    free(values);
    free(lengths);
    st_finish(&file);
    return cases;
}

void model_cases_finish(struct model_cases *cases)
{
    free(cases->tokens);
    free(cases->lengths);
    free(cases->logits);
}

double relative_error(const float *got, const float *expected, size_t count)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        difference += pow((double)got[i] - (double)expected[i], 2);
        norm += pow((double)expected[i], 2);
    }
    return sqrt(difference / norm);
}

/* ---- changed models ---- */

const char *temporary_folder(void)
{
    static char folder[1024];
    test_folder_make(folder, sizeof(folder));
    return folder;
}

static void join(char *path, size_t size, const char *folder, const char *name)
{
    ck_assert_int_lt(snprintf(path, size, "%s/%s", folder, name), (int)size);
}

void remove_model(const char *folder)
{
    static const char *const names[] = {"config.json", "model.safetensors"};
    char path[1200];
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        join(path, sizeof(path), folder, names[i]);
        unlink(path);
    }
    ck_assert_int_eq(rmdir(folder), 0);
}

void copy_file(const char *from, const char *folder, const char *name)
{
    char path[1200], block[4096];
    join(path, sizeof(path), folder, name);
    FILE *in = fopen(from, "rb"), *out = fopen(path, "wb");
    ck_assert(in && out);
    for (size_t size; (size = fread(block, 1, sizeof(block), in)) > 0;)
        ck_assert_uint_eq(fwrite(block, 1, size, out), size);
    fclose(in);
    ck_assert_int_eq(fclose(out), 0);
}

/* The 16 bits that a number is stored as, and the number that they stand for. */
static uint16_t narrow(enum model_change change, float value)
{
    uint32_t bits;
    if (change == CHANGE_ALL_F16 || change == CHANGE_HALVED)
        return half_from_float(value);
    memcpy(&bits, &value, sizeof(bits));
    return (uint16_t)(bits >> 16);
}

static float widen(enum model_change change, uint16_t bits)
{
    return change == CHANGE_HALVED ? half_to_float(bits) : bfloat_to_float(bits);
}

/* A tensor's numbers as `change` stores them, into memory that the tensor then points to. */
static void *change_numbers(enum model_change change, struct st_tensor *tensor)
{
    bool is_16_bit = change == CHANGE_ALL_F16 || change == CHANGE_ALL_BF16;
    float *values = allocate(tensor->elements, sizeof(*values));
    uint16_t *narrowed = (uint16_t *)values; /* written behind what is read */
    memcpy(values, tensor->data, tensor->bytes);
    for (uint64_t i = 0; i < tensor->elements; i++) {
        float value;
        memcpy(&value, (const char *)tensor->data + i * sizeof(value), sizeof(value));
        uint16_t bits = narrow(change, value);
        if (is_16_bit)
            narrowed[i] = bits;
        else
            values[i] = widen(change, bits);
    }
    if (is_16_bit) {
        tensor->type = change == CHANGE_ALL_F16 ? ST_F16 : ST_BF16;
        tensor->type_text = st_type_name(tensor->type);
        tensor->bytes = tensor->elements * sizeof(*narrowed);
    }
    tensor->data = values;
    return values;
}

static void change_shape(struct st_tensor *tensor)
{
    uint64_t first = tensor->shape[0];
    if (tensor->dims == 1) {
        tensor->dims = 2;
        tensor->shape[0] = 1;
        tensor->shape[1] = first;
    } else {
        tensor->shape[0] = tensor->shape[1];
        tensor->shape[1] = first;
    }
}

static void *change_value(struct st_tensor *tensor, float value)
{
    float *values = allocate(tensor->elements, sizeof(*values));
    memcpy(values, tensor->data, tensor->bytes);
    values[tensor->elements - 1] = value;
    tensor->data = values;
    return values;
}

void write_changed_model(const char *from, const char *folder, enum model_change change,
                         const char *name, float value)
{
    struct st_file file;
    ck_assert_int_eq(st_open(test_logger(), from, &file), STATUS_OK);
    void **memory = allocate(file.count, sizeof(*memory));
    struct st_tensor *tensors = allocate(file.count, sizeof(*tensors));
    uint32_t count = 0;
    bool found = !name;
    for (uint32_t i = 0; i < file.count; i++) {
        struct st_tensor *tensor = &tensors[count];
        bool named = name && strcmp(file.tensors[i].name, name) == 0;
        found = found || named;
        *tensor = file.tensors[i];
        ck_assert_int_eq(tensor->type, ST_F32);
        if (named && change == CHANGE_DROP)
            continue;
        if (named && change == CHANGE_SHAPE)
            change_shape(tensor);
        if (named && change == CHANGE_DTYPE) {
            tensor->type = ST_I32;
            tensor->type_text = "I32";
        }
        if (named && change == CHANGE_VALUE)
            memory[i] = change_value(tensor, value);
        if (change >= CHANGE_ALL_F16)
            memory[i] = change_numbers(change, tensor);
        count++;
    }
    ck_assert_msg(found, "%s: no tensor %s", from, name);
    char path[1200];
    join(path, sizeof(path), folder, "model.safetensors");
    ck_assert_int_eq(st_write(test_logger(), path, tensors, count, NULL, 0), STATUS_OK);
    for (uint32_t i = 0; i < file.count; i++)
        free(memory[i]);
    free(memory);
    free(tensors);
    st_finish(&file);
}
