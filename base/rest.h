// A process that has started, or was busy, and now waits. Inline, so that its code stands beside
// the caller's, which is mapped anyway.
#pragma once

#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static inline int rest_unmap(struct dl_phdr_info *object, size_t size, void *userdata)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t begin = object->dlpi_addr + segment->p_vaddr, end = begin + segment->p_memsz;
        begin &= ~(page - 1);
        if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W))
            madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
    return userdata == NULL; // the program itself comes first
}

// Gives the pages of code and constants back that only what is over needed, of the program and, if
// it has any, its libraries. The kernel maps what is needed again.
static inline void process_rest(bool has_libraries)
{
    dl_iterate_phdr(rest_unmap, has_libraries ? &has_libraries : NULL);
}
