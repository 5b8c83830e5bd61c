// The daemon's configuration file: any bytes are accepted or refused with a reason.
#include <stdint.h>
#include <stdlib.h>

#include "supervisor/config-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct config_host host = {.privileged = true, .host_name = "node"};
    enum { SIZE_MOST = 64 << 10 };
    if (size > SIZE_MOST)
        return 0;
    _cleanup_config_ struct config config;
    _cleanup_error_ struct error err = ERROR_NONE;
    config_set_defaults(&host, &config);
    int code = config_text_apply("/etc/mainstay/config.yaml", data, size, &config, &err);
    if (code < 0 && !err.message)
        abort();
    _cleanup_buffer_ struct buffer shown = BUFFER_EMPTY;
    config_describe(&config, &shown);
    return 0;
}
