#include "texts.h"
#include "base/system.h"
#include "platform.h"
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Appends a copy of the text's first `limit` bytes. */
static status add_text(struct logger *log, struct text_list *list, const char *name,
                       const void *bytes, size_t size, uint32_t limit, uint32_t label)
{
    if (size == 0) {
        return fail(log, STATUS_BAD_INPUT, "%s: the text is empty; expected at least one byte",
                    name);
    }
    if (list->count == list->space) {
        uint32_t space = list->space ? 2 * list->space : 64;
        struct text *items = realloc(list->items, space * sizeof(*items));
        if (!items) {
            return fail(log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory for another text", name);
        }
        list->items = items;
        list->space = space;
    }
    size_t kept = size < limit ? size : limit;
    struct text *text = &list->items[list->count++];
    *text = (struct text){.size = (uint32_t)kept, .label = label, .cut = kept < size};
    text->name = strdup(name);
    text->bytes = malloc(kept);
    if (!text->name || !text->bytes) {
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory for %zu bytes", name, kept);
    }
    memcpy(text->bytes, bytes, kept);
    return STATUS_OK;
}

static status open_input(struct logger *log, const char *name, FILE **out)
{
    *out = stdin;
    if (strcmp(name, "-") != 0) {
        int descriptor = system_open(name, SYSTEM_READ);
        *out = descriptor >= 0 ? fdopen(descriptor, "rb") : NULL;
    }
    return *out ? STATUS_OK
                : fail(log, STATUS_IO, "%s: cannot be opened: %s", name, strerror(errno));
}

static void close_input(FILE *stream)
{
    if (stream != stdin) {
        fclose(stream);
    }
}

static status add_file(struct logger *log, struct text_list *list, const char *name, uint32_t limit)
{
    FILE *stream;
    status result = open_input(log, name, &stream);
    if (result != STATUS_OK) {
        return result;
    }
    size_t room = (size_t)limit + 1; /* one more shows that the text is longer */
    uint8_t *bytes = malloc(room);
    size_t size = bytes ? fread(bytes, 1, room, stream) : 0;
    if (!bytes) {
        result = fail(log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory for %zu bytes", name, room);
    } else if (ferror(stream)) {
        result = fail(log, STATUS_IO, "%s: cannot be read: %s", name, strerror(errno));
    } else {
        result = add_text(log, list, name, bytes, size, limit, NO_LABEL);
    }
    free(bytes);
    close_input(stream);
    return result;
}

/* ---- JSON lines ---- */

/* A JSON string may hold a 0, which no label does. */
static uint32_t find_label(const adamra_model_info *model, const json_t *label)
{
    const char *text = json_string_value(label);
    for (uint32_t i = 0; text && i < model->num_labels; i++) {
        if (strlen(text) == json_string_length(label) && !strcmp(model->labels[i], text)) {
            return i;
        }
    }
    return NO_LABEL;
}

/* One {"text", "label"}; `place` is FILE:LINE. */
static status add_json_line(struct logger *log, struct text_list *list, const char *place,
                            const char *line, size_t size, const adamra_model_info *model)
{
    json_error_t error;
    /* Of other keys any number may be there, also one that no integer here holds. */
    json_t *object = json_loadb(
        line, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    const json_t *text = json_object_get(object, "text");
    const json_t *label = json_object_get(object, "label");
    uint32_t index = find_label(model, label);
    status result;
    if (!object) {
        result = fail(log, STATUS_BAD_INPUT, "%s: %s; expected {\"text\", \"label\"}", place,
                      error.text);
    } else if (!json_is_string(text) || !json_is_string(label)) {
        result = fail(log, STATUS_BAD_INPUT, "%s: key \"%s\" is missing or no string", place,
                      json_is_string(text) ? "label" : "text");
    } else if (index == NO_LABEL) {
        result = fail(log, STATUS_BAD_INPUT,
                      "%s: label \"%s\" is none of the model's %" PRIu32 " labels", place,
                      json_string_value(label), model->num_labels);
    } else {
        result = add_text(log, list, place, json_string_value(text), json_string_length(text),
                          model->max_tokens, index);
    }
    json_decref(object);
    return result;
}

static bool is_blank(const char *line, size_t size)
{
    return strspn(line, " \t\r\n") == size;
}

/* Room for FILE:LINE; NULL when there is no memory. */
static char *make_place(const char *name, uint64_t number)
{
    size_t size = strlen(name) + 24;
    char *place = malloc(size);
    if (place) {
        snprintf(place, size, "%s:%" PRIu64, name, number);
    }
    return place;
}

/* Some editors begin a file with U+FEFF, which is no JSON. */
static size_t byte_order_mark(const char *line, size_t size)
{
    return size >= 3 && !memcmp(line, "\xef\xbb\xbf", 3) ? 3 : 0;
}

static status add_json_lines(struct logger *log, struct text_list *list, const char *name,
                             const adamra_model_info *model)
{
    FILE *stream;
    status result = open_input(log, name, &stream);
    if (result != STATUS_OK) {
        return result;
    }
    char *line = NULL;
    size_t space = 0;
    ssize_t size;
    uint32_t before = list->count;
    for (uint64_t number = 1;
         result == STATUS_OK && (size = platform_getline(&line, &space, stream)) > 0; number++) {
        char *place = make_place(name, number);
        size_t mark = number == 1 ? byte_order_mark(line, (size_t)size) : 0;
        const char *text = line + mark;
        if (!place) {
            result = fail(log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory for its name", name);
        } else if (!is_blank(text, (size_t)size - mark)) {
            result = add_json_line(log, list, place, text, (size_t)size - mark, model);
        }
        free(place);
    }
    if (result == STATUS_OK && !feof(stream)) {
        result = fail(log, STATUS_IO, "%s: cannot be read: %s", name, strerror(errno));
    } else if (result == STATUS_OK && list->count == before) {
        result = fail(log, STATUS_BAD_INPUT,
                      "%s: holds no text; expected lines of {\"text\", \"label\"}", name);
    }
    free(line);
    close_input(stream);
    return result;
}

/* ---- all of it ---- */

static void warn_of_cuts(struct logger *log, const struct text_list *list, uint32_t limit)
{
    uint32_t cuts = 0;
    const char *first = NULL;
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->items[i].cut) {
            first = first ? first : list->items[i].name;
            cuts++;
        }
    }
    if (cuts > 0) {
        log_line(log, LOG_WARNING,
                 "%s%s longer than the model's %" PRIu32 " bytes: cut (%" PRIu32 " of %" PRIu32
                 " texts)",
                 first, cuts > 1 ? " and others are" : " is", limit, cuts, list->count);
    }
}

status texts_read(struct logger *log, const struct options *options, const adamra_model_info *model,
                  struct text_list *list)
{
    status result = STATUS_OK;
    *list = (struct text_list){0};
    /* operands.items[0] is the model */
    for (uint32_t i = 1; result == STATUS_OK && i < options->operands.count; i++) {
        result = add_file(log, list, options->operands.items[i], model->max_tokens);
    }
    for (uint32_t i = 0; result == STATUS_OK && i < options->texts.count; i++) {
        const char *text = options->texts.items[i];
        result = add_text(log, list, "text", text, strlen(text), model->max_tokens, NO_LABEL);
    }
    for (uint32_t i = 0; result == STATUS_OK && i < options->jsonl.count; i++) {
        result = add_json_lines(log, list, options->jsonl.items[i], model);
    }
    if (result == STATUS_OK) {
        warn_of_cuts(log, list, model->max_tokens);
    }
    return result;
}

void texts_finish(struct text_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].bytes);
    }
    free(list->items);
    *list = (struct text_list){0};
}
