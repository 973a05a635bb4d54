#include "base/system.h"
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <wchar.h>
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

double system_clock_ms(void)
{
    LARGE_INTEGER now, rate;
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&rate);
    return (double)now.QuadPart * 1e3 / (double)rate.QuadPart;
}

size_t system_page_size(void)
{
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwPageSize;
}

void system_yield(void)
{
    SwitchToThread();
}

/* ---- paths and errors ---- */

/* malloc'ed; NULL with errno */
static wchar_t *wide(const char *text)
{
    int count = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    wchar_t *out = count > 0 ? malloc((size_t)count * sizeof(*out)) : NULL;
    if (out)
        MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, out, count);
    else
        errno = count > 0 ? ENOMEM : EILSEQ;
    return out;
}

static char *narrow(const wchar_t *text)
{
    int count = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    char *out = count > 0 ? malloc((size_t)count) : NULL;
    if (out)
        WideCharToMultiByte(CP_UTF8, 0, text, -1, out, count, NULL, NULL);
    else
        errno = count > 0 ? ENOMEM : EILSEQ;
    return out;
}

/* The errno for the last failure of a function of Windows. */
static int last_error(void)
{
    switch (GetLastError()) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
        return ENOENT;
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION:
    case ERROR_USER_MAPPED_FILE:
        return EACCES;
    case ERROR_ALREADY_EXISTS:
    case ERROR_FILE_EXISTS:
        return EEXIST;
    case ERROR_DISK_FULL:
        return ENOSPC;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_COMMITMENT_LIMIT:
        return ENOMEM;
    default:
        return EIO;
    }
}

/* ---- files ---- */

bool system_is_separator(char letter)
{
    return letter == '/' || letter == '\\' || letter == ':';
}

int system_open(const char *path, enum system_open how)
{
    static const int flags[] = {[SYSTEM_READ] = _O_RDONLY,
                                [SYSTEM_WRITE] = _O_WRONLY,
                                [SYSTEM_CREATE] = _O_RDWR | _O_CREAT | _O_EXCL};
    wchar_t *name = wide(path);
    if (!name)
        return -1;
    int descriptor = _wopen(name, flags[how] | _O_BINARY | _O_NOINHERIT, _S_IREAD | _S_IWRITE);
    int error = errno;
    free(name);
    errno = error;
    return descriptor;
}

bool system_is_writable(void *begin, size_t size)
{
    const DWORD writable = PAGE_READWRITE | PAGE_WRITECOPY | PAGE_EXECUTE_READWRITE;
    const uint8_t *at = begin, *end = at + size;
    while (at < end) {
        MEMORY_BASIC_INFORMATION info;
        if (!VirtualQuery(at, &info, sizeof(info)) || info.State != MEM_COMMIT ||
            !(info.Protect & writable) || info.Protect & PAGE_GUARD)
            return false;
        at = (const uint8_t *)info.BaseAddress + info.RegionSize;
    }
    return true;
}

int system_map(int descriptor, size_t size, void **memory)
{
    HANDLE file = (HANDLE)_get_osfhandle(descriptor);
    HANDLE mapping = CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL);
    if (!mapping)
        return last_error();
    *memory = MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, size);
    int error = *memory ? 0 : last_error();
    CloseHandle(mapping); /* the view keeps what it needs */
    return error;
}

void system_unmap(void *memory, size_t size)
{
    (void)size;
    UnmapViewOfFile(memory);
}

int system_map_new(int descriptor, size_t size, void **memory)
{
    HANDLE file = (HANDLE)_get_osfhandle(descriptor);
    uint64_t bytes = size;
    HANDLE mapping =
        CreateFileMappingW(file, NULL, PAGE_READWRITE, (DWORD)(bytes >> 32), (DWORD)bytes, NULL);
    if (!mapping) /* which makes the file that long */
        return last_error();
    *memory = MapViewOfFile(mapping, FILE_MAP_WRITE, 0, 0, size);
    CloseHandle(mapping);
    if (*memory)
        return 0;
    return _chsize_s(descriptor, 0) == 0 ? ENODEV : errno;
}

int system_flush(void *memory, size_t size)
{
    return FlushViewOfFile(memory, size) ? 0 : last_error();
}

int system_sync(int descriptor)
{
    return _commit(descriptor) == 0 ? 0 : errno;
}

int system_kind(const char *path, enum system_kind *kind)
{
    wchar_t *name = wide(path);
    if (!name)
        return errno;
    struct _stat64 info;
    int error = _wstat64(name, &info) == 0 ? 0 : errno;
    free(name);
    if (error)
        *kind = SYSTEM_FREE;
    else
        *kind = (info.st_mode & _S_IFMT) == _S_IFREG ? SYSTEM_FILE : SYSTEM_OTHER;
    return error == ENOENT ? 0 : error;
}

/* Links are rare here, and replacing one by a file is what other programs do too. */
char *system_resolve(const char *path)
{
    wchar_t *name = wide(path);
    wchar_t *full = name ? _wfullpath(NULL, name, 0) : NULL;
    char *result = full ? narrow(full) : NULL;
    free(full);
    free(name);
    return result;
}

void system_copy_permissions(int descriptor, const char *path)
{
    (void)descriptor; /* a new file inherits those of its folder */
    (void)path;
}

int system_replace(const char *from, const char *to)
{
    wchar_t *source = wide(from), *target = source ? wide(to) : NULL;
    int error = target ? 0 : errno;
    if (target && !MoveFileExW(source, target, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
        error = last_error();
    free(source);
    free(target);
    return error;
}

int system_remove(const char *path)
{
    wchar_t *name = wide(path);
    int error = name && _wunlink(name) == 0 ? 0 : errno;
    free(name);
    return error;
}

int system_make_folder(const char *path)
{
    wchar_t *name = wide(path);
    int error = name && _wmkdir(name) == 0 ? 0 : errno;
    free(name);
    return error;
}

char *system_cache_folder(void)
{
    const wchar_t *folder = _wgetenv(L"LOCALAPPDATA");
    return folder && *folder ? narrow(folder) : NULL;
}
