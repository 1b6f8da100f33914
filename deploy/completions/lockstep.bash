# Bash completion for lockstep.

_lockstep_rounds() {
  # Asking must not make the shell wait: an unreachable broker completes to nothing.
  timeout 1 lockstep status --output json 2>/dev/null |
    sed -n 's/^ *"round": "\([A-Za-z0-9._-]*\)".*/\1/p'
}

_lockstep() {
  local current=$2 previous=$3 command='' word
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
      checkpoint | preflight | restore | status | history | show | abort | verify | connections | locks | unlock | keys | setup | doctor) command=$word && break ;;
    esac
  done
  COMPREPLY=()
  case $previous in
    --pod) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "${current:-/run/netns/}") && return ;;
    --output)
      [[ $command == connections ]] && mapfile -t COMPREPLY < <(compgen -W 'text json dot' -- "$current") && return
      mapfile -t COMPREPLY < <(compgen -W 'text json' -- "$current") && return
      ;;
    --broker) mapfile -t COMPREPLY < <(compgen -W 'ipc:///run/lockstep-broker/broker.sock tcp://' -- "$current") && return ;;
    --role) mapfile -t COMPREPLY < <(compgen -W 'agent operator observer' -- "$current") && return ;;
    --key | --keys | --secret-file) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$current") && return ;;
    --node | --boot-id | --public) return ;;
    --reason | --group | --limit) return ;;
    --runtime) mapfile -t COMPREPLY < <(compgen -W 'runc crun all' -- "$current") && return ;;
  esac
  local options
  case $command in
    '') options='checkpoint preflight restore status history show abort verify connections locks unlock keys setup doctor --help --version' ;;
    checkpoint) options='--leave-running --no-preflight --output --broker --key --quiet --help' ;;
    preflight) options='--output --help' ;;
    restore) options='--output --broker --key --quiet --help' ;;
    status) options='--watch --output --broker --key --help' ;;
    history) options='--group --limit --output --broker --key --help' ;;
    show) options='--output --broker --key --help' ;;
    abort) options='--reason --broker --key --help' ;;
    verify) options='--output --quiet --help' ;;
    connections) options='--output --help' ;;
    locks) options='--output --help' ;;
    keys) options='init add list revoke --keys --role --node --boot-id --public --secret-file --output --help' ;;
    unlock) options='--pod --all --output --help' ;;
    setup) options='--runtime --undo --hook --root --output --help' ;;
    doctor) options='--criu --socket-dir --root --output --broker --key --help' ;;
  esac
  if [[ -z $command || $current == -* || $command == status || $command == history || $command == locks || $command == unlock || $command == keys || $command == setup || $command == doctor ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
  elif [[ $command == abort || $command == show ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_lockstep_rounds)" -- "$current")
  elif [[ $command == verify || $command == connections ]]; then
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  else
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -d -- "$current"; compgen -f -X '!*.@(yaml|yml)' -- "$current")
  fi
}

# The pattern above needs extglob when it is expanded, which every interactive bash completion setup has on.
shopt -s extglob
complete -F _lockstep lockstep
