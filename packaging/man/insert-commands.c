// The subcommands of `mainstay`: the list in mainstay(1), and a page for each, from the rows that
// parsing and --help read.
#include <ctype.h>
#include <string.h>

#include "base/string-list.h"
#include "packaging/man/inserts.h"
#include "packaging/man/roff.h"

static void add_reference(struct buffer *out, const struct command *command)
{
    buffer_add_str(out, "\\fBmainstay\\-");
    roff_text(out, command->name, strlen(command->name));
    buffer_add_str(out, "\\fR(1)");
}

void insert_commands(struct buffer *out, const char *templates)
{
    const char *group = "";
    for (const struct command *const *c = commands_all(); *c; c++) {
        if (!(*c)->group)
            continue;
        if (!str_equal(group, (*c)->group))
            buffer_printf(out, ".SS %s\n", (*c)->group);
        group = (*c)->group;
        roff_item(out);
        add_reference(out, *c);
        buffer_add_char(out, '\n');
        roff_sentence(out, (*c)->summary);
    }
}

void insert_exit_status(struct buffer *out, const char *templates)
{
    static const struct {
        enum cli_exit status;
        const char *meaning;
    } rows[] = {
        {CLI_DONE, "Done."},
        {CLI_NO, "The answer is no: not found, not valid, not ready in time."},
        {CLI_USAGE, "Wrong usage; the message names the nearest known flag or command."},
        {CLI_UNREACHABLE,
         "The agent cannot be reached; the message says at which socket, and why."},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        buffer_printf(out, ".TP\n.B %d\n%s\n", rows[i].status, rows[i].meaning);
}

// "List pods" in NAME begins with a small letter.
static void add_name(struct buffer *out, const struct command *command)
{
    roff_section(out, "NAME");
    buffer_add_str(out, "mainstay\\-");
    roff_text(out, command->name, strlen(command->name));
    buffer_printf(out, " \\- %c", tolower((unsigned char)command->summary[0]));
    roff_text(out, command->summary + 1, strlen(command->summary + 1));
    buffer_add_char(out, '\n');
}

static void add_option(struct buffer *out, const struct option *option)
{
    roff_item(out);
    if (option->letter)
        buffer_printf(out, "\\fB\\-%c\\fR, ", option->letter);
    buffer_add_str(out, "\\fB\\-\\-");
    roff_text(out, option->name, strlen(option->name));
    buffer_add_str(out, "\\fR");
    if (option->type != OPTION_BOOL) {
        buffer_add_char(out, '=');
        roff_usage(out, option->argument ? option->argument : "VALUE");
    }
    buffer_add_char(out, '\n');
    roff_clause(out, option->help);
}

static void add_environment(struct buffer *out)
{
    roff_section(out, "ENVIRONMENT");
    buffer_add_str(out, ".TP\n.B MAINSTAY_SOCKET\n"
                        "The agent\\(aqs socket, where\n.B \\-\\-socket\nis not given.\n"
                        ".PP\nOther variables are told in\n.BR mainstay (1).\n");
}

static void add_see_also(struct buffer *out, const struct command *command)
{
    roff_section(out, "SEE ALSO");
    buffer_add_str(out, "\\fBmainstay\\fR(1),\n");
    for (const struct command *const *c = commands_all(); *c; c++) {
        if (*c == command || !str_equal((*c)->group, command->group))
            continue;
        add_reference(out, *c);
        buffer_add_str(out, ",\n");
    }
    if (command->argument == ARGUMENT_FILE || str_equal(command->name, "explain"))
        buffer_add_str(out, "\\fBmainstay\\-manifests\\fR(5),\n");
    buffer_add_str(out, "\\fBmainstayd\\fR(8)\n");
}

void insert_command_page(struct buffer *out, const struct command *command)
{
    char name[64];
    snprintf(name, sizeof(name), "mainstay-%s", command->name);
    roff_title(out, name, 1);
    add_name(out, command);
    roff_section(out, "SYNOPSIS");
    buffer_add_str(out, "\\fBmainstay ");
    roff_text(out, command->name, strlen(command->name));
    buffer_add_str(out, "\\fR ");
    roff_usage(out, command->usage);
    buffer_add_char(out, '\n');
    roff_section(out, "DESCRIPTION");
    roff_sentence(out, command->summary);
    if (command->description) {
        buffer_add_str(out, ".PP\n");
        roff_prose(out, command->description);
    }
    roff_section(out, "OPTIONS");
    for (size_t i = 0; i < command->n_options; i++)
        add_option(out, &command->options[i]);
    roff_section(out, "EXIT STATUS");
    insert_exit_status(out, NULL);
    add_environment(out);
    if (command->examples) {
        roff_section(out, "EXAMPLES");
        roff_example(out, command->examples);
    }
    add_see_also(out, command);
}
