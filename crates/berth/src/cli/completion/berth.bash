# bash completion for berth. What is offered, berth itself says.

_berth() {
    # bash splits words at = and : as well; here they are part of a word.
    local i before rest=$COMP_LINE words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        before=${rest%%"${COMP_WORDS[i]}"*}
        if ((i > 1)) && [[ -z $before && (-n ${COMP_WORDS[i]} || -z $rest) ]]; then
            words[${#words[@]} - 1]+=${COMP_WORDS[i]}
        else
            words+=("${COMP_WORDS[i]}")
        fi
        rest=${rest#"$before${COMP_WORDS[i]}"}
    done
    local last=$((${#words[@]} - 1)) part=${COMP_WORDS[COMP_CWORD]}
    local typed=${words[last]}
    # The part of the word that bash keeps.
    [[ $part == [=:] ]] && part=
    local kept=${typed%"$part"} lines line word
    mapfile -t lines < <("${words[0]}" internal complete -- "${words[@]:1}" 2>/dev/null)
    COMPREPLY=()
    for line in "${lines[@]}"; do
        case $line in
        :files)
            compopt -o filenames 2>/dev/null
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$part")
            ;;
        :folders)
            compopt -o filenames 2>/dev/null
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$part")
            ;;
        :*) ;;
        *)
            word=${line%%$'\t'*}
            word=${word#"$kept"}
            [[ -z $word ]] && continue
            printf -v word %q "$word"
            COMPREPLY+=("$word")
            ;;
        esac
    done
    # More is to come behind these.
    if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[:=/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}

complete -F _berth berth
