/* system: what operating systems do differently and the engine needs. system_posix.c and
 * system_windows.c define it, one of which is built. Paths are UTF-8 everywhere. */
#ifndef SYSTEM_H
#define SYSTEM_H

#include <stdbool.h>
#include <stddef.h>

/* Milliseconds of a clock that never goes back. */
double system_clock_ms(void);
/* Bytes of a page, by which memory is mapped. */
size_t system_page_size(void);
/* Whether all pages of a range can be written; false where that cannot be told. */
bool system_is_writable(void *begin, size_t size);
/* Lets other threads have the processor, if any wait for it. */
void system_yield(void);

/* ---- files: descriptors are those of read, write and close, without translation of line ends.
 * Functions that return int give 0 or an errno unless said. ---- */

/* Whether paths are parted there. */
bool system_is_separator(char letter);

enum system_open {
    SYSTEM_READ,
    SYSTEM_WRITE,  /* one that exists, as it is */
    SYSTEM_CREATE, /* EEXIST when there is one */
};
/* A descriptor that child processes do not inherit; -1 with errno. */
int system_open(const char *path, enum system_open how);
/* `size` > 0 bytes from a file's beginning, to be read only. */
int system_map(int descriptor, size_t size, void **memory);
void system_unmap(void *memory, size_t size);
/* Gives a new file, which SYSTEM_CREATE opened and which is empty, its `size` > 0 bytes, zero and
 * all there on the disk, and maps them to be written. ENODEV where files cannot be mapped so; the
 * file is then as it was. */
int system_map_new(int descriptor, size_t size, void **memory);
/* Until what was written to such a map is the file's content. */
int system_flush(void *memory, size_t size);
/* Until it is on disk. */
int system_sync(int descriptor);

enum system_kind { SYSTEM_FREE, SYSTEM_FILE, SYSTEM_OTHER }; /* other: device, pipe, folder */
/* What is at `path`; a link that leads nowhere leads to a free name. */
int system_kind(const char *path, enum system_kind *kind);
/* The path behind all links, also where nothing is there yet, malloc'ed; NULL with errno. */
char *system_resolve(const char *path);
/* Gives the file the permissions of the one at `path`, where there is such a thing. */
void system_copy_permissions(int descriptor, const char *path);
/* Puts a file into the place of another, if there is one, in one step. */
int system_replace(const char *from, const char *to);
int system_remove(const char *path);
/* A folder for the user's eyes only; EEXIST when the name is taken. */
int system_make_folder(const char *path);
/* Where programs of the user keep what can be made again, malloc'ed; NULL: there is no such place.
 */
char *system_cache_folder(void);

#endif
