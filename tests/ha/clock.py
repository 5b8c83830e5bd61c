"""Moves the wall clock of running processes: of every one, Go's and libc's, without setting any machine's.

A program asks the time in the vDSO, the page of code that the kernel maps into each process. Here
__vdso_clock_gettime (and gettimeofday, time) of a process is replaced, in that process alone, by the
plain system call with a number of seconds added where CLOCK_REALTIME is asked for. The monotonic
clocks stay. A process that starts afterwards has the machine's time again. x86-64 only.
"""

import os
import platform
import struct

PT_DYNAMIC, PT_LOAD, DT_STRTAB, DT_SYMTAB = 2, 1, 5, 6


def missing():
    """Why it cannot be done here; None when it can."""
    return None if platform.machine() == "x86_64" else "clocks are moved on x86-64 only"


def vdso(pid):
    """(start, end) of its vDSO, or None."""
    with open(f"/proc/{pid}/maps") as f:
        for line in f:
            if line.rstrip().endswith("[vdso]"):
                start, end = line.split()[0].split("-")
                return int(start, 16), int(end, 16)
    return None


def symbols(image):
    """{name: offset} of the dynamic symbols of an ELF image as it lies in memory."""
    (phoff,), (phnum,) = struct.unpack_from("<Q", image, 32), struct.unpack_from("<H", image, 56)
    base, dynamic = 0, None
    for i in range(phnum):
        kind, _, offset, address = struct.unpack_from("<IIQQ", image, phoff + 56 * i)
        if kind == PT_LOAD:
            base = address - offset
        elif kind == PT_DYNAMIC:
            dynamic = offset
    tags = {}
    while dynamic is not None:
        tag, value = struct.unpack_from("<qQ", image, dynamic)
        if tag == 0:
            break
        tags[tag] = value - base
        dynamic += 16
    count = (tags[DT_STRTAB] - tags[DT_SYMTAB]) // 24
    found = {}
    for i in range(count):
        name, _, _, section, value, _ = struct.unpack_from("<IBBHQQ", image, tags[DT_SYMTAB] + 24 * i)
        end = image.index(b"\0", tags[DT_STRTAB] + name)
        if section:
            found[image[tags[DT_STRTAB] + name:end].decode()] = value - base
    return found


def replacements(seconds):
    """{symbol: machine code}; each makes the system call, and adds to what came back."""
    load = b"\x48\xb9" + struct.pack("<q", seconds)  # mov rcx, seconds
    return {
        "__vdso_clock_gettime":
            b"\xb8\xe4\x00\x00\x00\x0f\x05"  # mov eax, 228; syscall
            b"\x85\xc0\x75\x11"              # test eax, eax; jnz to the return
            b"\x85\xff\x75\x0d"              # test edi, edi; jnz (CLOCK_REALTIME is 0)
            + load + b"\x48\x01\x0e\xc3",     # add [rsi], rcx; ret
        "__vdso_gettimeofday":
            b"\xb8\x60\x00\x00\x00\x0f\x05"  # mov eax, 96; syscall
            b"\x85\xc0\x75\x12"              # test eax, eax; jnz to the return
            b"\x48\x85\xff\x74\x0d"          # test rdi, rdi; jz
            + load + b"\x48\x01\x0f\xc3",     # add [rdi], rcx; ret
        "__vdso_time":
            b"\xb8\xc9\x00\x00\x00\x0f\x05"  # mov eax, 201; syscall
            + load + b"\x48\x01\xc8"          # add rax, rcx
            b"\x48\x85\xff\x74\x03"          # test rdi, rdi; jz to the return
            b"\x48\x89\x07\xc3",             # mov [rdi], rax; ret
    }


def move(pids, seconds):
    """Moves the clocks of the processes, which must stand still (frozen). Returns how many it moved; a process
    that just is in that page cannot be: then nothing is done and None is returned."""
    patches = []
    for pid in pids:
        try:
            where = vdso(pid)
            if not where:
                continue
            if any(where[0] <= pc < where[1] for pc in counters(pid)):
                return None
            with open(f"/proc/{pid}/mem", "rb") as f:
                f.seek(where[0])
                table = symbols(f.read(where[1] - where[0]))
            patches += [(pid, where[0] + table[name], code) for name, code in replacements(seconds).items()]
        except FileNotFoundError:
            continue  # it has ended
    for pid, address, code in patches:
        with open(f"/proc/{pid}/mem", "r+b", buffering=0) as f:
            f.seek(address)
            f.write(code)
    return len({pid for pid, _, _ in patches})


def counters(pid):
    """The program counters of its threads."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/syscall") as f:
                words = f.read().split()
        except OSError:
            continue
        if words and words[0] != "running":
            yield int(words[-1], 16)
