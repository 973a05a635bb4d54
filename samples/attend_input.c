#include "attend_input.h"
#include <stdlib.h>
#include <string.h>

static bool is_adamra(const struct options *options)
{
    return !strcmp(options->attention, "adamra");
}

/* Whether the keys are of the same n tokens as the queries. */
static bool is_square(const struct options *options)
{
    return !strcmp(options->attention, "bigbird");
}

static bool has_router(const struct options *options)
{
    return is_adamra(options) && options->routing != ADAMRA_NONE;
}

bool attend_input_chooses(const struct attend_input *input)
{
    return !strcmp(input->params.kind, "adamra") && input->params.routing == ADAMRA_TOP1;
}

static status read_qkv(struct logger *log, const struct st_file *file,
                       const struct options *options, struct attend_input *input)
{
    struct axes *axes = &input->axes;
    bool per_head = is_adamra(options) && options->routing == ADAMRA_NONE;
    bool square = is_square(options);
    axes->known[AXIS_HEADS] = true;
    axes->size[AXIS_HEADS] = is_adamra(options) ? options->rate_count : 1;
    status result = tensors_floats(log, file, "q", per_head ? "BGHnk" : "BGnk", axes, &input->q);
    if (result == STATUS_OK) {
        result = tensors_floats(log, file, "k", square ? "BGhnk" : "BGhmk", axes, &input->k);
    }
    if (result == STATUS_OK) {
        result = tensors_floats(log, file, "v", square ? "BGhnv" : "BGhmv", axes, &input->v);
    }
    if (result == STATUS_OK) {
        result = tensors_lengths(log, file, "key_lengths", axes, square ? AXIS_QUERIES : AXIS_KEYS,
                                 &input->key_lengths);
    }
    if (result == STATUS_OK) {
        result =
            tensors_lengths(log, file, "query_lengths", axes, AXIS_QUERIES, &input->query_lengths);
    }
    return result;
}

static status read_router(struct logger *log, const struct st_file *file,
                          struct attend_input *input)
{
    bool logits = st_find(file, "router.logits") != NULL;
    bool weight = st_find(file, "router.weight") != NULL;
    if (logits == weight) {
        return fail(log, STATUS_BAD_INPUT,
                    "%s: tensors 'router.logits' and 'router.weight' are both %s; expected one "
                    "of them",
                    file->path, logits ? "there" : "missing");
    }
    if (logits) {
        input->params.router = ADAMRA_ROUTER_LOGITS;
        return tensors_floats(log, file, "router.logits", "BGnH", &input->axes,
                              &input->router_logits);
    }
    input->params.router = ADAMRA_ROUTER_WEIGHT;
    status result =
        tensors_floats(log, file, "router.weight", "GHk", &input->axes, &input->router_weight);
    if (result == STATUS_OK && st_find(file, "router.bias")) {
        result = tensors_floats(log, file, "router.bias", "GH", &input->axes, &input->router_bias);
    }
    return result;
}

static void set_params(const struct options *options, const struct st_file *file,
                       struct attend_input *input)
{
    const uint32_t *size = input->axes.size;
    bool adamra = is_adamra(options);
    adamra_router router = input->params.router;
    input->params = (adamra_attention_params){
        .kind = options->attention,
        .batch = size[AXIS_BATCH],
        .groups = size[AXIS_GROUPS],
        .queries = size[AXIS_QUERIES],
        .keys = size[is_square(options) ? AXIS_QUERIES : AXIS_KEYS],
        .key_width = size[AXIS_KEY_WIDTH],
        .value_width = size[AXIS_VALUE_WIDTH],
        .heads = size[AXIS_HEADS],
        .rates = adamra ? options->rates : NULL,
        .shared_keys = adamra && st_find(file, "k")->shape[2] == 1,
        .shared_values = adamra && st_find(file, "v")->shape[2] == 1,
        .routing = adamra ? options->routing : ADAMRA_TOP1,
        .feature_map = options->feature_map,
        .pooling = adamra ? options->pooling : ADAMRA_MEAN,
        .router = router,
        .eps = options->eps,
        .bigbird = &options->bigbird,
        .type = options->type,
    };
}

status attend_input_read(struct logger *log, const struct options *options,
                         struct attend_input *input)
{
    *input = (struct attend_input){0};
    status result = st_open(log, options->operands.items[0], &input->file);
    if (result != STATUS_OK) {
        input->file = (struct st_file){0};
        return result;
    }
    result = read_qkv(log, &input->file, options, input);
    if (result == STATUS_OK && has_router(options)) {
        result = read_router(log, &input->file, input);
    }
    if (result == STATUS_OK) {
        set_params(options, &input->file, input);
        result = attend_input_check_range(log, input);
    }
    return result;
}

void attend_input_finish(struct attend_input *input)
{
    void *owned[] = {input->q.owned,
                     input->k.owned,
                     input->v.owned,
                     input->router_logits.owned,
                     input->router_weight.owned,
                     input->router_bias.owned,
                     input->key_lengths,
                     input->query_lengths};
    for (size_t i = 0; i < ARRAY_SIZE(owned); i++) {
        free(owned[i]);
    }
    st_finish(&input->file);
    *input = (struct attend_input){0};
}
