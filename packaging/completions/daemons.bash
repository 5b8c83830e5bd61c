# bash completion for mainstayd and podmaster: the flags that --help lists, else files
_mainstay_daemon() {
    local flag
    COMPREPLY=()
    [[ $2 == -* ]] || return 0
    while IFS= read -r flag; do
        [[ $flag != "$2"* ]] || COMPREPLY+=("$flag")
    done < <("${1/#\~\//$HOME/}" --help 2>/dev/null | sed -nE 's/^ +(-[a-z][ ,][^-]*)?(--[a-z-]+).*/\2/p')
}
complete -o default -F _mainstay_daemon mainstayd podmaster
