// The program `mainstay`.
#include <curl/curl.h>
#include <locale.h>

#include "base/log.h"
#include "cli/commands.h"
#include "pki/key.h"

int main(int argc, char **argv)
{
    log_open("mainstay", LOG_LEVEL_NOTICE);
    setlocale(LC_CTYPE, "");
    secret_wipe_what_is_freed();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int status = commands_run(argc, argv);
    curl_global_cleanup();
    // Output that could not be written (a full disk behind a redirection) is not "done".
    if (fflush(stdout) != 0 && status == CLI_DONE) {
        perror("mainstay: cannot write");
        status = CLI_NO;
    }
    return status;
}
