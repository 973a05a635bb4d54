/* strict_json: JSON texts of files, parsed with jansson and no leniency. */
#ifndef STRICT_JSON_H
#define STRICT_JSON_H

#include "base/base.h"
#include <jansson.h>

/* Parses an object: duplicate keys, NUL characters, text that is not UTF-8 and anything behind the
 * object are STATUS_BAD_INPUT. `what` names the text in messages ("header"). The caller releases
 * *out by json_decref. */
status strict_json_parse(struct logger *log, const char *path, const char *what, const char *text,
                         size_t size, json_t **out);
/* The value for a message, as JSON, or its type in words when that is long; returns text. NULL is
 * "nothing". size >= 32. */
const char *strict_json_text(const json_t *value, char *text, size_t size);

#endif
