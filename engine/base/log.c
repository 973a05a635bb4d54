/* log: status texts, messages of one line, the last failure's reason. */
#include "base/base.h"
#include <stdio.h>
#include <string.h>

static const char *const status_texts[STATUS_COUNT] = {
    [STATUS_OK] = "done",
    [STATUS_INVALID_ARGUMENT] = "invalid argument",
    [STATUS_BAD_INPUT] = "bad input",
    [STATUS_IO] = "input or output failed",
    [STATUS_OUT_OF_HOST_MEMORY] = "out of host memory",
    [STATUS_OUT_OF_DEVICE_MEMORY] = "out of device memory",
    [STATUS_NO_DEVICE] = "no usable Vulkan device",
    [STATUS_DEVICE_LOST] = "device lost",
    [STATUS_UNSUPPORTED] = "not supported",
    [STATUS_DRIVER] = "a Vulkan call failed",
    [STATUS_CANCELLED] = "cancelled",
};

const char *status_text(status code)
{
    return (unsigned)code < STATUS_COUNT ? status_texts[code] : "unknown status";
}

/* Formats one line. Messages quote names from files, so control characters become '?'. */
PRINTF_LIKE(3, 0)
static void format_line(char *text, size_t size, const char *format, va_list arguments)
{
    static const char cut[] = "...";
    int length = vsnprintf(text, size, format, arguments);
    if (length < 0)
        text[0] = '\0';
    else if ((size_t)length >= size)
        memcpy(text + size - sizeof(cut), cut, sizeof(cut));
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

void log_line(struct logger *log, enum log_level level, const char *format, ...)
{
    if (!log || !log->write)
        return;
    char text[sizeof(log->error)];
    va_list arguments;
    va_start(arguments, format);
    format_line(text, sizeof(text), format, arguments);
    va_end(arguments);
    log->write(log->user, level, text);
}

status fail(struct logger *log, status code, const char *format, ...)
{
    if (!log)
        return code;
    char text[sizeof(log->error)]; /* the arguments may include log->error itself */
    va_list arguments;
    va_start(arguments, format);
    format_line(text, sizeof(text), format, arguments);
    va_end(arguments);
    memcpy(log->error, text, strlen(text) + 1);
    if (log->write)
        log->write(log->user, LOG_ERROR, log->error);
    return code;
}
