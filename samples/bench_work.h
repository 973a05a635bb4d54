/* bench_work: what one row of a benchmark runs: a graph, its inputs on the device, and a plan for
 * each of several sets of buffers.
 *
 * A pass (core, layer, encoder, op) builds the graph and says how a sample of its output rows is
 * checked; bench_passes lists them. Everything else is the same for all. Failures are reported to
 * the device's logger. */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include "bench_lists.h"
#include "bench_numbers.h"
#include "bench.h"
#include "model/encoder.h"

#define WORK_MAX_TENSORS 12
#define WORK_MAX_SETS    16

/* What is asked for; fields that a pass does not use are 0. */
struct work_spec {
    enum bench_pass pass;
    const struct attn_kind *kind;
    const struct rate_set *rates; /* NULL where the kind has none */
    bool shared_kv;
    enum element_type type;
    uint32_t n, d, batch, groups, d_model;
    struct product_size product;
    const struct bench_model *model; /* encoder */
};

/* A model folder in one storage type, on the device and as host memory for the check. */
struct bench_model {
    struct model_config config;
    struct rate_set rates;
    struct weights weights, reference;
};

enum work_role { WORK_INPUT, WORK_OUTPUT };
enum work_fill { FILL_NUMBERS, FILL_COUNT, FILL_TOKENS };

/* A tensor that every set of buffers has its own of. */
struct work_tensor {
    tensor_id id;
    enum work_role role;
    enum work_fill fill;
    struct number_rows rows;
    uint32_t value; /* FILL_COUNT: every word; FILL_TOKENS: how many there are */
};

struct work_set {
    struct gpu_buffer *buffers[WORK_MAX_TENSORS];
    struct plan *plan;
    double plan_ms; /* what making the plan took: pipelines that were new, recording */
};

struct work {
    struct gpu_device *device;
    const struct numbers *numbers;
    struct work_spec spec;
    const struct work_pass *pass;
    struct graph graph;
    struct plan_binding *bindings; /* one a tensor of the graph; weights' are set by the pass */
    struct work_tensor tensors[WORK_MAX_TENSORS];
    uint32_t tensor_count;
    double operations, bytes;
    uint64_t weight_bytes; /* of inputs that all sets share */
    struct work_set sets[WORK_MAX_SETS];
    uint32_t set_count;
    void *state; /* the pass's own */
};

/* How the rows that were compared differ from the reference. */
struct work_error {
    uint32_t rows;
    double difference, norm; /* sums of squares: of the difference, and of the reference */
};

struct work_pass {
    /* Fills graph, bindings, tensors, costs and state. */
    status (*build)(struct work *work);
    /* Compares rows of set 0's outputs, which have been written. */
    status (*check)(struct work *work, struct work_error *error);
    /* The length, at most spec->n, at which a check takes a second or two. */
    uint32_t (*check_length)(const struct work_spec *spec);
    void (*finish)(struct work *work); /* frees state; NULL: nothing to do */
};

extern const struct work_pass work_core, work_layer, work_encoder, work_op;

/* Builds the graph; no tensor has memory yet. On failure *out is NULL. */
status work_create(struct gpu_device *device, const struct numbers *numbers,
                   const struct work_spec *spec, struct work **out);
void work_destroy(struct work *work);
/* Bytes of one set's inputs (weights included) and outputs. */
uint64_t work_input_bytes(const struct work *work);
uint64_t work_output_bytes(const struct work *work);
/* Makes sets until there are `count`. */
status work_prepare(struct work *work, uint32_t count);
/* A plan over the buffers of a set that exists. */
status work_make_plan(struct work *work, uint32_t set, bool profile, struct plan **out);
/* Runs a set once. *device_ms is host time where the device has no timestamps, or too coarse ones.
 */
status work_run(struct work *work, uint32_t set, double *device_ms, double *host_ms);
/* Compares what set 0 has computed: *wrong says whether it differs from the reference. */
status work_check(struct work *work, bool *wrong, struct work_error *error);

/* ---- for passes ---- */

/* Self-attention of that size, with keys and values for each head. */
adamra_attention_params work_attention(const struct work_spec *spec);

/* Adds a tensor of sets; its rows are padded as the graph's tensor wants them. */
void work_add_rows(struct work *work, tensor_id id, enum work_role role, enum element_type type,
                   uint64_t rows, uint32_t width, uint32_t stride);
/* Adds a u32 input of `count` words. */
void work_add_words(struct work *work, tensor_id id, uint64_t count, enum work_fill fill,
                    uint32_t value);
/* The tensor of the graph that the sets own; never NULL for an id that was added. */
const struct work_tensor *work_find(const struct work *work, tensor_id id);
/* Reads columns [0, width) of a row of an output of set 0. */
status work_read_row(struct work *work, tensor_id id, uint64_t row, double *out);
/* Reads all words of an input of set 0. */
status work_read_words(struct work *work, tensor_id id, uint32_t *out);
/* Adds a row to the error. */
void work_compare(struct work_error *error, const double *row, const double *reference,
                  uint32_t width);
/* Milliseconds of a clock that never goes back. */
double bench_clock_ms(void);

#endif
