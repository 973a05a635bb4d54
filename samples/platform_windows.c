#include "platform.h"
#include <fcntl.h>
#include <io.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <shellapi.h>

#define LINE_STEP     256
#define USUAL_COLUMNS 80

/* The arguments that main gets went through the old code page: letters were lost. */
char **platform_start(int argc, char **argv)
{
    (void)argc, (void)argv;
    FILE *const streams[] = {stdin, stdout, stderr};
    for (int i = 0; i < 3; i++) {
        _setmode(_fileno(streams[i]), _O_BINARY);
    }
    SetConsoleOutputCP(CP_UTF8);
    int count = 0;
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &count);
    char **out = wide ? calloc((size_t)count + 1, sizeof(*out)) : NULL;
    for (int i = 0; out && i < count; i++) {
        int size = WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, NULL, 0, NULL, NULL);
        out[i] = size > 0 ? malloc((size_t)size) : NULL;
        if (!out[i]) {
            out = NULL; /* the program ends now */
            break;
        }
        WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, out[i], size, NULL, NULL);
    }
    LocalFree(wide);
    return out;
}

void platform_catch_interrupt(void (*handler)(int signal))
{
    signal(SIGINT, handler); /* Windows forgets the handler when it calls it */
}

void platform_leave(const char *text, int code)
{
    _write(_fileno(stderr), text, (unsigned)strlen(text));
    _exit(code);
}

bool platform_same_file(const char *path, const char *other)
{
    char whole[2 * MAX_PATH], second[2 * MAX_PATH];
    return _access(path, 0) == 0 && _fullpath(whole, path, sizeof(whole)) &&
           _fullpath(second, other, sizeof(second)) && _stricmp(whole, second) == 0;
}

int platform_columns(FILE *stream)
{
    CONSOLE_SCREEN_BUFFER_INFO info;
    HANDLE handle = (HANDLE)_get_osfhandle(_fileno(stream));
    return GetConsoleScreenBufferInfo(handle, &info) ? info.srWindow.Right - info.srWindow.Left + 1
                                                     : USUAL_COLUMNS;
}

bool platform_is_terminal(FILE *stream)
{
    HANDLE handle = (HANDLE)_get_osfhandle(_fileno(stream));
    DWORD mode;
    return GetConsoleMode(handle, &mode) &&
           SetConsoleMode(handle, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
}

ssize_t platform_getline(char **line, size_t *space, FILE *stream)
{
    size_t size = 0;
    for (int c; (c = getc(stream)) != EOF;) {
        if (size + 2 > *space) {
            size_t wanted = *space > SIZE_MAX / 2 ? 0 : 2 * *space + LINE_STEP;
            char *longer = wanted ? realloc(*line, wanted) : NULL;
            if (!longer) {
                return -1;
            }
            *line = longer;
            *space = wanted;
        }
        (*line)[size++] = (char)c;
        if (c == '\n') {
            break;
        }
    }
    if (size > 0) {
        (*line)[size] = 0;
    }
    return size > 0 && !ferror(stream) ? (ssize_t)size : -1;
}
