#include "bench_work.h"
#include "base/system.h"
#include "ops/random.h"
#include <math.h>
#include <stdlib.h>

/* Sums of a whole attention: what rounding may do to a row, relative to its norm. */
static const double tolerances[] = {[TYPE_F32] = 1e-3, [TYPE_F16] = 3e-2};

static const struct work_pass *const passes[] = {
    [PASS_CORE] = &work_core,
    [PASS_LAYER] = &work_layer,
    [PASS_ENCODER] = &work_encoder,
    [PASS_OP] = &work_op,
};

double bench_clock_ms(void)
{
    return system_clock_ms();
}

/* ---- building ---- */

status work_create(struct gpu_device *device, const struct numbers *numbers,
                   const struct work_spec *spec, struct work **out)
{
    *out = NULL;
    struct work *work = calloc(1, sizeof(*work));
    if (!work) {
        return fail(device->log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for a combination");
    }
    work->device = device;
    work->numbers = numbers;
    work->spec = *spec;
    work->pass = passes[spec->pass];
    graph_init(&work->graph);
    status result = work->pass->build(work);
    if (result == STATUS_OK && !work->bindings) {
        work->bindings = calloc(work->graph.tensor_count + 1, sizeof(*work->bindings));
        if (!work->bindings) {
            result = fail(device->log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for bindings");
        }
    }
    if (result != STATUS_OK) {
        work_destroy(work);
        return result;
    }
    *out = work;
    return STATUS_OK;
}

static void finish_set(struct work_set *set)
{
    plan_destroy(set->plan);
    for (uint32_t i = 0; i < WORK_MAX_TENSORS; i++) {
        gpu_buffer_destroy(set->buffers[i]);
    }
    *set = (struct work_set){0};
}

void work_destroy(struct work *work)
{
    if (!work) {
        return;
    }
    for (uint32_t i = 0; i < WORK_MAX_SETS; i++) {
        finish_set(&work->sets[i]);
    }
    if (work->pass->finish) {
        work->pass->finish(work);
    }
    graph_finish(&work->graph);
    free(work->bindings);
    free(work);
}

static void add_tensor(struct work *work, const struct work_tensor *tensor)
{
    work->tensors[work->tensor_count++] = *tensor;
}

void work_add_rows(struct work *work, tensor_id id, enum work_role role, enum element_type type,
                   uint64_t rows, uint32_t width, uint32_t stride)
{
    struct work_tensor tensor = {.id = id, .role = role, .fill = FILL_NUMBERS};
    /* Each tensor is another part of the sequence. */
    tensor.rows = (struct number_rows){type, rows, width, stride, work->tensor_count * 7919ULL};
    add_tensor(work, &tensor);
}

void work_add_words(struct work *work, tensor_id id, uint64_t count, enum work_fill fill,
                    uint32_t value)
{
    struct work_tensor tensor = {.id = id, .role = WORK_INPUT, .fill = fill, .value = value};
    tensor.rows = (struct number_rows){ELEMENT_U32, count, 1, 1, 0};
    add_tensor(work, &tensor);
}

static uint32_t find_index(const struct work *work, tensor_id id)
{
    uint32_t i = 0;
    while (work->tensors[i].id != id) {
        i++;
    }
    return i;
}

const struct work_tensor *work_find(const struct work *work, tensor_id id)
{
    return &work->tensors[find_index(work, id)];
}

adamra_attention_params work_attention(const struct work_spec *spec)
{
    return (adamra_attention_params){
        .kind = spec->kind->name,
        .batch = spec->batch,
        .groups = spec->groups,
        .queries = spec->n,
        .keys = spec->n,
        .key_width = spec->d,
        .value_width = spec->d,
        .heads = spec->rates ? spec->rates->count : 1,
        .rates = spec->rates ? spec->rates->items : NULL,
        .type = (adamra_type)spec->type,
    };
}

/* ---- memory ---- */

static uint64_t tensor_bytes(const struct work_tensor *tensor)
{
    return tensor->rows.rows * tensor->rows.stride * element_bytes(tensor->rows.type);
}

static uint64_t role_bytes(const struct work *work, enum work_role role)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < work->tensor_count; i++) {
        bytes += work->tensors[i].role == role ? tensor_bytes(&work->tensors[i]) : 0;
    }
    return bytes;
}

uint64_t work_input_bytes(const struct work *work)
{
    return role_bytes(work, WORK_INPUT) + work->weight_bytes;
}

uint64_t work_output_bytes(const struct work *work)
{
    return role_bytes(work, WORK_OUTPUT);
}

static status write_words(const struct work_tensor *tensor, struct gpu_buffer *buffer)
{
    struct random random = random_seed(1);
    uint32_t *words = malloc(tensor_bytes(tensor) + 1);
    if (!words) {
        return fail(buffer->device->log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for tokens");
    }
    for (uint64_t i = 0; i < tensor->rows.rows; i++) {
        words[i] = tensor->fill == FILL_TOKENS ? random_between(&random, 0, tensor->value - 1)
                                               : tensor->value;
    }
    status result = gpu_buffer_write(buffer, 0, words, tensor_bytes(tensor));
    free(words);
    return result;
}

status work_make_plan(struct work *work, uint32_t set, bool profile, struct plan **out)
{
    for (uint32_t i = 0; i < work->tensor_count; i++) {
        work->bindings[work->tensors[i].id] =
            (struct plan_binding){.buffer = work->sets[set].buffers[i]};
    }
    return plan_create(work->device, &work->graph, work->bindings,
                       &(struct plan_params){.profile = profile}, out);
}

static status make_set(struct work *work, uint32_t index)
{
    struct work_set *set = &work->sets[index];
    status result = STATUS_OK;
    for (uint32_t i = 0; i < work->tensor_count && result == STATUS_OK; i++) {
        const struct work_tensor *tensor = &work->tensors[i];
        uint64_t bytes = size_round_up(size_max(1, tensor_bytes(tensor)), 16);
        result = gpu_buffer_create(work->device, bytes, GPU_MEMORY_DEVICE, &set->buffers[i]);
        if (result == STATUS_OK && tensor->role == WORK_INPUT) {
            result = tensor->fill == FILL_NUMBERS
                         ? numbers_write(work->numbers, &tensor->rows, set->buffers[i])
                         : write_words(tensor, set->buffers[i]);
        }
    }
    if (result != STATUS_OK) {
        return result;
    }
    double start = bench_clock_ms();
    result = work_make_plan(work, index, false, &set->plan);
    set->plan_ms = bench_clock_ms() - start;
    return result;
}

status work_prepare(struct work *work, uint32_t count)
{
    while (work->set_count < count) {
        status result = make_set(work, work->set_count);
        if (result != STATUS_OK) {
            finish_set(&work->sets[work->set_count]);
            return result;
        }
        work->set_count++;
    }
    return STATUS_OK;
}

/* ---- running ---- */

status work_run(struct work *work, uint32_t set, double *device_ms, double *host_ms)
{
    double start = bench_clock_ms();
    status result = plan_run(work->sets[set].plan, device_ms);
    *host_ms = bench_clock_ms() - start;
    if (result == STATUS_OK && *device_ms <= 0) {
        *device_ms = *host_ms;
    }
    return result;
}

status work_read_row(struct work *work, tensor_id id, uint64_t row, double *out)
{
    uint32_t index = find_index(work, id);
    const struct number_rows *rows = &work->tensors[index].rows;
    uint64_t bytes = (uint64_t)rows->stride * element_bytes(rows->type);
    struct tensor tensor = {.type = rows->type, .elements = rows->stride, .host = malloc(bytes)};
    if (!tensor.host) {
        return fail(work->device->log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for a row");
    }
    status result = gpu_buffer_read(work->sets[0].buffers[index], row * bytes, tensor.host, bytes);
    for (uint32_t i = 0; i < rows->width && result == STATUS_OK; i++) {
        out[i] = tensor_get(&tensor, i);
    }
    free(tensor.host);
    return result;
}

status work_read_words(struct work *work, tensor_id id, uint32_t *out)
{
    uint32_t index = find_index(work, id);
    return gpu_buffer_read(work->sets[0].buffers[index], 0, out,
                           tensor_bytes(&work->tensors[index]));
}

void work_compare(struct work_error *error, const double *row, const double *reference,
                  uint32_t width)
{
    for (uint32_t i = 0; i < width; i++) {
        double difference = row[i] - reference[i];
        error->difference += difference * difference;
        error->norm += reference[i] * reference[i];
    }
    error->rows++;
}

status work_check(struct work *work, bool *wrong, struct work_error *error)
{
    *error = (struct work_error){0};
    status result = work->pass->check(work, error);
    double limit = tolerances[work->spec.type] * sqrt(error->norm);
    /* Written so that a NaN is wrong, as is what nothing was compared of. */
    *wrong = error->rows == 0 || !(sqrt(error->difference) <= limit);
    return result;
}
