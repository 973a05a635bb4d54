/* ops: one op = formula, reference loops in C (double sums), GPU recording, candidate kernels.
 *
 * An op file holds one `const struct op`; ops.c lists them. A candidate names a shader, what it
 * needs and its constants; candidates stand best first. `op_choose` takes the first that the device
 * satisfies and that is meant for its class, unless another one was measured to be faster there
 * (tune.h); tests, selftest and bench run all that it satisfies.
 * The layout of every tensor (quads, strides) is in params.h. */
#ifndef OPS_H
#define OPS_H

#include "gpu/gpu.h"

#define OP_MAX_TENSORS 7
#define OP_MAX_TILES   5
#define OP_KINDS       4

enum element_type { ELEMENT_F32 = TYPE_F32, ELEMENT_F16 = TYPE_F16, ELEMENT_U32 = TYPE_U32 };

static inline uint32_t element_bytes(enum element_type type)
{
    return type == ELEMENT_F16 ? 2 : 4;
}

/* A region of memory: of a device buffer, or of the host for the reference loops. */
struct tensor {
    enum element_type type;
    uint64_t elements; /* padding included */
    struct gpu_buffer *buffer;
    uint64_t offset;   /* bytes into buffer, a multiple of 16 */
    void *host;        /* reference only; of a graph's constants always */
};

union op_params {
    struct item_range items;
    struct linear_params linear;
    struct norm_params norm;
    struct embed_params embed;
    struct pool_params pool;
    struct state_params state;
    struct reduce_params reduce;
    struct route_params route;
    struct readout_params readout;
    struct softmax_params softmax;
    struct merge_params merge;
    struct repack_params repack;
};

#define OP_MAX_OPTIONS 6

/* One use of an op: all that the reference and the kernels need. */
struct op_call {
    const struct op *op;
    union op_params params;
    uint32_t options[OP_MAX_OPTIONS];     /* OPTION_... */
    struct tensor tensors[OP_MAX_TENSORS]; /* unused ones: zero; another one is bound */
};

/* What a candidate needs; checked by op_satisfies. */
enum op_need {
    NEED_NOTHING = 0,
    NEED_SHUFFLE = 1,      /* subgroup shuffles; a CPU device, whose subgroups have exactly the
                            * candidate's `group` invocations: a workgroup is one subgroup */
    NEED_TEXEL = 2,        /* texel buffer views of >= 2^24 elements */
    NEED_INT64 = 4,        /* shaderInt64 */
    NEED_QUAD = 8,         /* subgroup operations within quads */
    NEED_MATRIX_NV = 16,   /* cooperative matrices of halves with sums in f32, in either dialect; */
    NEED_MATRIX_KHR = 32,  /* the tiles are M, N, K and how many subgroups the group has */
    NEED_HINTS = 64,       /* of the call, not the device: its options that the op calls hints */
    NEED_DEPTH = 128,      /* of the call: the op's depth; pipelines serve one alone */
};

/* The devices that a candidate is meant for. SPARE: those that have so few storage buffers that
 * nothing else runs there. TUNED: those where it was measured to be faster than the others. NONE:
 * none, it stands in for another one in checks. */
enum op_class { CLASS_ANY, CLASS_GPU, CLASS_CPU, CLASS_SPARE, CLASS_TUNED, CLASS_NONE };

/* Tiles of candidates with cooperative matrices. */
enum { TILE_M, TILE_N, TILE_K, TILE_SUBGROUPS };

struct op_candidate {
    const char *name; /* unique in its op */
    enum gpu_shader shader;
    uint32_t need; /* enum op_need bits */
    enum op_class target;
    uint32_t group;               /* invocations a workgroup */
    uint32_t tiles[OP_MAX_TILES]; /* TILE constants, meaning given by the op */
    /* Further conditions on the call's shape; NULL: none. */
    bool (*accepts)(const struct op_call *call, const struct op_candidate *candidate);
};

/* What tells calls apart whose kernels are measured apart (choices.h), beside op and storage type:
 * widths in quads and a kind, below OP_KINDS; never lengths. */
struct op_shape_class {
    uint32_t widths[2], kind;
};

struct random; /* random.h */

struct op {
    const char *name;
    uint32_t tensor_count;
    uint32_t params_size;
    uint32_t writes; /* bit i: tensor i is an output */
    uint32_t raw;    /* bit i: kernels address tensor i in 4 byte words, not in quads */
    uint32_t hints;  /* bit i: option i says what is in the call anyway; 0 to candidates without
                      * NEED_HINTS, whose pipelines then serve all values */
    const struct op_candidate *candidates;
    uint32_t candidate_count;
    /* How deep sums are; NULL: no candidate needs to know. */
    uint32_t (*depth)(const struct op_call *call);
    /* Runs the formula on tensors[].host; sums in double. */
    void (*reference)(const struct op_call *call);
    /* Workgroups of this candidate for this call. */
    uint64_t (*items)(const struct op_call *call, const struct op_candidate *candidate);
    /* Bytes of a tensor that a range of items touches (gpu_span_fn; span_data is the op_dispatch
     * below; may pass the tensor's end, is not asked for unused tensors); NULL: all of every
     * tensor, which must then fit one binding each. */
    gpu_span_fn span;
    /* Iterations of all loops of one invocation together, at most (limits.loop_iterations); NULL:
     * a few hundred, whatever the call. */
    uint64_t (*iterations)(const struct op_call *call, const struct op_candidate *candidate);
    /* Operations (multiply and add are two) and bytes that must move, for profiles. Of memory it
     * may read constants' (graph.h). */
    void (*cost)(const struct op_call *call, double *operations, double *bytes);
    /* Draws a random legal call: params, options, and type and elements of each tensor; `type` is
     * the storage type of what is not fixed. For tests and selftest. */
    void (*example)(struct random *random, enum element_type type, struct op_call *call);
    /* Makes the host inputs of an example legal after they were filled with any floats: lengths,
     * indices, a positive normaliser. NULL: nothing to do. */
    void (*prepare)(struct random *random, const struct op_call *call);
    /* The class of a call, for choices.h; NULL: the op has no choice. */
    struct op_shape_class (*shape_class)(const struct op_call *call);
    /* By how much the reference preferred its value of u32 output element i to the next best;
     * where that is less than rounding, a kernel may choose another. NULL: outputs are exact. */
    double (*margin)(const struct op_call *call, uint64_t element);
};

/* What `span_data` points to. */
struct op_dispatch {
    const struct op_call *call;
    const struct op_candidate *candidate;
};

extern const struct op op_linear, op_norm, op_embed, op_pool, op_state, op_reduce, op_route,
    op_readout, op_softmax, op_merge, op_repack;
extern const struct op *const op_list[];
extern const uint32_t op_count;
/* The row after a candidate that is the same kernel for calls of any size, where its own are larger
 * than those that are drawn; or NULL. */
const struct op_candidate *op_stand_in(const struct op *op, const struct op_candidate *candidate);
const struct op *op_find(const char *name); /* NULL when there is none */

/* Whether the device has all that the candidate needs for this call. */
bool op_satisfies(const struct gpu_device *device, const struct op_call *call,
                  const struct op_candidate *candidate);
/* The candidate that runs where none was measured. Where single items pass what can be bound, one
 * that is satisfied but for that: its recording says what does not fit. NULL: none, which may be
 * only where a tensor that is read as texels where there are four storage buffers lies in a
 * caller's buffer without that usage, or where loops are longer than the driver runs. */
const struct op_candidate *op_usual(const struct gpu_device *device, const struct op_call *call);
/* Fails for a call that has no candidate, and says why. */
status op_refuse(struct gpu_device *device, const struct op_call *call);
/* The candidate that runs by default: the one that was measured to be the fastest, if the device
 * has one for such calls and can run it for this one, else the usual one. */
const struct op_candidate *op_choose(const struct gpu_device *device, const struct op_call *call);
/* The shader of a candidate with the constants that the call asks for, and its pipeline. */
struct gpu_pipeline_key op_pipeline_key(const struct gpu_device *device,
                                        const struct op_call *call,
                                        const struct op_candidate *candidate);
status op_pipeline(struct gpu_device *device, const struct op_call *call,
                   const struct op_candidate *candidate, const struct gpu_pipeline **out);
/* Records the call with a candidate (NULL: op_choose). */
status op_record(struct gpu_commands *commands, const struct op_call *call,
                 const struct op_candidate *candidate);

/* OPTION_SHARED of a state call whose heads of these rates read the same rows; 0 where there are
 * too many, or other rates. */
uint32_t op_shared_rates(const uint32_t *rates, uint32_t heads);

/* ---- for reference loops and spans ---- */

/* Element i of a host tensor; half is converted, rounding to nearest even on set. */
double tensor_get(const struct tensor *tensor, uint64_t element);
void tensor_set(const struct tensor *tensor, uint64_t element, double value);
uint32_t tensor_get_u32(const struct tensor *tensor, uint64_t element);
void tensor_set_u32(const struct tensor *tensor, uint64_t element, uint32_t value);
/* L_b clamped to `limit`. */
uint32_t tensor_length(const struct tensor *lengths, uint32_t b, uint32_t limit);
double feature_map(uint32_t kind, double x); /* FEATURE_... */
double gelu(double x);                       /* exact */

#endif
