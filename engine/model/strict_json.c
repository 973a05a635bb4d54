#include "model/strict_json.h"
#include <math.h>
#include <stdio.h>

#define WHOLE_MOST 9007199254740992.0 /* 2^53: doubles hold all integers up to there */

/* The integer that a real read in its place is; NULL: it is none, or there is no memory. */
static json_t *whole(const json_t *value)
{
    double x = json_is_real(value) ? json_real_value(value) : NAN;
    return fabs(x) <= WHOLE_MOST && x == floor(x) ? json_integer((json_int_t)x) : NULL;
}

static void restore_integers(json_t *value)
{
    const char *key;
    json_t *item, *integer;
    size_t index;
    json_object_foreach(value, key, item)
    {
        restore_integers(item);
        integer = whole(item);
        if (integer)
            json_object_iter_set_new(value, json_object_key_to_iter(key), integer);
    }
    json_array_foreach(value, index, item)
    {
        restore_integers(item);
        integer = whole(item);
        if (integer)
            json_array_set_new(value, index, integer);
    }
}

/* Texts with an integer that jansson has no type for, maybe of a key that nobody reads, are read
 * again with doubles in place of all integers. */
static json_t *load(const char *text, size_t size, json_error_t *error)
{
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, error);
    if (root || !error->text[0])
        return root;
    root = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, error);
    restore_integers(root);
    return root;
}

status strict_json_parse(struct logger *log, const char *path, const char *what, const char *text,
                         size_t size, json_t **out)
{
    json_error_t error;
    *out = load(text, size, &error);
    if (!*out) {
        if (!error.text[0]) /* jansson has words for everything but a failed allocation */
            return fail(log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory for the %s", path, what);
        return fail(log, STATUS_BAD_INPUT, "%s: %s is not valid JSON: %s (byte %d of it)", path,
                    what, error.text, error.position);
    }
    if (json_is_object(*out))
        return STATUS_OK;
    json_decref(*out);
    *out = NULL;
    return fail(log, STATUS_BAD_INPUT, "%s: %s: expected a JSON object", path, what);
}

static const char *const type_texts[] = {
    [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "a list", [JSON_STRING] = "a string",
    [JSON_INTEGER] = "an integer", [JSON_REAL] = "a real",  [JSON_TRUE] = "true",
    [JSON_FALSE] = "false",        [JSON_NULL] = "null",
};

const char *strict_json_text(const json_t *value, char *text, size_t size)
{
    if (!value) {
        snprintf(text, size, "nothing");
        return text;
    }
    size_t length = json_dumpb(value, text, size - 1, JSON_ENCODE_ANY | JSON_COMPACT);
    if (length > 0 && length < size)
        text[length] = '\0';
    else
        snprintf(text, size, "%s", type_texts[json_typeof(value)]);
    return text;
}
