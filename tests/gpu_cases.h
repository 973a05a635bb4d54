/* gpu_cases: what the suites of the gpu layer share: a device that is validated, and a dispatch to
 * try things with. */
#ifndef GPU_CASES_H
#define GPU_CASES_H

#include "gpu/gpu.h"
#include "support.h"

/* The device of a test: opened by gpu_case_setup, closed by gpu_case_teardown, which fails the test
 * when validation found an error or a buffer is still alive. For tcase_add_checked_fixture. */
extern struct gpu_device *test_device;
void gpu_case_setup(void);
void gpu_case_teardown(void);

/* Fails the test, with the last error's text, when `result` is no success. */
#define ck_assert_ok(result)                                                                       \
    do {                                                                                           \
        status status_ = (result);                                                                 \
        ck_assert_msg(status_ == STATUS_OK, #result ": %s", test_logger()->error);                 \
    } while (0)

/* A failure with this status whose text contains `part`. */
#define ck_assert_fails(result, code, part)                                                        \
    do {                                                                                           \
        status status_ = (result);                                                                 \
        ck_assert_msg(status_ == (code), #result ": %s", status_text(status_));                    \
        ck_assert_msg(strstr(test_logger()->error, part), "'%s' lacks '%s'", test_logger()->error, \
                      part);                                                                       \
    } while (0)

/* A buffer in device memory. */
struct gpu_buffer *device_buffer(uint64_t size);

/* Records the call and runs it. */
struct op_call;
void run_op_call(const struct op_call *call);

/* ---- doubling: C = 2 A, by the linear layer with 2 I for its weights ----
 * Rows of one quad, 64 of them an item. The dispatch has a span. */

#define DOUBLE_ROWS      64
#define DOUBLE_ITEM_SIZE (DOUBLE_ROWS * 16) /* bytes of A, and of C, that an item touches */

struct doubling {
    struct gpu_dispatch dispatch;
    struct linear_params push;
    struct gpu_buffer *weights;
};

/* The caller destroys doubling->weights. */
void doubling_init(struct doubling *doubling);
/* Points it at bytes of two buffers and sets its items from `size`, a multiple of 16. */
void doubling_set(struct doubling *doubling, struct gpu_buffer *a, uint64_t a_offset,
                  struct gpu_buffer *c, uint64_t c_offset, uint64_t size);

#endif
