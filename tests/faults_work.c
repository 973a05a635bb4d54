#include "faults_work.h"
#include "api/context.h"
#include <stdlib.h>
#include <string.h>

/* ---- attention over host memory ---- */

adamra_status work_create_attention(struct work *work)
{
    return adamra_attention_create(work->context, &work->attention.params, &work->object);
}

static adamra_status run_attention(struct work *work)
{
    adamra_attention_io io = attention_case_io(&work->attention, &work->result);
    adamra_timing timing;
    return adamra_attention_run(work->object, &io, &timing);
}

static const work_step attention_steps[] = {work_create_attention, run_attention, run_attention,
                                            NULL};

/* ---- attention over buffers ---- */

/* The floats of a buffer, q, k, v, router logits or y, and their number. */
static float *buffer_floats(const struct work *work, uint32_t index, size_t *count)
{
    const struct attention_case *c = &work->attention;
    float *const floats[WORK_BUFFERS] = {c->q, c->k, c->v, c->logits, work->result.y};
    const size_t counts[WORK_BUFFERS] = {
        attention_case_inputs(c), attention_case_keys(c), attention_case_values(c),
        c->logits ? attention_case_queries(c) * c->params.heads : 0, attention_case_outputs(c)};
    *count = counts[index];
    return floats[index];
}

adamra_status work_create_buffers(struct work *work)
{
    adamra_status result = ADAMRA_OK;
    for (uint32_t i = 0; i < WORK_BUFFERS && !result; i++) {
        size_t count;
        buffer_floats(work, i, &count);
        if (!work->buffers[i])
            result = adamra_buffer_create(work->context, 4 * count, &work->buffers[i]);
    }
    return result;
}

adamra_status work_write_buffers(struct work *work)
{
    adamra_status result = ADAMRA_OK;
    for (uint32_t i = 0; i < WORK_BUFFERS - 1 && !result; i++) {
        size_t count;
        const float *floats = buffer_floats(work, i, &count);
        result = adamra_buffer_write(work->buffers[i], 0, floats, 4 * count);
    }
    return result;
}

adamra_attention_io work_buffer_io(const struct work *work)
{
    adamra_attention_io io = attention_case_io(&work->attention, &work->result);
    adamra_tensor *const tensors[] = {&io.q, &io.k, &io.v, &io.router_logits};
    for (uint32_t i = 0; i < WORK_BUFFERS - 1; i++)
        if (tensors[i]->data)
            *tensors[i] = (adamra_tensor){.buffer = work->buffers[i]};
    io.y = (adamra_output){.buffer = work->buffers[WORK_BUFFERS - 1]};
    return io;
}

adamra_status work_run_on_buffers(struct work *work)
{
    const adamra_attention_io io = work_buffer_io(work);
    return adamra_attention_run(work->object, &io, NULL);
}

adamra_status work_read_buffer(struct work *work)
{
    size_t count;
    float *floats = buffer_floats(work, WORK_BUFFERS - 1, &count);
    return adamra_buffer_read(work->buffers[WORK_BUFFERS - 1], 0, floats, 4 * count);
}

static const work_step buffer_steps[] = {work_create_attention, work_create_buffers,
                                         work_write_buffers,    work_run_on_buffers,
                                         work_read_buffer,      NULL};

/* ---- a model ---- */

adamra_status work_load_model(struct work *work)
{
    return adamra_model_load(work->context, test_path(WORK_MODEL), NULL, &work->model);
}

static adamra_status run_model(struct work *work)
{
    const struct model_cases *cases = &work->cases;
    return adamra_model_run(work->model, cases->tokens, cases->batch, cases->n, cases->lengths,
                            work->logits, NULL);
}

static const work_step model_steps[] = {work_load_model, run_model, run_model, NULL};

/* ---- all of them ---- */

const struct work_kind work_kinds[] = {
    {"adamra", attention_steps, "adamra", ADAMRA_ROUTER_WEIGHT},
    {"linear", attention_steps, "linear", ADAMRA_ROUTER_LOGITS},
    {"softmax", attention_steps, "softmax", ADAMRA_ROUTER_LOGITS},
    {"bigbird", attention_steps, "bigbird", ADAMRA_ROUTER_LOGITS},
    {"buffers", buffer_steps, "adamra", ADAMRA_ROUTER_LOGITS},
    {"streamed", attention_steps, "adamra", ADAMRA_ROUTER_WEIGHT, 300, 500, .memory = 131072,
     .overlaps = true},
    {"host memory", attention_steps, "linear", ADAMRA_ROUTER_LOGITS, 4096, 16, 64, 4,
     .imports = true},
    {"imported", work_import_steps, "adamra", ADAMRA_ROUTER_LOGITS, .imports = true},
    {"recorded", work_record_steps, "adamra", ADAMRA_ROUTER_WEIGHT},
    {"model", model_steps, NULL, ADAMRA_ROUTER_LOGITS, .slices = true},
    {"model in little memory", model_steps, NULL, ADAMRA_ROUTER_LOGITS, .memory = 800000,
     .slices = true},
    {"recorded model", work_record_model_steps, NULL, ADAMRA_ROUTER_LOGITS},
};
const uint32_t work_count = ARRAY_SIZE(work_kinds);

/* Odd widths, so that rows in buffers are repacked. */
static void init_attention(struct work *work, const struct work_kind *kind)
{
    static const adamra_bigbird blocks = {
        .block = 8, .global_blocks = 1, .window = 1, .random_blocks = 1};
    struct random random = random_seed(test_seed());
    struct attention_case *c = &work->attention;
    bool heads = strcmp(kind->attention, "adamra") == 0;
    c->params = (adamra_attention_params){.kind = kind->attention,
                                          .batch = 2,
                                          .groups = 1,
                                          .queries = kind->queries ? kind->queries : 40,
                                          .keys = kind->keys ? kind->keys : 40,
                                          .key_width = kind->key_width ? kind->key_width : 6,
                                          .value_width = kind->value_width ? kind->value_width : 7,
                                          .heads = heads ? 2 : 1,
                                          .router = kind->router};
    c->rates[0] = 1;
    c->rates[1] = heads ? 3 : 0;
    c->bigbird = blocks;
    if (strcmp(kind->attention, "bigbird") == 0)
        c->params.bigbird = &c->bigbird;
    attention_case_draw(c, &random, true);
    attention_result_init(&work->result, c);
    if (!c->head)
        return;
    attention_case_expect(c);
    /* What a recording has not, and a run writes. */
    memcpy(work->result.head, c->head, attention_case_queries(c) * sizeof(*c->head));
    memcpy(work->result.prob, c->prob, attention_case_queries(c) * sizeof(*c->prob));
}

void work_init(struct work *work, const struct work_kind *kind, adamra_context *context)
{
    *work = (struct work){.kind = kind, .context = context};
    if (kind->attention) {
        work->pages = aligned_alloc(WORK_PAGE, WORK_BUFFERS * WORK_PAGE);
        ck_assert_ptr_nonnull(work->pages);
        init_attention(work, kind);
        return;
    }
    work->cases = model_cases_load(model_file(WORK_MODEL, "cases.safetensors"));
    work->logits = calloc((size_t)work->cases.batch * work->cases.num_labels, sizeof(float));
    ck_assert_ptr_nonnull(work->logits);
}

static size_t result_bytes(const struct work *work, float **result)
{
    *result = work->kind->attention ? work->result.y : work->logits;
    return sizeof(float) * (work->kind->attention
                                ? attention_case_outputs(&work->attention)
                                : (size_t)work->cases.batch * work->cases.num_labels);
}

bool work_is_right(struct work *work)
{
    float *result;
    size_t bytes = result_bytes(work, &result);
    if (!work->expected) {
        if (work->kind->attention)
            attention_case_check(&work->attention, ADAMRA_F32, &work->result);
        else
            ck_assert_double_le(relative_error(result, work->cases.logits, bytes / 4), 2e-5);
        work->expected = malloc(bytes);
        ck_assert_ptr_nonnull(work->expected);
        memcpy(work->expected, result, bytes);
    }
    bool right = memcmp(work->expected, result, bytes) == 0;
    memset(result, 0xff, bytes);
    return right;
}

void work_release(struct work *work)
{
    work_release_recording(work);
    adamra_attention_destroy(work->object);
    adamra_model_destroy(work->model);
    for (uint32_t i = 0; i < WORK_BUFFERS; i++)
        adamra_buffer_destroy(work->buffers[i]);
    memset(work->buffers, 0, sizeof(work->buffers));
    work->object = NULL;
    work->model = NULL;
}

void work_finish(struct work *work)
{
    if (work->kind->attention) {
        attention_case_finish(&work->attention);
        attention_result_finish(&work->result);
    } else {
        model_cases_finish(&work->cases);
    }
    free(work->logits);
    free(work->pages);
    free(work->expected);
}

uint32_t work_others_than(struct work *work, adamra_status code)
{
    adamra_buffer *buffer = NULL;
    adamra_model *model = NULL;
    adamra_attention *attention = NULL;
    uint32_t others = adamra_buffer_create(work->context, 64, &buffer) != code;
    others += adamra_model_load(work->context, test_path(WORK_MODEL), NULL, &model) != code;
    others += adamra_attention_create(work->context, &work->attention.params, &attention) != code;
    adamra_buffer_destroy(buffer);
    adamra_model_destroy(model);
    adamra_attention_destroy(attention);
    if (work->recording)
        others += work_record_again(work) != code;
    if (work->buffers[WORK_BUFFERS - 1])
        others += (work_write_buffers(work) != code) + (work_read_buffer(work) != code);
    if (work->object && work->buffers[WORK_BUFFERS - 1])
        others += work_run_on_buffers(work) != code;
    if (work->object)
        others += run_attention(work) != code;
    if (work->model)
        others += run_model(work) != code;
    return others;
}
