/* model_cases: model folders of tests/golden and what they must give; model folders that tests
 * change and write. A failure fails the test that asked. */
#ifndef MODEL_CASES_H
#define MODEL_CASES_H

#include "model/safetensors.h"
#include "support.h"

/* A batch and the logits computed by the PyTorch definition. */
struct model_cases {
    uint32_t batch, n, num_labels;
    int32_t *tokens;   /* [batch, n] */
    uint32_t *lengths; /* [batch] */
    float *logits;     /* [batch, num_labels] */
};

/* TESTS_DIR/folder/name, as test_path. */
const char *model_file(const char *folder, const char *name);
/* Reads tokens, lengths and logits of a safetensors file. */
struct model_cases model_cases_load(const char *path);
void model_cases_finish(struct model_cases *cases);

/* norm(got - expected) / norm(expected) */
double relative_error(const float *got, const float *expected, size_t count);

/* A new folder below TMPDIR or /tmp; static storage that lives until the next call. */
const char *temporary_folder(void);
void remove_model(const char *folder);
void copy_file(const char *from, const char *folder, const char *name);

/* One change to a model file; `tensor` names which. */
enum model_change {
    CHANGE_NOTHING,
    CHANGE_DROP,      /* the tensor is missing */
    CHANGE_SHAPE,     /* its two dimensions are swapped, or it gets a second one */
    CHANGE_DTYPE,     /* I32 instead of F32 */
    CHANGE_VALUE,     /* its last element is `value` */
    CHANGE_ALL_F16,   /* all tensors are stored as F16 */
    CHANGE_ALL_BF16,  /* all tensors are stored as BF16, truncated */
    CHANGE_TRUNCATED, /* all tensors are F32 that BF16 holds: CHANGE_ALL_BF16's numbers */
    CHANGE_HALVED     /* all tensors are F32 that F16 holds: CHANGE_ALL_F16's numbers */
};

/* Writes FOLDER/model.safetensors: the file `from` with one change. */
void write_changed_model(const char *from, const char *folder, enum model_change change,
                         const char *tensor, float value);

#endif
