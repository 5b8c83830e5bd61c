// `mainstay completion`: what a shell needs to complete command lines. The scripts are small: they
// ask the hidden `mainstay __complete` (complete.c), which reads the same tables as the commands
// themselves.
#include "base/string-list.h"
#include "cli/commands.h"

struct completion_options {
    struct common_options common;
};

static const struct option completion_options[] = {COMMON_OPTIONS(completion_options)};

static const char *const shells[] = {"bash", "zsh", NULL};

static const char bash_script[] =
    "# bash completion for mainstay: source <(mainstay completion bash)\n"
    "_mainstay() {\n"
    "    local line\n"
    "    COMPREPLY=()\n"
    "    while IFS= read -r line; do\n"
    "        case $line in\n"
    "        :files) compopt -o default ;;\n"
    "        :directories) compopt -o dirnames ;;\n"
    "        :nospace) compopt -o nospace ;;\n"
    "        *) COMPREPLY+=(\"${line%%$'\\t'*}\") ;;\n"
    "        esac\n"
    "    done < <(\"${1/#\\~\\//$HOME/}\" __complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" "
    "2>/dev/null)\n"
    "}\n"
    "complete -F _mainstay mainstay\n";

static const char zsh_script[] =
    "#compdef mainstay\n"
    "# zsh completion for mainstay: source <(mainstay completion zsh)\n"
    "_mainstay() {\n"
    "    local line value tab=$'\\t'\n"
    "    local -a candidates paths suffix typed\n"
    "    typed=(\"${(@Q)words[2,CURRENT-1]}\" \"${(Q)PREFIX}\")\n"
    "    [[ $PREFIX == --*=* ]] && compset -P 1 '*='\n"
    "    for line in \"${(@f)$(${(Q)~words[1]} __complete -- \"${typed[@]}\" 2>/dev/null)}\"; do\n"
    "        case $line in\n"
    "        :files) paths=(-f) ;;\n"
    "        :directories) paths=(-/) ;;\n"
    "        :nospace) suffix=(-S '') ;;\n"
    "        ?*)\n"
    "            value=${${line%%$tab*}//:/\\\\:}\n"
    "            [[ $line == *$tab* ]] && value+=\":${line#*$tab}\"\n"
    "            candidates+=(\"$value\")\n"
    "            ;;\n"
    "        esac\n"
    "    done\n"
    "    if (( $#paths )); then\n"
    "        _path_files $paths\n"
    "    else\n"
    "        _describe mainstay candidates \"${suffix[@]}\"\n"
    "    fi\n"
    "}\n"
    "if [ \"$funcstack[1]\" = _mainstay ]; then _mainstay \"$@\"; else compdef _mainstay mainstay; "
    "fi\n";

static int cmd_completion(int argc, char **argv)
{
    struct completion_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status;
    if (!command_parse(&command_completion, argc, argv, &options, &rest, &status))
        return status;
    if (rest.n == 1 && str_equal(rest.arguments[0], "bash"))
        fputs(bash_script, stdout);
    else if (rest.n == 1 && str_equal(rest.arguments[0], "zsh"))
        fputs(zsh_script, stdout);
    else
        return command_usage_error(&command_completion, "say for which shell: bash or zsh");
    return CLI_DONE;
}

const struct command command_completion = {
    .name = "completion",
    .group = "Help",
    .summary = "Print what bash or zsh needs to complete command lines",
    .usage = "bash|zsh",
    .examples = "  source <(mainstay completion bash)\n"
                "  mainstay completion bash > /etc/bash_completion.d/mainstay\n"
                "  mainstay completion zsh > \"${fpath[1]}/_mainstay\"",
    .options = completion_options,
    .n_options = ARRAY_SIZE(completion_options),
    .argument = ARGUMENT_WORDS,
    .words = shells,
    .single = true,
    .run = cmd_completion,
};
