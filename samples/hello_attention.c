/* The smallest use of adamra: self-attention of 1,000 positions at four resolutions. */
#include <adamra.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 1000, WIDTH = 32, HEADS = 4 };

static void print_log(void *user, adamra_log_level level, const char *text)
{
    (void)user;
    if (level <= ADAMRA_LOG_WARNING) {
        fprintf(stderr, "%s\n", text);
    }
}

/* Made-up numbers: a slow wave. */
static void fill(float *values, int count, float phase)
{
    for (int i = 0; i < count; i++) {
        values[i] = sinf(phase + 0.01f * (float)i);
    }
}

static adamra_status attend(adamra_context *context, const float *x, const float *logits, float *y)
{
    const uint32_t rates[HEADS] = {1, 2, 4, 8};
    const adamra_attention_params params = {
        .queries = N,
        .keys = N,
        .key_width = WIDTH,
        .value_width = WIDTH,
        .heads = HEADS,
        .rates = rates,
        .shared_keys = 1,
        .shared_values = 1,
    };
    /* Queries, keys and values are the input itself: a layer would project it first. */
    const adamra_attention_io io = {
        .q = {.data = x},
        .k = {.data = x},
        .v = {.data = x},
        .router_logits = {.data = logits},
        .y = {.data = y},
    };
    adamra_attention *attention = NULL;
    adamra_status status = adamra_attention_create(context, &params, &attention);
    if (status == ADAMRA_OK) {
        status = adamra_attention_run(attention, &io, NULL);
    }
    adamra_attention_destroy(attention);
    return status;
}

int main(void)
{
    static float x[N * WIDTH], logits[N * HEADS], y[N * WIDTH];
    const adamra_context_params params = {.log = print_log};
    adamra_context *context = NULL;
    adamra_device_info device;
    adamra_status status = adamra_context_create(&params, &context);
    if (status == ADAMRA_OK) {
        status = adamra_context_device(context, &device);
    }
    if (status == ADAMRA_OK) {
        fill(x, N * WIDTH, 0);
        fill(logits, N * HEADS, 1);
        status = attend(context, x, logits, y);
    }
    if (status == ADAMRA_OK) {
        printf("%d positions on %s\n", N, device.name);
        for (int i = 0; i < N; i += 333) {
            const float *row = y + i * WIDTH;
            printf("y[%3d] = %9.6f %9.6f %9.6f ...\n", i, row[0], row[1], row[2]);
        }
    }
    adamra_context_destroy(context);
    return status == ADAMRA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
