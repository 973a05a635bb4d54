#include "classify_print.h"
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool probabilities(float *logits, uint32_t count)
{
    double sum = 0, best = logits[0];
    for (uint32_t i = 0; i < count; i++) {
        best = logits[i] > best ? logits[i] : best; /* what is no number shows in the sum */
    }
    for (uint32_t i = 0; i < count; i++) {
        sum += exp(logits[i] - best);
    }
    for (uint32_t i = 0; i < count; i++) {
        logits[i] = (float)(exp(logits[i] - best) / sum);
    }
    return isfinite(best) && isfinite(sum);
}

struct ranked {
    uint32_t label;
    float probability;
};

/* The most probable first, of equals the lowest label. */
static int compare_ranked(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    int order = (b->probability > a->probability) - (b->probability < a->probability);
    return order ? order : (a->label > b->label) - (a->label < b->label);
}

/* A name or a label may have any bytes; those that part lines and columns are written as C writes
 * them. */
static void print_word(const char *word)
{
    for (; *word; word++) {
        switch (*word) {
        case '\t':
            fputs("\\t", stdout);
            break;
        case '\n':
            fputs("\\n", stdout);
            break;
        case '\r':
            fputs("\\r", stdout);
            break;
        default:
            putchar(*word);
        }
    }
}

static void print_text(const char *name, const struct ranked *ranked, uint32_t top,
                       const char *const *labels)
{
    print_word(name);
    for (uint32_t i = 0; i < top; i++) {
        putchar('\t');
        print_word(labels[ranked[i].label]);
        printf("\t%.4f", ranked[i].probability);
    }
    printf("\n");
}

/* A file's name may be any bytes, JSON is UTF-8: what is not ASCII is replaced where need be. */
static json_t *name_json(const char *name)
{
    json_t *text = json_string(name);
    char *plain = text ? NULL : strdup(name);
    for (char *at = plain; at && *at; at++) {
        *at = (unsigned char)*at < 0x80 ? *at : '?';
    }
    text = text ? text : json_string(plain);
    free(plain);
    return text;
}

static status print_json(struct logger *log, const char *name, const struct ranked *ranked,
                         uint32_t top, const char *const *labels)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < top; i++) {
        json_array_append_new(list, json_pack("{s:s, s:f}", "label", labels[ranked[i].label],
                                              "probability", ranked[i].probability));
    }
    json_t *object =
        json_pack("{s:o, s:s, s:f, s:o}", "name", name_json(name), "label", labels[ranked[0].label],
                  "probability", ranked[0].probability, "top", list);
    char *line = object ? json_dumps(object, JSON_REAL_PRECISION(6)) : NULL;
    json_decref(object);
    if (!line) {
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory for the result as JSON", name);
    }
    puts(line);
    free(line);
    return STATUS_OK;
}

status print_result(struct logger *log, const struct options *options,
                    const adamra_model_info *model, const struct text *text,
                    const float *probability, uint32_t *best)
{
    uint32_t count = model->num_labels;
    uint32_t top = options->top < count ? options->top : count;
    struct ranked *ranked = malloc(count * sizeof(*ranked));
    if (!ranked) {
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory for %" PRIu32 " labels",
                    text->name, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        ranked[i] = (struct ranked){i, probability[i]};
    }
    qsort(ranked, count, sizeof(*ranked), compare_ranked);
    *best = ranked[0].label;
    status result = STATUS_OK;
    if (options->json) {
        result = print_json(log, text->name, ranked, top, model->labels);
    } else {
        print_text(text->name, ranked, top, model->labels);
    }
    free(ranked);
    return result;
}

void print_accuracy(const struct options *options, uint32_t right, uint32_t all)
{
    double share = (double)right / all;
    if (options->json) {
        printf("{\"accuracy\": %.4f, \"right\": %" PRIu32 ", \"all\": %" PRIu32 "}\n", share, right,
               all);
    } else {
        printf("accuracy %" PRIu32 "/%" PRIu32 " %.4f\n", right, all, share);
    }
}
