// podmaster's flags, from its table.
#include <string.h>

#include "manifests/podmaster-options.h"
#include "packaging/man/inserts.h"
#include "packaging/man/roff.h"

void insert_podmaster_flags(struct buffer *out, const char *templates)
{
    for (size_t i = 0; i < podmaster_n_flags; i++) {
        const struct podmaster_flag *flag = &podmaster_flags[i];
        roff_item(out);
        buffer_add_str(out, "\\fB\\-\\-");
        roff_text(out, flag->name, strlen(flag->name));
        buffer_add_str(out, "\\fR");
        if (flag->argument) {
            buffer_add_char(out, ' ');
            roff_italic(out, flag->argument);
        }
        buffer_add_char(out, '\n');
        roff_sentence(out, flag->help);
    }
}
