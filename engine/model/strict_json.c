#include "model/strict_json.h"
#include <stdio.h>

status strict_json_parse(struct logger *log, const char *path, const char *what, const char *text,
                         size_t size, json_t **out)
{
    json_error_t error;
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
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
