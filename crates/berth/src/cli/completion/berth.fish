# fish completion for berth. What is offered, berth itself says.

function __berth_complete
    set -l typed (commandline -opc) (commandline -ct)
    for line in ($typed[1] internal complete -- $typed[2..] 2>/dev/null)
        switch $line
            case ':files'
                __fish_complete_path (commandline -ct)
            case ':folders'
                __fish_complete_directories (commandline -ct)
            case ':*'
            case '*'
                printf '%s\n' $line
        end
    end
end

complete -c berth -f -a '(__berth_complete)'
