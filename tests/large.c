/* large: writes the input of an attention that is larger than the memory that it may take, and
 * checks some rows of what came out against the specification's formulas in double precision.
 * usage: large write IN.safetensors ROWS | large check IN.safetensors OUT.safetensors */
#include "model/safetensors.h"
#include "ops/random.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 64, HEADS = 4, SAMPLES = 2000 };
static const uint32_t rates[HEADS] = {1, 2, 4, 8};
/* Of the relative error, and of the logits of heads that rounding may confuse. */
static const double tolerance = 2e-5, margin = 1e-4;

static void report(void *user, enum log_level level, const char *text)
{
    (void)user;
    if (level == LOG_ERROR)
        fprintf(stderr, "large: %s\n", text);
}

static struct logger logger = {.write = report};

/* ---- input ---- */

/* Uniform numbers in [-1, 1) with some drift, so that no two stretches are alike. */
static void fill(const struct st_tensor *tensor, struct random *random)
{
    float *numbers = (float *)(uintptr_t)tensor->data;
    for (uint64_t i = 0; i < tensor->elements; i++) {
        float drift = 0.5F * (float)i / (float)tensor->elements;
        numbers[i] = (float)(int32_t)random_u32(random) * 0x1p-31F + drift;
    }
}

static status write_input(const char *path, uint64_t rows)
{
    struct random random = random_seed(1);
    struct st_tensor tensors[] = {
        {.name = "q", .dims = 4, .shape = {1, 1, rows, WIDTH}, .elements = rows * WIDTH},
        {.name = "k", .dims = 5, .shape = {1, 1, 1, rows, WIDTH}, .elements = rows * WIDTH},
        {.name = "v", .dims = 5, .shape = {1, 1, 1, rows, WIDTH}, .elements = rows * WIDTH},
        {.name = "router.weight", .dims = 3, .shape = {1, HEADS, WIDTH}, .elements = HEADS * WIDTH},
    };
    struct st_draft draft;
    for (size_t i = 0; i < ARRAY_SIZE(tensors); i++) {
        tensors[i].type = ST_F32;
        tensors[i].bytes = 4 * tensors[i].elements;
    }
    status result = st_draft_open(&logger, path, tensors, ARRAY_SIZE(tensors), NULL, 0, &draft);
    if (result)
        return result;
    for (size_t i = 0; i < ARRAY_SIZE(tensors); i++)
        fill(&tensors[i], &random);
    return st_draft_commit(&draft);
}

/* ---- check ---- */

struct state {
    double s[WIDTH][WIDTH], z[WIDTH];
};

static double feature(double x)
{
    return x > 0 ? x + 1 : exp(x);
}

/* Adds a segment of `rows` rows. */
static void add_segment(struct state *state, const float *k, const float *v, uint64_t rows)
{
    double x[WIDTH] = {0}, y[WIDTH] = {0};
    for (uint64_t row = 0; row < rows; row++)
        for (uint32_t c = 0; c < WIDTH; c++) {
            x[c] += k[row * WIDTH + c];
            y[c] += v[row * WIDTH + c];
        }
    for (uint32_t f = 0; f < WIDTH; f++) {
        double phi = feature(x[f] / (double)rows);
        state->z[f] += phi;
        for (uint32_t c = 0; c < WIDTH; c++)
            state->s[f][c] += phi * y[c] / (double)rows;
    }
}

/* The chosen head and its probability; false where the choice is too close. */
static bool route(const float *q, const float *weight, uint32_t *head, double *prob)
{
    double logits[HEADS], sum = 0;
    *head = 0;
    for (uint32_t h = 0; h < HEADS; h++) {
        logits[h] = 0;
        for (uint32_t c = 0; c < WIDTH; c++)
            logits[h] += (double)weight[h * WIDTH + c] * q[c];
        if (logits[h] > logits[*head])
            *head = h;
    }
    bool clear = true;
    for (uint32_t h = 0; h < HEADS; h++) {
        clear = clear && (h == *head || logits[*head] - logits[h] > margin);
        sum += exp(logits[h] - logits[*head]);
    }
    *prob = 1 / sum;
    return clear;
}

static void answer(const struct state *state, const float *q, double prob, double y[WIDTH])
{
    double normaliser = 1e-6;
    memset(y, 0, WIDTH * sizeof(*y));
    for (uint32_t f = 0; f < WIDTH; f++) {
        double phi = feature(q[f]);
        normaliser += phi * state->z[f];
        for (uint32_t c = 0; c < WIDTH; c++)
            y[c] += phi * state->s[f][c];
    }
    for (uint32_t c = 0; c < WIDTH; c++)
        y[c] *= prob / normaliser;
}

/* NULL, said, where there is none as it is used here. */
static const float *floats_of(const struct st_file *file, const char *name, uint64_t *elements)
{
    const struct st_tensor *tensor = st_find(file, name);
    const float *floats = tensor ? st_floats(tensor) : NULL;
    if (!floats)
        fail(&logger, STATUS_BAD_INPUT, "%s: no %s of F32", file->path, name);
    *elements = tensor ? tensor->elements : 0;
    return floats;
}

static status compare(const float *q, const float *weight, const struct state states[HEADS],
                      const float *got, uint64_t rows)
{
    double difference = 0, norm = 0, y[WIDTH], prob;
    uint32_t head, counted = 0;
    for (uint64_t i = 0; i < SAMPLES; i++) {
        uint64_t row = i * (rows - 1) / (SAMPLES - 1);
        if (!route(q + row * WIDTH, weight, &head, &prob))
            continue;
        answer(&states[head], q + row * WIDTH, prob, y);
        for (uint32_t c = 0; c < WIDTH; c++) {
            difference += pow(got[row * WIDTH + c] - y[c], 2);
            norm += pow(y[c], 2);
        }
        counted++;
    }
    double error = sqrt(difference / norm);
    printf("%llu rows, %u of them checked: relative error %.2e, at most %.0e\n",
           (unsigned long long)rows, counted, error, tolerance);
    if (counted < SAMPLES / 2 || !(error <= tolerance))
        return fail(&logger, STATUS_BAD_INPUT, "the result is wrong");
    return STATUS_OK;
}

static status check(const struct st_file *in, const struct st_file *out)
{
    static struct state states[HEADS];
    uint64_t count, elements;
    const float *q = floats_of(in, "q", &count), *k = floats_of(in, "k", &elements);
    const float *v = floats_of(in, "v", &elements);
    const float *weight = floats_of(in, "router.weight", &elements);
    const float *y = floats_of(out, "y", &elements);
    uint64_t rows = count / WIDTH;
    if (!q || !k || !v || !weight || !y)
        return STATUS_BAD_INPUT;
    if (elements != count)
        return fail(&logger, STATUS_BAD_INPUT, "%s: y has not as many numbers as q", out->path);
    for (uint32_t head = 0; head < HEADS; head++)
        for (uint64_t first = 0; first < rows; first += rates[head])
            add_segment(&states[head], k + first * WIDTH, v + first * WIDTH,
                        size_min(rates[head], rows - first));
    return compare(q, weight, states, y, rows);
}

static status check_files(const char *in_path, const char *out_path)
{
    struct st_file in, out;
    status result = st_open(&logger, in_path, &in);
    if (result)
        return result;
    result = st_open(&logger, out_path, &out);
    if (!result) {
        result = check(&in, &out);
        st_finish(&out);
    }
    st_finish(&in);
    return result;
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "write"))
        return write_input(argv[2], strtoull(argv[3], NULL, 10)) != STATUS_OK;
    if (argc == 4 && !strcmp(argv[1], "check"))
        return check_files(argv[2], argv[3]) != STATUS_OK;
    fprintf(stderr, "usage: large write IN ROWS | large check IN OUT\n");
    return 2;
}
