#compdef berth
# zsh completion for berth. What is offered, berth itself says.

_berth() {
    local line word about
    local -a lines words_here about_here typed
    typed=("${(@Q)words[2,CURRENT]}")
    lines=("${(@f)$("${(Q)words[1]}" internal complete -- "${typed[@]}" 2>/dev/null)}")
    for line in "${lines[@]}"; do
        case $line in
        :files) _files ;;
        :folders) _files -/ ;;
        :* | '') ;;
        *)
            word=${line%%$'\t'*}
            about=${line#*$'\t'}
            words_here+=("$word")
            about_here+=("${word}${about:+  -- $about}")
            ;;
        esac
    done
    (($#words_here)) || return 0
    local -a open closed open_about closed_about
    local i
    for ((i = 1; i <= $#words_here; i++)); do
        # More is to come behind these.
        if [[ $words_here[i] == *[:=/] ]]; then
            open+=("$words_here[i]") open_about+=("$about_here[i]")
        else
            closed+=("$words_here[i]") closed_about+=("$about_here[i]")
        fi
    done
    (($#open)) && compadd -S '' -l -d open_about -a open
    (($#closed)) && compadd -l -d closed_about -a closed
    return 0
}

# Sourced, or loaded as a function of the same name.
if [[ $funcstack[1] == _berth ]]; then
    _berth "$@"
else
    compdef _berth berth
fi
