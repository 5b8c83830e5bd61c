// What `mainstay pki import` reads: the sealed file with any header, and what is in it once it is
// open.
#include <stdint.h>

#include "pki/transfer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char key[TRANSFER_KEY_SIZE] = "the key of every fuzzing session";
    struct transfer sealed = {0}, plain = {0};
    if (size > 64 << 10)
        return 0;
    if (transfer_open(data, size, key, &sealed, NULL) == 0)
        transfer_free(&sealed);
    transfer_decode(data, size, &plain, NULL);
    transfer_free(&plain);
    return 0;
}
